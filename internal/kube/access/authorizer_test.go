package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"plimsoll.dev/plimsoll/internal/serve"
)

// everybody is a fake. It stands for an API server that gives a login no more than what Kubernetes gives every one: the paths of the ClusterRole system:discovery.
func everybody(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	paths := []string{"/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"}
	if !a.IsResourceRequest() && a.GetVerb() == "get" && slices.ContainsFunc(paths, func(p string) bool {
		of, below := strings.CutSuffix(p, "*")
		return a.GetPath() == p || below && strings.HasPrefix(a.GetPath(), of)
	}) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// TestWhatEverybodyMay: what Kubernetes lets every login get says nothing of what is served here.
func TestWhatEverybodyMay(t *testing.T) {
	a := &Authorizer{server: authorizer.AuthorizerFunc(everybody), paths: request.RequestInfoFactory{APIPrefixes: sets.NewString("apis"), GrouplessAPIPrefixes: sets.NewString()}}
	f := func(path, lacks string) {
		t.Helper()
		err := a.Authorize(t.Context(), serve.Caller{Name: "nobody", Groups: []string{"system:authenticated"}}, serve.Access{Verb: "get", Path: path})
		if lacks == "" && err != nil || lacks != "" && (!errors.Is(err, serve.ErrDenied) || !strings.Contains(err.Error(), lacks)) {
			t.Errorf("%s: got %v, want the lack of %q", path, err, lacks)
		}
	}
	for _, path := range []string{"/api", "/api/", "/api/v1/query", "/api/v1/label/namespace/values", "/api/v1/model/namespaces/", "/api/v1/historical/nodes/", "/api/v1/metric-export"} {
		f(path, `verb "get" on the nonResourceURL "/plimsoll`+path+`"`)
	}
	for _, path := range []string{"/", "/metrics", "/plimsoll/v1/overview", "/plimsoll/api/v1/query", "/apiary"} {
		f(path, `verb "get" on the nonResourceURL "`+path+`"`)
	}
	f("/apis/metrics.k8s.io/v1/namespaces/shop/pods", `"pods" of API group "metrics.k8s.io" in namespace "shop"`)
	f("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/load1", `"pods" of API group "custom.metrics.k8s.io" in namespace "shop"`)
	f("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/nodes/n1/load1", `"nodes" of API group "custom.metrics.k8s.io" in all namespaces`)
	f("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/nodes/*/load1", `"nodes" of API group "custom.metrics.k8s.io" in all namespaces`)
	f("/apis/metrics.k8s.io/v1", "")
	f("/apis//v1/pods", `"/apis//v1/pods" is no path of an API`)
}
