package metricsapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/compatibility"
	client "k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/apis/metrics"
	"k8s.io/metrics/pkg/apis/metrics/install"
	v1 "k8s.io/metrics/pkg/apis/metrics/v1"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"

	definitions "plimsoll.dev/plimsoll/aggregator/metricsapi/openapi"
)

// versions are those that are served, the preferred one first.
var versions = []schema.GroupVersion{v1.SchemeGroupVersion, v1beta1.SchemeGroupVersion}

// Group is the group's name.
const Group = metrics.GroupName

// Versions are those that are served, the preferred one first.
func Versions() (out []string) {
	for _, gv := range versions {
		out = append(out, gv.Version)
	}
	return out
}

// newScheme knows the group's types, and by which fields they are selected.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	for _, gv := range versions {
		if err := scheme.AddFieldLabelConversionFunc(gv.WithKind("NodeMetrics"), nodeFields); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// nodeFields refuses what nodes are not selected by. A pod's fields are those of everything in a namespace.
func nodeFields(label, value string) (string, string, error) {
	if label != "metadata.name" {
		return "", "", fmt.Errorf("%q is not a known field selector: only \"metadata.name\"", label)
	}
	return label, value, nil
}

// Library configures the API server's library such that only its handler is of use: it listens nowhere, knows no login and writes no log of its own.
func Library(codecs serializer.CodecFactory) *server.Config {
	c := server.NewConfig(codecs)
	c.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	c.ExternalAddress = "plimsoll:443" // it has to have one; discovery gives it to nobody who asks by a name of its own
	c.LoopbackClientConfig = &client.Config{}
	c.EnableIndex, c.EnableProfiling, c.EnableMetrics = false, false, false
	c.BuildHandlerChainFunc = func(h http.Handler, c *server.Config) http.Handler {
		h = filters.WithCacheControl(h)
		h = filters.WithRequestInfo(h, c.RequestInfoResolver)
		return filters.WithRequestReceivedTimestamp(h)
	}
	return c
}

// newHandler makes the library's handler of the group.
func newHandler(a *API) (http.Handler, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	codecs := serializer.NewCodecFactory(scheme)
	c := Library(codecs)
	namer := openapi.NewDefinitionNamer(scheme)
	c.OpenAPIConfig = server.DefaultOpenAPIConfig(definitions.GetOpenAPIDefinitions, namer)
	c.OpenAPIV3Config = server.DefaultOpenAPIV3Config(definitions.GetOpenAPIDefinitions, namer)
	c.OpenAPIConfig.Info.Title, c.OpenAPIV3Config.Info.Title = "Plimsoll", "Plimsoll"
	c.OpenAPIConfig.Info.Version, c.OpenAPIV3Config.Info.Version = "v1", "v1"
	s, err := c.Complete(nil).New("plimsoll", server.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	group := server.NewDefaultAPIGroupInfo(metrics.GroupName, scheme, runtime.NewParameterCodec(scheme), codecs)
	group.NegotiatedSerializer = newNegotiated(group.NegotiatedSerializer)
	for _, gv := range versions {
		group.VersionedResourcesStorageMap[gv.Version] = map[string]rest.Storage{"nodes": nodeStorage{a}, "pods": podStorage{a}}
	}
	if err := s.InstallAPIGroup(&group); err != nil {
		return nil, err
	}
	return marked(s.PrepareRun().Handler), nil
}

// marked marks requests of which the library makes something else of our objects than their encoding.
func marked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "as=PartialObjectMetadata") {
			r = r.WithContext(context.WithValue(r.Context(), objectsKey{}, true))
		}
		next.ServeHTTP(w, r)
	})
}
