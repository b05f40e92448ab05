package kube

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// question asks what a controller belongs to itself, on a node, which watches none of them.
type question struct {
	namespace, name string
	uid             types.UID
	resource        schema.GroupVersionResource
}

// patience is how long a pod is kept back while nobody answers whose its controller is; after that the controller itself is its owner.
const patience = 5 * time.Second

// kinds are those of between.
var kinds = map[string]string{"ReplicaSet": "replicasets", "Job": "jobs"}

// ask asks for a controller, and says whether the answer is awaited. The caller holds the lock.
func (v *Inventory) ask(namespace string, ref *metav1.OwnerReference) bool {
	if _, known := v.owners[ref.UID]; known || v.opts.Node == "" {
		return false
	}
	for _, r := range between {
		if r.Resource == kinds[ref.Kind] && r.GroupVersion().String() == ref.APIVersion {
			v.asked.Add(question{namespace, ref.Name, ref.UID, r})
			return true
		}
	}
	return false
}

// answer asks the API server for controllers, one after another, until ctx ends.
func (v *Inventory) answer(ctx context.Context) error {
	go func() {
		<-ctx.Done()
		v.asked.ShutDown()
	}()
	for {
		q, over := v.asked.Get()
		if over {
			return nil
		}
		if v.resolve(ctx, q) {
			v.asked.Forget(q)
		} else {
			v.asked.AddRateLimited(q)
		}
		v.asked.Done(q)
	}
}

// resolve gets a controller, and says whether that is the end of it.
func (v *Inventory) resolve(ctx context.Context, q question) bool {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	m, err := v.meta.Resource(q.resource).Namespace(q.namespace).Get(ctx, q.name, metav1.GetOptions{})
	o := &object{ObjectMeta: metav1.ObjectMeta{UID: q.uid}}
	switch {
	case err == nil && m.UID == q.uid:
		o.owner = controller(m)
	case err == nil, apierrors.IsNotFound(err): // gone: its pods are its own
	case apierrors.IsForbidden(err):
		v.log.Warn("Cannot ask whose a controller is: pods are named by the controller itself; allow get", "resource", q.resource.Resource, "group", q.resource.Group, "err", err)
	default:
		if v.asked.NumRequeues(q) < 4 { // about as long as patience
			return false
		}
		v.log.Warn("Cannot ask whose a controller is for now", "namespace", q.namespace, "name", q.name, "err", err)
		v.release(q.uid)
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.below[q.uid]) > 0 {
		v.putOwner("", false)(o)
	}
	return true
}

// release hands out the pods of a controller that nobody answers for.
func (v *Inventory) release(uid types.UID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id := range v.below[uid] {
		if h := v.pods[id]; h != nil && h.unnamed {
			h.unnamed = false
			v.changes.Add(1)
		}
	}
}
