package capacity

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
)

// amounts are what a scope has of one resource now.
type amounts struct{ capacity, allocatable, requests, limits, used *float64 }

// add adds what a node has. A node whose allocatable is not known has its capacity to give.
func (a *amounts) add(n *amounts) {
	given := n.allocatable
	if given == nil {
		given = n.capacity
	}
	a.capacity, a.allocatable = plus(a.capacity, n.capacity), plus(a.allocatable, given)
	a.requests, a.limits, a.used = plus(a.requests, n.requests), plus(a.limits, n.limits), plus(a.used, n.used)
}

// scopeNow is a node or a namespace of the live picture.
type scopeNow struct {
	name, pool  string
	nodes       int // that a namespace runs on
	cpu, memory amounts
	lacks       string // of a namespace, of how many pods its use is if it lacks some
	shut        string // why a node takes no new pods; "": it does
	gap         string // why it has no current values of its own; a node's capacity is not counted then
}

// sized says whether something says what the node has.
func (n *scopeNow) sized() bool {
	for _, a := range [...]*amounts{&n.cpu, &n.memory} {
		if a.capacity != nil || a.allocatable != nil {
			return true
		}
	}
	return false
}

// unsized are the names of the nodes that have current values and no size, beside others that have one.
func unsized(nodes []scopeNow) (names []string) {
	for i := range nodes {
		if n := &nodes[i]; n.gap == "" && !n.sized() {
			names = append(names, n.name)
		}
	}
	if len(names) > 0 && !slices.ContainsFunc(nodes, func(n scopeNow) bool { return n.sized() }) {
		return nil
	}
	return names
}

// nobodySized says whether there are nodes with current values, and nothing says of any what it has.
func nobodySized(nodes []scopeNow) bool {
	heard := 0
	for i := range nodes {
		if n := &nodes[i]; n.gap == "" {
			heard++
			if n.sized() {
				return false
			}
		}
	}
	return heard > 0
}

// picture is what a report needs of the live picture.
type picture struct {
	nodes, namespaces []scopeNow
}

// present takes from the live picture what a capacity report needs.
func present(s *live.Snapshot, o *CapacityOptions) *picture {
	p := &picture{}
	for _, it := range s.Nodes {
		n := scopeNow{name: it.Entity.Node, pool: o.Pools[it.Entity.Node], shut: o.Unschedulable[it.Entity.Node]}
		if n.gap = gapText(it); n.gap == "" {
			n.cpu, n.memory = amountsOf(it)
		}
		p.nodes = append(p.nodes, n)
	}
	on, pods := map[string]map[string]bool{}, podsOf(s)
	for _, it := range s.Containers {
		e := it.Entity
		if it.Ended { // it is remembered for a while
			continue
		}
		if on[e.Namespace] == nil {
			on[e.Namespace] = map[string]bool{}
		}
		on[e.Namespace][e.Node] = true
	}
	for _, it := range s.Namespaces {
		n := scopeNow{name: it.Entity.Namespace, nodes: len(on[it.Entity.Namespace]), gap: gapText(it)}
		n.cpu, n.memory = amountsOf(it)
		n.lacks = lacking(it, pods[it.Entity.Namespace])
		n.cpu.capacity, n.cpu.allocatable, n.memory.capacity, n.memory.allocatable = nil, nil, nil, nil
		p.namespaces = append(p.namespaces, n)
	}
	slices.SortStableFunc(p.nodes, func(a, b scopeNow) int { return cmp.Compare(a.name, b.name) })
	return p
}

// gapText says why an item has no values of its own now; a gap of one of its members, or one that is about to close, is none.
func gapText(it *live.Item) string {
	if it.Gap == nil || it.Gap.Reason == metric.GapMember || it.Gap.Reason == metric.GapStarting {
		return ""
	}
	if it.Gap.Detail != "" {
		return it.Gap.Reason + ": " + it.Gap.Detail
	}
	return it.Gap.Reason
}

// podsOf finds the pods of each namespace: those that the inventory knows, and what else the picture has.
func podsOf(s *live.Snapshot) map[string][]live.Known {
	out := map[string][]live.Known{}
	for _, k := range s.Known {
		out[k.Pod.Namespace] = append(out[k.Pod.Namespace], k)
	}
	for _, it := range s.Pods {
		if it.Pod == nil {
			out[it.Entity.Namespace] = append(out[it.Entity.Namespace], live.Known{Item: it})
		}
	}
	return out
}

// lacking says of how many of its pods what a namespace uses is, where that lacks some; "" where it is whole, or nothing.
func lacking(it *live.Item, pods []live.Known) string {
	away := it.Away // on machines of which nothing is heard
	for _, m := range it.Items {
		away += m.Away
	}
	of, counted := away, 0
	rows := metric.Set{}
	rows.Add(metric.CPUUsage)
	rows.Add(metric.MemoryWorkingSet)
	for _, k := range pods {
		is, whole := k.Part(rows)
		if is {
			of++
		}
		if whole {
			counted++
		}
	}
	_, cpu := it.Rate(metric.CPUUsage)
	if _, memory := it.Gauge(metric.MemoryWorkingSet); counted == of || !cpu && !memory { // then there is no sum, and a dash says so
		return ""
	}
	return fmt.Sprintf("%d of %d pods", counted, of)
}

func amountsOf(it *live.Item) (cpu, memory amounts) {
	cpu = amounts{gauge(it, metric.CPUCapacity), gauge(it, metric.CPUAllocatable), gauge(it, metric.CPURequest), gauge(it, metric.CPULimit), rate(it, metric.CPUUsage)}
	memory = amounts{gauge(it, metric.MemoryCapacity), gauge(it, metric.MemoryAllocatable), gauge(it, metric.MemoryRequest), gauge(it, metric.MemoryLimit),
		gauge(it, metric.MemoryWorkingSet)}
	return cpu, memory
}

func gauge(it *live.Item, id metric.ID) *float64 {
	if v, ok := it.Gauge(id); ok {
		return &v
	}
	return nil
}

func rate(it *live.Item, id metric.ID) *float64 {
	if v, ok := it.Rate(id); ok {
		return &v
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
