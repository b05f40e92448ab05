package live

import (
	"math"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Where a cluster is served, what is asked for on a node is what the scheduler counts there: of every pod that is placed and not done, also of those of which
// nothing ran yet, or not all. What collectors say of its containers stays theirs.

// resources are the rows of what pods ask for.
var resources = [...]struct {
	id   metric.ID
	name cluster.ResourceName
}{{metric.CPURequest, "cpu"}, {metric.MemoryRequest, "memory"}}

// requests are their rows.
var requests = func() (s metric.Set) {
	for _, r := range resources {
		s.Add(r.id)
	}
	return s
}()

// claims are what is set aside of each resource, NaN where nothing is.
type claims struct {
	t    time.Time // of the snapshot
	of   [len(resources)]float64
	gone bool // whoever asked is not there any more
}

// over says whether a value is that nothing is asked for by what is not there any more, for those that it is in.
func (it *Item) over(v *Value) bool {
	return v.V == 0 && requests.Has(v.ID) && (it.Ended || it.asks != nil && it.asks.gone)
}

// asksOf is what is set aside for a pod; ok is false where it is not placed, or done, or asks for nothing.
func asksOf(pod *cluster.Pod, t time.Time) (a claims, ok bool) {
	a.t = t
	for i := range resources {
		v, has := pod.Held(resources[i].name)
		if a.of[i] = v.Float(); !has {
			a.of[i] = math.NaN()
		}
		ok = ok || has
	}
	return a, ok && pod.Node != "" && !pod.Finished()
}

// add adds another pod's.
func (a *claims) add(more *claims) {
	for i, v := range more.of {
		switch {
		case math.IsNaN(a.of[i]):
			a.of[i] = v
		case !math.IsNaN(v):
			a.of[i] += v
		}
	}
}

// has says whether something is set aside in a row.
func (a *claims) has(id metric.ID) bool {
	if a == nil {
		return false
	}
	for i, r := range resources {
		if r.id == id {
			return !math.IsNaN(a.of[i])
		}
	}
	return false
}

// each calls do for the values of a row, or of every one, in order.
func (a *claims) each(id metric.ID, do func(Value)) {
	if a == nil {
		return
	}
	for i, r := range resources {
		if (id == r.id || id == everyRow) && a.has(r.id) {
			do(Value{ID: r.id, T: a.t, V: a.of[i]})
		}
	}
}

// besides are what pods ask for of which the picture has nothing, by the smallest that they are in and the picture has, and by their nodes.
type besides map[*Item]*claims

// pods takes into account what the inventory's pods ask for, once those that were heard of are read.
func (b *builder) pods(known []Known, now time.Time) {
	all, nodes := make([]claims, 0, len(known)), map[string]bool{} // those of which the inventory tells
	for i := range known {
		pod, it := known[i].Pod, known[i].Item
		nodes[pod.Node] = true
		a, ok := asksOf(pod, now)
		if !ok {
			continue
		}
		if it != nil {
			all = append(all, a)
			it.asks = &all[len(all)-1]
			it.Lacks = it.Lacks.Less(&requests)
			continue
		}
		if b.besides == nil {
			b.besides = besides{}
		}
		b.besides.add(b.named(&metric.Entity{Level: metric.Node, Node: pod.Node}), &a)
		of := b.named(&metric.Entity{Level: metric.Workload, Namespace: pod.Namespace, WorkloadKind: pod.Owner.Kind, Workload: pod.Owner.Name})
		if of == nil {
			of = b.named(&metric.Entity{Level: metric.Namespace, Namespace: pod.Namespace})
		}
		b.besides.add(of, &a)
	}
	for _, it := range b.level(metric.Pod) { // for what is done or gone nothing is set aside, whatever its collector said of it last
		if it.asks == nil && nodes[it.Entity.Node] && (it.Pod == nil || it.Pod.Finished()) {
			it.asks = &claims{t: now, gone: it.Pod == nil}
			it.Lacks = it.Lacks.Less(&requests)
		}
	}
}

// named is the item of a machine, workload or namespace; nil where there is none.
func (b *builder) named(e *metric.Entity) *Item {
	of := b.plan.level(e.Level)
	i, found := slices.BinarySearchFunc(of, e, func(s spot, e *metric.Entity) int { return compareNames(s.entity, e) })
	if !found {
		return nil
	}
	return &b.items[b.plan.from[e.Level]+i]
}

func (b besides) add(to *Item, a *claims) {
	switch has := b[to]; {
	case to == nil:
	case has == nil:
		first := *a
		b[to] = &first
	default:
		has.add(a)
	}
}
