package live

import (
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
)

// Within is the picture as a scope sees it: neither names nor numbers of anything else are in its lists, nor in the members of what is. What
// an item of a machine or of the cluster says of a member that is not seen is taken out. A snapshot of which all is seen is itself.
func (s *Snapshot) Within(sc scope.Scope) *Snapshot {
	if sc.IsWhole() {
		return s
	}
	sees := sc.Filter()
	ours := func(it *Item) bool { return it.Entity.Level == metric.Node && sc.Nodes() || sees(it.Entity.Namespace) }
	out := &Snapshot{Time: s.Time, NodesHidden: !sc.Nodes()}
	for _, l := range [...]struct {
		from []*Item
		to   *[]*Item
	}{{s.Namespaces, &out.Namespaces}, {s.Workloads, &out.Workloads}, {s.Pods, &out.Pods}, {s.Containers, &out.Containers}} {
		*l.to = chosen(l.from, ours)
	}
	for _, k := range s.Known {
		if sees(k.Pod.Namespace) {
			out.Known = append(out.Known, k)
		}
	}
	out.Cluster = &Item{Entity: &metric.Entity{Level: metric.Cluster}}
	if !sc.Nodes() {
		return out
	}
	if s.Cluster != nil {
		out.Cluster = s.Cluster.within(ours)
	}
	out.Nodes = make([]*Item, 0, len(s.Nodes))
	for _, it := range s.Nodes {
		out.Nodes = append(out.Nodes, it.within(ours))
	}
	return out
}

func chosen(items []*Item, ours func(*Item) bool) []*Item {
	var out []*Item
	for _, it := range items {
		if ours(it) {
			out = append(out, it)
		}
	}
	return out
}

// within is a machine or the cluster without the members that are not seen.
func (it *Item) within(ours func(*Item) bool) *Item {
	out := *it
	out.Items = chosen(it.Items, ours)
	if g := it.Gap; g != nil && g.Reason != metric.GapSilent {
		out.Gap = &cluster.Gap{Since: g.Since, Reason: g.Reason, Detail: "which of its parts is told to whoever sees all of them"}
	}
	return &out
}
