package kube

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Table is all objects of one resource, as an API server tells of them, each as a T: a pointer, nil where nothing is wanted of it. It is safe for
// concurrent use.
type Table[T any] struct {
	watch *watch

	mu    sync.RWMutex
	items map[types.UID]T
}

// TableOptions say how a Table is filled.
type TableOptions struct {
	Config *rest.Config
	// Changed is called after each change and must not wait.
	Changed func()
	Logger  *slog.Logger // nil discards
}

// Custom is the table of a resource that Kubernetes does not know by itself.
func Custom[T any](o TableOptions, r schema.GroupVersionResource, kind string, convert func(*unstructured.Unstructured) T) (*Table[T], error) {
	client, err := dynamic.NewForConfig(o.Config)
	if err != nil {
		return nil, err
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, l metav1.ListOptions) (runtime.Object, error) {
			return client.Resource(r).List(ctx, l)
		},
		WatchFuncWithContext: func(ctx context.Context, l metav1.ListOptions) (apiwatch.Interface, error) {
			return client.Resource(r).Watch(ctx, l)
		},
	}
	expect := &unstructured.Unstructured{}
	expect.SetGroupVersionKind(r.GroupVersion().WithKind(kind))
	return newTable(o, r.Resource, source, expect, convert), nil
}

// Autoscalers is the table of HorizontalPodAutoscalers.
func Autoscalers[T any](o TableOptions, convert func(*autoscalingv2.HorizontalPodAutoscaler) T) (*Table[T], error) {
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, err
	}
	const name = "horizontalpodautoscalers"
	return newTable(o, name, typed(client.AutoscalingV2().RESTClient(), name, fields.Everything()), &autoscalingv2.HorizontalPodAutoscaler{}, convert), nil
}

// Metadata is the table of the metadata of a resource.
func Metadata[T any](o TableOptions, r schema.GroupVersionResource, convert func(*metav1.PartialObjectMetadata) T) (*Table[T], error) {
	client, err := metadata.NewForConfig(o.Config)
	if err != nil {
		return nil, err
	}
	return newTable(o, r.Resource, metadataOf(client, r), &metav1.PartialObjectMetadata{}, convert), nil
}

func newTable[T any, O interface {
	comparable
	runtime.Object
	metav1.Object
}](o TableOptions, name string, source *cache.ListWatch, expect O, convert func(O) T) *Table[T] {
	t := &Table[T]{items: map[types.UID]T{}}
	changed := o.Changed
	if changed == nil {
		changed = func() {}
	}
	t.watch = &watch{name: name, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), source: source, expect: expect, lock: &t.mu,
		convert: func(in any) *object {
			x, ok := in.(O)
			if !ok {
				return nil
			}
			return &object{ObjectMeta: identityOf(x), value: convert(x)}
		},
		put: func(x *object) {
			was, had := t.items[x.UID]
			if t.items[x.UID] = x.value.(T); !had || any(was) != x.value {
				changed()
			}
		},
		drop: func(x *object) { delete(t.items, x.UID); changed() },
		keep: func(uids map[types.UID]bool) {
			for id := range t.items {
				if !uids[id] {
					delete(t.items, id)
				}
			}
			changed()
		}}
	return t
}

// Run watches until ctx ends.
func (t *Table[T]) Run(ctx context.Context) error { return t.watch.run(ctx) }

// All returns the objects, in no order. They are shared: nobody changes them.
func (t *Table[T]) All() []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]T, 0, len(t.items))
	for _, x := range t.items {
		out = append(out, x)
	}
	return out
}

// Synced says whether all objects have been told of once.
func (t *Table[T]) Synced() bool { return t.watch.whole() }

// Since returns since when nothing is told of the objects, and why; see Inventory.Since.
func (t *Table[T]) Since() (time.Time, error) { return t.watch.since() }
