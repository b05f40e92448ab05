package kube

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Things are the objects of a cluster, read and written with a person's rights. Errors are the API server's own.
type Things struct {
	client dynamic.Interface
	owner  string // of fields that are written
}

// Things opens them; nothing is asked yet.
func (p *Person) Things() (*Things, error) {
	client, err := dynamic.NewForConfig(p.config)
	if err != nil {
		return nil, err
	}
	return &Things{client, p.config.UserAgent}, nil
}

// Get reads an object, as JSON; with the name "" all of a namespace, as a list.
func (t *Things) Get(ctx context.Context, r schema.GroupVersionResource, namespace, name string) ([]byte, error) {
	if name == "" {
		list, err := t.client.Resource(r).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		return list.MarshalJSON()
	}
	o, err := t.client.Resource(r).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return o.MarshalJSON()
}

// Merge merges a patch into an object; try has the API server check it and keep nothing.
func (t *Things) Merge(ctx context.Context, r schema.GroupVersionResource, namespace, name string, patch any, try bool) error {
	return t.patch(ctx, r, namespace, name, types.MergePatchType, patch, metav1.PatchOptions{}, try)
}

// Apply has an object be as it is given, whether it is there already or not; try has the API server check it and keep nothing.
func (t *Things) Apply(ctx context.Context, r schema.GroupVersionResource, namespace, name string, object any, try bool) error {
	return t.patch(ctx, r, namespace, name, types.ApplyPatchType, object, metav1.PatchOptions{Force: new(true)}, try)
}

func (t *Things) patch(ctx context.Context, r schema.GroupVersionResource, namespace, name string, kind types.PatchType, content any, o metav1.PatchOptions, try bool) error {
	raw, err := json.Marshal(content)
	if err != nil {
		return err
	}
	o.FieldManager, o.FieldValidation = t.owner, metav1.FieldValidationStrict
	if try {
		o.DryRun = []string{metav1.DryRunAll}
	}
	_, err = t.client.Resource(r).Namespace(namespace).Patch(ctx, name, kind, raw, o)
	return err
}
