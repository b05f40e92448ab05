package kube

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// What an API server says of a version of an API group that it does not answer for, or does not tell us of.
var (
	ErrNoAPIService = errors.New("there is no such APIService")
	ErrNotToldOf    = errors.New("there is no right to read the APIService")
)

// APIService is a version of an API group, and who answers for it.
type APIService struct {
	Name      string // "v1beta1.metrics.k8s.io"
	Service   string // NAMESPACE/NAME; "": the API server itself
	Available bool   // the API server reaches it
	Why       string // if it does not, in its words
}

// APIServices says who answers for which version of an API group.
type APIServices struct {
	client dynamic.NamespaceableResourceInterface
}

// APIServiceResource is where an API server has them.
var APIServiceResource = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"} // not changed

// NewAPIServices makes APIServices; it asks nothing yet.
func NewAPIServices(config *API) (*APIServices, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	return &APIServices{client.Resource(APIServiceResource)}, nil
}

// APIServices are read with a person's rights.
func (p *Person) APIServices() (*APIServices, error) { return NewAPIServices(p.config) }

// Get asks for one. Its error may be ErrNoAPIService or ErrNotToldOf.
func (a *APIServices) Get(ctx context.Context, name string) (APIService, error) {
	o, err := a.client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return APIService{}, fmt.Errorf("%q: %w", name, ErrNoAPIService)
	case apierrors.IsForbidden(err):
		return APIService{}, fmt.Errorf("%q: %w", name, ErrNotToldOf)
	case err != nil:
		return APIService{}, fmt.Errorf("cannot read APIService %q: %w", name, err)
	}
	return apiServiceOf(o), nil
}

// ServiceOf is the Service to which an APIService leads, NAMESPACE/NAME; "": the API server itself.
func ServiceOf(o *unstructured.Unstructured) string {
	of, there, _ := unstructured.NestedMap(o.Object, "spec", "service")
	if !there {
		return ""
	}
	return fmt.Sprint(of["namespace"], "/", of["name"])
}

func apiServiceOf(o *unstructured.Unstructured) APIService {
	s := APIService{Name: o.GetName(), Service: ServiceOf(o)}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Available" {
			s.Available = m["status"] == "True"
			s.Why, _ = m["message"].(string)
		}
	}
	return s
}
