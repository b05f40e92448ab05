package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
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

const (
	// patience is how long a pod is kept back while nobody answers whose its controller is; after that the controller itself is its owner.
	patience = 5 * time.Second
	// answerLasts and refusalLasts are how old an answer may be when a pod of the controller changes, before it is asked for anew.
	answerLasts, refusalLasts = 10 * time.Minute, time.Minute
	// atOnce is how many questions are asked at a time.
	atOnce = 4
)

// asking is what is known of the question for one controller, as long as something is below it.
type asking struct {
	open     bool // it is in the queue, or asked just now
	over     *time.Timer
	given    bool      // nobody answered in time: its pods are not kept back any more
	answered time.Time // zero: not so far
	refused  bool      // that was the answer
	err      error     // why there was none, the last time
}

// kinds are those of between.
var kinds = map[string]string{"ReplicaSet": "replicasets", "Job": "jobs"}

// ask asks for a controller, or anew if the answer is old, and says whether the first answer is awaited. The caller holds the lock.
func (v *Inventory) ask(namespace string, ref *metav1.OwnerReference) bool {
	i := slices.IndexFunc(between, func(r schema.GroupVersionResource) bool {
		return r.Resource == kinds[ref.Kind] && r.GroupVersion().String() == ref.APIVersion
	})
	if v.opts.Node == "" || i < 0 {
		return false
	}
	q, a := question{namespace, ref.Name, ref.UID, between[i]}, v.asks[ref.UID]
	if a == nil {
		a = &asking{over: time.AfterFunc(patience, func() { v.release(q) })}
		v.asks[ref.UID] = a
	}
	if !a.open && a.old(time.Now()) {
		a.open = true
		v.asked.Add(q)
	}
	return a.answered.IsZero() && !a.given
}

// old says whether there is no answer, or one that may not hold any more.
func (a *asking) old(now time.Time) bool {
	lasts := answerLasts
	if a.refused {
		lasts = refusalLasts
	}
	return now.Sub(a.answered) >= lasts
}

// unask forgets what was asked of a controller. The caller holds the lock.
func (v *Inventory) unask(uid types.UID) {
	if a := v.asks[uid]; a != nil {
		a.over.Stop()
		delete(v.asks, uid)
	}
}

// answer asks the API server for controllers, a few at a time, until ctx ends.
func (v *Inventory) answer(ctx context.Context) error {
	defer context.AfterFunc(ctx, v.asked.ShutDown)()
	var g errgroup.Group
	for range atOnce {
		g.Go(func() error {
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
		})
	}
	return g.Wait()
}

// resolve gets a controller, and says whether that is the end of it.
func (v *Inventory) resolve(ctx context.Context, q question) bool {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	m, err := v.meta.Resource(q.resource).Namespace(q.namespace).Get(ctx, q.name, metav1.GetOptions{})
	v.mu.Lock()
	defer v.mu.Unlock()
	a := v.asks[q.uid]
	if a == nil { // nothing is below it any more
		return true
	}
	refused, found := apierrors.IsForbidden(err), err == nil && m.UID == q.uid
	switch {
	case refused && !a.refused:
		v.log.Warn("Cannot ask whose a controller is: pods are named by the controller itself, or as they were; allow get", "resource", q.resource.Resource, "group", q.resource.Group, "err", err)
	case err != nil && !refused && !apierrors.IsNotFound(err):
		a.err = err
		return false
	}
	a.over.Stop()
	a.open, a.answered, a.refused, a.err = false, time.Now(), refused, nil
	o := &object{ObjectMeta: metav1.ObjectMeta{UID: q.uid}}
	if found {
		o.owner = controller(m)
	}
	if _, known := v.owners[q.uid]; found || !known { // of one that is gone, or not told of any more, the pods stay what they were
		v.putOwner("", false)(o)
	}
	return true
}

// release hands out the pods of a controller that nobody answers for in time.
func (v *Inventory) release(q question) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := v.asks[q.uid]
	if a == nil || !a.answered.IsZero() {
		return
	}
	a.given = true
	v.log.Warn("Cannot ask whose a controller is for now: its pods are named by the controller itself", "namespace", q.namespace, "name", q.name, "err", a.err)
	for id := range v.below[q.uid] {
		if h := v.pods[id]; h != nil && h.unnamed {
			h.unnamed = false
			v.changes.Add(1)
		}
	}
}
