package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// NoPods says, as a clause for people, why no pod is a target's: what owns the first of those that the selector of its scale chooses; "" chooses none.
func (v *Inventory) NoPods(t cluster.Target, selector string) string {
	if pods, _ := v.Pods(t); len(pods) > 0 {
		return "" // they have come meanwhile
	}
	of := "belongs to " + t.Kind + " " + t.Namespace + "/" + t.Name + " by its controllers"
	chosen, err := labels.Parse(selector)
	if selector == "" || err != nil {
		return "no pod " + of
	}
	all := v.All()
	first, _ := slices.BinarySearchFunc(all, t.Namespace, func(p *cluster.Pod, namespace string) int { return cmp.Compare(p.Namespace, namespace) })
	for _, p := range all[first:] {
		if p.Namespace != t.Namespace {
			break
		}
		if !p.Finished() && chosen.Matches(labels.Set(p.Labels)) {
			return fmt.Sprintf("no pod of the selector %q %s: %s is owned by %s", selector, of, p.Name, v.chain(types.UID(p.UID)))
		}
	}
	return "no pod " + of + fmt.Sprintf(", and none has the labels of its selector %q", selector)
}

// chain tells the controllers above a pod, and what is known of the last.
func (v *Inventory) chain(id types.UID) string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	h := v.pods[id]
	if h == nil || h.owner == nil {
		return "nothing"
	}
	var all []string
	for ref := h.owner; ref != nil && len(all) < maxSteps; {
		all = append(all, ref.Kind+" "+ref.Name)
		o, known := v.owners[ref.UID]
		if ref = o.ref; ref == nil && !known {
			return strings.Join(all, ", owned by ") + ", whose own controller is not known"
		}
	}
	return strings.Join(all, ", owned by ") + ", which nothing owns"
}

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
