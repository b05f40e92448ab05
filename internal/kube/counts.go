package kube

import (
	"context"
	"log/slog"
	"maps"
	"strconv"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// The kinds whose counts are told of: what most targets are, and what the workloads are whose annotations are watched anyway. Of others the scale
// subresource is read, as nobody knows where a kind has its count.
var (
	deployments  = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	statefulSets = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}
)

// count is what an object of a watched kind says of its replicas.
type count struct {
	uid      types.UID
	version  string // of the object, and so of its scale
	desired  cluster.DesiredReplicas
	observed cluster.ObservedReplicas
	trouble  string // why replicas cannot be made, as its controller says; "" if they can
}

// counts are those of all objects of a kind, as the API server tells of them.
type counts struct {
	watch *watch

	mu     sync.RWMutex
	byName map[string]*count // "namespace/name"
	names  map[types.UID]string
}

// countsOf makes the counts of a kind; nil where it is none that is watched.
func countsOf(client kubernetes.Interface, kind schema.GroupVersionKind, log *slog.Logger) *counts {
	var resource string
	var expect runtime.Object
	switch kind {
	case deployments:
		resource, expect = "deployments", &appsv1.Deployment{}
	case statefulSets:
		resource, expect = "statefulsets", &appsv1.StatefulSet{}
	default:
		return nil
	}
	c := &counts{byName: map[string]*count{}, names: map[types.UID]string{}}
	c.watch = &watch{name: resource, log: log, source: typed(client.AppsV1().RESTClient(), resource, fields.Everything()), expect: expect, convert: convertCount, lock: &c.mu,
		put: func(o *object) {
			key := o.Namespace + "/" + o.Name
			if was := c.byName[key]; was != nil && was.uid != o.UID {
				delete(c.names, was.uid)
			}
			c.byName[key], c.names[o.UID] = o.value.(*count), key
		},
		drop: func(o *object) { c.drop(o.UID) },
		keep: func(uids map[types.UID]bool) {
			for id := range maps.Clone(c.names) {
				if !uids[id] {
					c.drop(id)
				}
			}
		}}
	return c
}

// drop forgets an object, unless another one has its name by now. The lock is held.
func (c *counts) drop(id types.UID) {
	key := c.names[id]
	delete(c.names, id)
	if x := c.byName[key]; x != nil && x.uid == id {
		delete(c.byName, key)
	}
}

func convertCount(o any) *object {
	one := func(n *int32) cluster.DesiredReplicas {
		if n == nil {
			return 1 // the API server's own default
		}
		return cluster.DesiredReplicas(*n)
	}
	switch x := o.(type) {
	case *appsv1.Deployment:
		c := &count{uid: x.UID, version: x.ResourceVersion, desired: one(x.Spec.Replicas), observed: cluster.ObservedReplicas(x.Status.Replicas)}
		for _, said := range x.Status.Conditions {
			if said.Type == appsv1.DeploymentReplicaFailure && said.Status == corev1.ConditionTrue {
				c.trouble = said.Message
			}
		}
		return &object{ObjectMeta: identityOf(x), value: c}
	case *appsv1.StatefulSet:
		return &object{ObjectMeta: identityOf(x), value: &count{uid: x.UID, version: x.ResourceVersion, desired: one(x.Spec.Replicas), observed: cluster.ObservedReplicas(x.Status.Replicas)}}
	}
	return nil
}

// of returns a target's count, nil if there is none; false while not all is told.
func (c *counts) of(t cluster.Target) (*count, bool) {
	if c == nil {
		return nil, false
	}
	if _, err := c.watch.since(); err != nil {
		return nil, false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byName[t.Namespace+"/"+t.Name], true
}

// scale is the count as the API server takes it to be written.
func (c *count) scale(t cluster.Target) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "autoscaling/v1", "kind": "Scale",
		"metadata": map[string]any{"name": t.Name, "namespace": t.Namespace, "uid": string(c.uid), "resourceVersion": c.version},
		"spec":     map[string]any{"replicas": int64(c.desired)}, "status": map[string]any{"replicas": int64(c.observed)}}}
}

// newer says whether a scale that was read or written is newer than what was told of.
func newer(read *unstructured.Unstructured, told *count) bool {
	a, err := strconv.ParseUint(read.GetResourceVersion(), 10, 64)
	b, err2 := strconv.ParseUint(told.version, 10, 64)
	return err == nil && err2 == nil && a > b && read.GetUID() == told.uid
}

// Run has the API server tell of the counts of those kinds that are asked for and can be watched, until ctx ends.
func (s *Scales) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.watching.Wait()
	return nil
}

// told returns what the API server tells of a target: its count, nil if it is not there, and a scale that was read or written since, nil if none was;
// false where it tells nothing of the kind (yet).
func (s *Scales) told(t cluster.Target) (*count, *unstructured.Unstructured, bool) {
	gv, err := schema.ParseGroupVersion(t.APIVersion)
	if err != nil {
		return nil, nil, false
	}
	kind := gv.WithKind(t.Kind)
	s.mu.Lock()
	c := s.counts[kind]
	if c == nil && s.ctx != nil {
		if c = countsOf(s.typed, kind, s.log); c != nil { // else it is none that is watched
			ctx := s.ctx
			s.watching.Go(func() { _ = c.watch.run(ctx) })
			s.counts[kind] = c
		}
	}
	s.mu.Unlock()
	x, ok := c.of(t)
	if !ok {
		return nil, nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if read := s.read[t].scale; read != nil && x != nil && newer(read, x) {
		return x, read, true
	}
	delete(s.read, t) // the watch has caught up
	return x, nil, true
}

// uid is that of a target as it was told of or read last; "" where that is not known.
func (s *Scales) uid(t cluster.Target) types.UID {
	if x, _, ok := s.told(t); ok {
		if x == nil {
			return ""
		}
		return x.uid
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if scale := s.read[t].scale; scale != nil {
		return scale.GetUID()
	}
	return ""
}

// Trouble says why the replicas of a target cannot be made, as its controller does: a quota, say. "" if they can, or nobody says.
func (s *Scales) Trouble(t cluster.Target) string {
	if x, _, ok := s.told(t); ok && x != nil {
		return x.trouble
	}
	return ""
}
