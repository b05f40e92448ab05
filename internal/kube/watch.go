package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
)

// typed lists and watches one resource in all namespaces.
func typed(c cache.Getter, resource string, selector fields.Selector) *cache.ListWatch {
	return cache.NewListWatchFromClient(c, resource, metav1.NamespaceAll, selector)
}

// metadataOf lists and watches the metadata of one resource.
func metadataOf(c metadata.Interface, r schema.GroupVersionResource) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Resource(r).List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			return c.Resource(r).Watch(ctx, o)
		},
	}
}

// watch keeps one kind of object in an Inventory. It is the store of a client-go reflector, which converts each object as it comes in, so that
// no list of whole objects is ever in memory where the server can stream.
type watch struct {
	name    string
	log     *slog.Logger
	source  *cache.ListWatch
	expect  runtime.Object
	convert func(any) *object

	// The inventory's, called under its lock.
	lock      sync.Locker
	put, drop func(*object)
	keep      func(map[types.UID]bool)

	further bool // of kinds without which the inventory is whole, but for what is above them

	mu      sync.Mutex
	synced  bool
	failing time.Time // since when
	failure error
}

// run follows the API server until ctx ends, trying again for as long as it takes.
func (w *watch) run(ctx context.Context) error {
	w.mu.Lock()
	w.failing, w.failure = time.Now(), ErrNotSynced
	w.mu.Unlock()
	log := logr.FromSlogHandler(w.log.Handler())
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := w.source.ListWithContext(ctx, o)
			w.tried(err, false)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			stream, err := w.source.WatchWithContext(ctx, o)
			w.tried(err, true)
			return stream, err
		},
	}
	cache.NewReflectorWithOptions(source, w.expect, w, cache.ReflectorOptions{Name: w.name, Logger: &log}).RunWithContext(ctx)
	return nil
}

// tried notes how a request went.
func (w *watch) tried(err error, stream bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil && w.failure == nil:
		w.failing, w.failure = time.Now(), err
		w.log.Warn("The API server does not tell of changes; what is known stays", "of", w.name, "err", err)
	case err != nil:
		w.failure = err
	case stream && w.synced && w.failure != nil:
		w.log.Info("The API server tells of changes", "of", w.name, "after", time.Since(w.failing).Round(time.Second))
		w.failure = nil
	}
}

// since returns since when nothing is told, and why; nil while all is well.
func (w *watch) since() (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.synced && w.failure == nil {
		return w.failing, ErrNotSynced
	}
	return w.failing, w.failure
}

// whole says whether all objects have been told of once.
func (w *watch) whole() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.synced
}

// refused says whether the API server does not tell of the objects and will not, while nobody changes that.
func (w *watch) refused() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return apierrors.IsForbidden(w.failure) || apierrors.IsNotFound(w.failure)
}

// Transformer implements cache.TransformingStore: what a list streams is converted before it is kept.
func (w *watch) Transformer() cache.TransformFunc {
	return func(o any) (any, error) { return w.object(o) }
}

func (w *watch) object(o any) (*object, error) {
	if gone, is := o.(cache.DeletedFinalStateUnknown); is {
		o = gone.Obj
	}
	if done, is := o.(*object); is {
		return done, nil
	}
	if out := w.convert(o); out != nil {
		return out, nil
	}
	return nil, fmt.Errorf("a watch of %s told of a %T", w.name, o)
}

func (w *watch) change(o any, f func(*object)) error {
	out, err := w.object(o)
	if err != nil {
		return err
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	f(out)
	return nil
}

// Add implements cache.ReflectorStore.
func (w *watch) Add(o any) error { return w.change(o, w.put) }

// Update implements cache.ReflectorStore.
func (w *watch) Update(o any) error { return w.change(o, w.put) }

// Delete implements cache.ReflectorStore.
func (w *watch) Delete(o any) error { return w.change(o, w.drop) }

// Resync implements cache.ReflectorStore; there is nothing to do.
func (w *watch) Resync() error { return nil }

// Replace implements cache.ReflectorStore: the list is all there is.
func (w *watch) Replace(list []any, _ string) error {
	uids := make(map[types.UID]bool, len(list))
	objects := make([]*object, 0, len(list))
	for _, o := range list {
		out, err := w.object(o)
		if err != nil {
			return err
		}
		uids[out.UID] = true
		objects = append(objects, out)
	}
	w.lock.Lock()
	w.keep(uids)
	for _, o := range objects {
		w.put(o)
	}
	w.lock.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.synced = true
	if w.failure != nil { // a stream's list comes through the stream that goes on
		w.failure = nil
	}
	return nil
}
