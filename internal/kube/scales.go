package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// ErrRecounted is what SetScale returns, and callers test for with errors.Is, when somebody else has changed the count since it was read.
var ErrRecounted = errors.New("the count was changed meanwhile")

// How long it is believed what the API server says of a kind, and of one that it does not know; and how long a scale that was read is
// kept to be written.
const (
	kindFor     = 10 * time.Minute
	noKindFor   = 15 * time.Second
	scaleFor    = time.Minute
	scaleWrites = 4 // tries, when something else than the count has changed
	// A reading serves for so long for each target that there is, at most for scaleOld: up to a hundred are read at each pass of each second, a
	// thousand every five seconds. A write is refused where the count was changed since.
	scaleShare = 5 * time.Millisecond
	scaleOld   = 5 * time.Second
)

// Scales reads and writes the scale subresource of objects of any kind. It is safe for concurrent use.
type Scales struct {
	client dynamic.Interface
	kinds  discovery.DiscoveryInterface
	typed  kubernetes.Interface
	log    *slog.Logger

	watching sync.WaitGroup

	mu     sync.Mutex
	ctx    context.Context                     // of Run; nil while it does not run
	counts map[schema.GroupVersionKind]*counts // of the watched kinds that were asked for
	known  map[schema.GroupVersionKind]answer
	read   map[cluster.Target]reading
	pruned time.Time
}

// answer is what the API server said of a kind.
type answer struct {
	resource schema.GroupVersionResource
	err      error
	until    time.Time
}

// reading is a scale as it was read last.
type reading struct {
	scale *unstructured.Unstructured
	at    time.Time
}

// NewScales makes Scales; it asks nothing yet.
// Without Run each scale is read. A nil logger discards.
func NewScales(config *rest.Config, log *slog.Logger) (*Scales, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	return &Scales{client: client, kinds: kinds, typed: typed, log: cmp.Or(log, slog.New(slog.DiscardHandler)), counts: map[schema.GroupVersionKind]*counts{}, known: map[schema.GroupVersionKind]answer{}, read: map[cluster.Target]reading{}}, nil
}

// Scale reads the counts of a target. The error wraps cluster.ErrNoTarget where there is none.
func (s *Scales) Scale(ctx context.Context, t cluster.Target) (cluster.DesiredReplicas, cluster.ObservedReplicas, error) {
	told, scale, ok := s.told(t)
	switch {
	case ok && told == nil:
		return 0, 0, fmt.Errorf("%w: %s %q is not in namespace %q", cluster.ErrNoTarget, t.Kind, t.Name, t.Namespace)
	case ok && scale == nil:
		return told.desired, told.observed, nil
	case !ok:
		scale = s.fresh(t)
	}
	if scale == nil {
		var err error
		if scale, err = s.get(ctx, t); err != nil {
			return 0, 0, err
		}
	}
	observed, _, err := unstructured.NestedInt64(scale.Object, "status", "replicas")
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read the scale of %s %q: %w", t.Kind, t.Name, err)
	}
	return countOf(scale), cluster.ObservedReplicas(observed), nil
}

// fresh is a reading that is young enough; nil if there is none.
func (s *Scales) fresh(t cluster.Target) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.read[t]; time.Since(r.at) < min(scaleOld, time.Duration(len(s.read))*scaleShare) {
		return r.scale
	}
	return nil
}

// countOf is the number of replicas that a scale asks for; one that asks for none has no such field.
func countOf(scale *unstructured.Unstructured) cluster.DesiredReplicas {
	n, _, _ := unstructured.NestedInt64(scale.Object, "spec", "replicas")
	return cluster.DesiredReplicas(n)
}

func (s *Scales) get(ctx context.Context, t cluster.Target) (*unstructured.Unstructured, error) {
	r, err := s.resource(ctx, t)
	if err != nil {
		return nil, err
	}
	scale, err := s.client.Resource(r).Namespace(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{}, "scale")
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.pruned) > scaleFor {
		s.pruned = now
		maps.DeleteFunc(s.read, func(_ cluster.Target, r reading) bool { return now.Sub(r.at) > scaleFor })
	}
	if err != nil {
		delete(s.read, t)
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("%w: %w", cluster.ErrNoTarget, err)
		}
		return nil, err
	}
	s.read[t] = reading{scale, now}
	return scale, nil
}

// SetScale asks for another number of replicas if the number asked for still is from; else the error is ErrRecounted. It is written over the version
// that was read last, so that the API server refuses it where anything has changed since; what else than the count has changed is no reason not to.
func (s *Scales) SetScale(ctx context.Context, t cluster.Target, from, to cluster.DesiredReplicas) error {
	r, err := s.resource(ctx, t)
	if err != nil {
		return err
	}
	told, scale, ok := s.told(t)
	switch {
	case !ok:
		s.mu.Lock()
		scale = s.read[t].scale
		s.mu.Unlock()
	case told != nil && scale == nil:
		scale = told.scale(t)
	}
	var last error
	for range scaleWrites {
		if scale == nil {
			if scale, err = s.get(ctx, t); err != nil {
				return err
			}
		}
		if countOf(scale) != from {
			if s.mu.Lock(); !ok {
				delete(s.read, t) // if it was not fresh, the next decision is
			}
			s.mu.Unlock()
			return ErrRecounted
		}
		wanted := scale.DeepCopy()
		if err := unstructured.SetNestedField(wanted.Object, int64(to), "spec", "replicas"); err != nil {
			return fmt.Errorf("cannot write the scale of %s %q: %w", t.Kind, t.Name, err)
		}
		written, err := s.client.Resource(r).Namespace(t.Namespace).Update(ctx, wanted, metav1.UpdateOptions{}, "scale")
		s.mu.Lock()
		if delete(s.read, t); err == nil {
			s.read[t] = reading{written, time.Now()}
		}
		s.mu.Unlock()
		if last = err; !apierrors.IsConflict(err) {
			return err
		}
		scale = nil
	}
	return last
}

// resource says by which resource a target's kind is asked for.
func (s *Scales) resource(ctx context.Context, t cluster.Target) (schema.GroupVersionResource, error) {
	gv, err := schema.ParseGroupVersion(t.APIVersion)
	if err != nil {
		return schema.GroupVersionResource{}, fmt.Errorf("the target's apiVersion %q is none: %w", t.APIVersion, err)
	}
	kind := gv.WithKind(t.Kind)
	s.mu.Lock()
	a, ok := s.known[kind]
	s.mu.Unlock()
	if ok && time.Now().Before(a.until) {
		return a.resource, a.err
	}
	a = answer{until: time.Now().Add(kindFor)}
	a.resource, a.err = s.find(ctx, kind)
	if a.err != nil {
		a.until = time.Now().Add(noKindFor)
		if !errors.Is(a.err, errNoScale) { // nobody answered: it is asked again
			return a.resource, a.err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.known, func(_ schema.GroupVersionKind, old answer) bool { return !time.Now().Before(old.until) })
	s.known[kind] = a
	return a.resource, a.err
}

// errNoScale is a kind that cannot be scaled.
var errNoScale = errors.New("it cannot be scaled")

// find asks for a kind in its own version, or if there is no such version any more in the one that its group prefers.
func (s *Scales) find(ctx context.Context, kind schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	gv := kind.GroupVersion()
	if gv.Version == "" {
		return schema.GroupVersionResource{}, fmt.Errorf("%w: scaleTargetRef has no apiVersion: for a Deployment it is apps/v1", errNoScale)
	}
	raw, err := s.resourcesOf(ctx, gv)
	if apierrors.IsNotFound(err) && gv.Group != "" {
		group := &metav1.APIGroup{}
		if err := s.kinds.RESTClient().Get().AbsPath("/apis/" + gv.Group).Do(ctx).Into(group); apierrors.IsNotFound(err) {
			return schema.GroupVersionResource{}, fmt.Errorf("%w: this cluster has no API group %q", errNoScale, gv.Group)
		} else if err != nil {
			return schema.GroupVersionResource{}, err
		}
		gv.Version = group.PreferredVersion.Version
		raw, err = s.resourcesOf(ctx, gv)
	}
	if err != nil {
		return schema.GroupVersionResource{}, err
	}
	found := ""
	for _, r := range raw.APIResources {
		if r.Kind == kind.Kind && !strings.Contains(r.Name, "/") {
			found = r.Name
		}
	}
	if found == "" {
		return schema.GroupVersionResource{}, fmt.Errorf("%w: this cluster has no kind %q in %q", errNoScale, kind.Kind, kind.GroupVersion())
	}
	for _, r := range raw.APIResources {
		if r.Name == found+"/scale" {
			return gv.WithResource(found), nil
		}
	}
	return schema.GroupVersionResource{}, fmt.Errorf("%w: %s of %q have no scale subresource", errNoScale, found, kind.GroupVersion())
}

func (s *Scales) resourcesOf(ctx context.Context, gv schema.GroupVersion) (*metav1.APIResourceList, error) {
	path := "/apis/" + gv.String()
	if gv.Group == "" {
		path = "/api/" + gv.Version
	}
	list := &metav1.APIResourceList{}
	return list, s.kinds.RESTClient().Get().AbsPath(path).Do(ctx).Into(list)
}
