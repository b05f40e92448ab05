package heapster

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
)

// Sink is a history that has Heapster's names.
type Sink interface {
	AppendModel(ctx context.Context, values []model.Value) error
}

// Totals writes what Heapster made of its pods to a history that has its names: the values that the model serves of pods, namespaces and
// the cluster, what is requested on each machine and its reservation, and the requests and limits that a container does not have. What
// containers and machines say of themselves comes with the batches of those who read them.
type Totals struct {
	Pictures Pictures
	To       Sink
	Gate     cluster.Gate // sums of the whole cluster are for one to write
	Every    time.Duration
}

// Run writes until ctx ends.
func (t Totals) Run(ctx context.Context) error {
	all, pace := model.New(), pace{}
	tick := time.NewTicker(t.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C: // which says when it was due: a process that was stopped has values that are later
			if values := newPicture(pace.over(t.Pictures.Snapshot(time.Now()))).totals(all); t.Gate.MayWrite() == nil {
				// The store counts what it cannot take and shows it as a condition; there is nothing to add.
				_ = t.To.AppendModel(ctx, values)
			}
		}
	}
}

// totals makes all values of a moment.
func (p picture) totals(all model.Metrics) []model.Value {
	items := slices.DeleteFunc(slices.Clone(p.containers), func(it *live.Item) bool { return model.System(it.Entity) })
	slices.SortStableFunc(items, func(a, b *live.Item) int {
		x, y := a.Entity, b.Entity
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Pod, y.Pod), cmp.Compare(x.Node, y.Node))
	})
	var out []model.Value
	add := func(t model.Thing, of scope, which func(*model.Metric) bool) {
		of.level = t.Kind
		for i := range all {
			m := &all[i]
			if !m.Has(t.Kind) || !which(m) {
				continue
			}
			for resource, pt := range p.values(m, of) {
				out = append(out, model.Value{Thing: t, Metric: m, Resource: resource, Time: pt.t, V: pt.v})
			}
		}
	}
	every := func(*model.Metric) bool { return true }
	byNode := map[string][]*live.Item{}
	for pod := range stretches(items, samePod) {
		e := pod[0].Entity
		add(model.Thing{Kind: model.Pod, Node: e.Node, Namespace: e.Namespace, Pod: e.Pod}, scope{items: pod}, every)
		byNode[e.Node] = append(byNode[e.Node], pod...)
		for _, it := range pod {
			out = append(out, unset(all, it)...)
		}
	}
	for ns := range stretches(items, sameNamespace) {
		add(model.Thing{Kind: model.Namespace, Namespace: ns[0].Entity.Namespace}, scope{items: ns}, every)
	}
	for i, it := range p.nodes {
		add(model.Thing{Kind: model.Node, Node: it.Entity.Node}, scope{items: p.nodes[i : i+1], pods: byNode[it.Entity.Node]}, func(m *model.Metric) bool { return m.OfPods })
	}
	add(model.Thing{Kind: model.Cluster}, scope{items: items}, every)
	return out
}

// unset are the requests and limits of a container that it does not have, which Heapster gave as 0. Before the first full reading, which
// says when the container began, they are not known.
func unset(all model.Metrics, it *live.Item) []model.Value {
	began, ok := it.Get(metric.StartTime)
	t, is := model.ThingOf(it.Entity)
	if !ok || !is {
		return nil
	}
	var out []model.Value
	for i := range all {
		m := &all[i]
		if !m.OfPods || !m.Has(model.PodContainer) {
			continue
		}
		if _, has := it.Get(m.Row); !has {
			out = append(out, model.Value{Thing: t, Metric: m, Time: began.T})
		}
	}
	return out
}

// stretches are the parts of a sorted list whose neighbours are the same.
func stretches(items []*live.Item, same func(a, b *live.Item) bool) iter.Seq[[]*live.Item] {
	return func(yield func([]*live.Item) bool) {
		for len(items) > 0 {
			n := 1
			for n < len(items) && same(items[n-1], items[n]) {
				n++
			}
			if !yield(items[:n:n]) {
				return
			}
			items = items[n:]
		}
	}
}

func samePod(a, b *live.Item) bool {
	return sameNamespace(a, b) && a.Entity.Pod == b.Entity.Pod && a.Entity.Node == b.Entity.Node
}

func sameNamespace(a, b *live.Item) bool { return a.Entity.Namespace == b.Entity.Namespace }
