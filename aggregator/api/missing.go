package api

import (
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// missing lists gaps where they are: a roll-up that lacks a member, or has ended with it, is told by the member's own entry, and what is on a silent machine by
// that machine's. Of a pod that exists and does not run, or of which nothing was heard, the inventory says why, and so it does of a container that waits beside others of its pod; unread are the machines of which nothing was heard, with all
// that is on them. The largest things come first, then the oldest gaps.
func missing(s *live.Snapshot, unread ...MissingItem) []MissingItem {
	machines := silences(s)
	pods, told := absent(s, unread)
	out := []MissingItem{}
	for _, level := range [...]struct {
		items  []*live.Item
		beside []MissingItem
	}{{s.Nodes, unread}, {s.Namespaces, nil}, {s.Workloads, nil}, {s.Pods, pods}, {s.Containers, waiting(s, told)}} {
		from := len(out)
		out = append(out, level.beside...)
		for _, it := range level.items {
			if told[it] || told[it.Parent] {
				continue
			}
			if gap := lacks(it, machines, s.NodesHidden, s.Time); gap != nil {
				out = append(out, MissingItem{Level: it.Entity.Level.String(), Title: TitleOf(it.Entity), ID: idOf(it.Entity), Node: it.Entity.Node, Gap: *gap})
			}
		}
		slices.SortStableFunc(out[from:], func(a, b MissingItem) int { return a.Since.Compare(b.Since) })
	}
	return out
}

// unread lists the machines of which nothing was ever heard.
func (p *picture) unread() (out []MissingItem) {
	for i := range p.nodes {
		if n := &p.nodes[i]; n.Gap != nil && n.Gap.Reason == metric.GapUnread {
			out = append(out, MissingItem{Level: metric.Node.String(), Title: n.Name, ID: n.Name, Node: n.Name, Gap: *n.Gap})
		}
	}
	return out
}

// absent lists the pods of which the inventory says why they have no values, and which items those are.
func absent(s *live.Snapshot, unread []MissingItem) (out []MissingItem, told map[*live.Item]bool) {
	if len(s.Known) == 0 {
		return nil, nil
	}
	machines := machinesOf(s)
	told = map[*live.Item]bool{}
	for _, k := range s.Known {
		gap, ok := absence(k, machines, s.Time)
		if ok && gap.Reason == metric.GapUnread && slices.ContainsFunc(unread, func(m MissingItem) bool { return m.Node == k.Pod.Node }) {
			continue
		}
		if ok {
			name := slashed(k.Pod.Namespace, k.Pod.Name)
			out = append(out, MissingItem{Level: metric.Pod.String(), Title: name, ID: name, Node: k.Pod.Node, Gap: gap})
			if k.Item != nil {
				told[k.Item] = true
			}
		}
	}
	return out, told
}

// waiting lists the containers that wait and of which the picture has nothing, beside others of their pods, where the pod's own entry does not tell.
func waiting(s *live.Snapshot, told map[*live.Item]bool) (out []MissingItem) {
	for _, k := range s.Known {
		if k.Item == nil || told[k.Item] {
			continue
		}
		for _, c := range between(k) {
			name := slashed(slashed(c.Namespace, c.Pod), c.Name)
			out = append(out, MissingItem{Level: metric.Container.String(), Title: c.Title, ID: name, Node: c.Node, Gap: *c.Gap})
		}
	}
	return out
}

// machinesOf finds machines by name; nil where they are hidden.
func machinesOf(s *live.Snapshot) map[string]*live.Item {
	if s.NodesHidden {
		return nil
	}
	out := make(map[string]*live.Item, len(s.Nodes))
	for _, it := range s.Nodes {
		out[it.Entity.Node] = it
	}
	return out
}

// summed says whether an item is no more than its members are together, so that they tell why it has no values.
func summed(it *live.Item) bool {
	switch it.Entity.Level {
	case metric.Pod, metric.Workload, metric.Namespace:
		return len(it.Items) > 0 && !it.Own.Has(metric.CPUUsage) && !it.Own.Has(metric.MemoryWorkingSet)
	}
	return false
}

// lacks says why an item itself has no values at present; nil if it has, or another entry tells. hidden: no entry tells of machines.
func lacks(it *live.Item, machines map[string]cluster.Gap, hidden bool, now time.Time) *cluster.Gap {
	const noCPU = "no sample of its CPU: the kernel does not account for it (on cgroup v1: the cgroup is in no cpuacct hierarchy)"
	switch {
	case unaccounted(it, now):
		return &cluster.Gap{Since: it.First.UTC(), Reason: metric.GapUnaccounted, Detail: noCPU}
	case it.Gap == nil || it.Gap.Reason == metric.GapMember || it.Ended && len(it.Items) > 0, summed(it), done(it):
		return nil
	case it.Unheard && !hidden: // the machine's own entry tells
		return nil
	}
	gap, silent := machines[it.Entity.Node]
	switch rests := it.WaitsFor(); {
	case it.Silent() && hidden:
		return gapOf(it.Gap)
	case it.Entity.Level != metric.Node && (silent || it.Silent()):
		return nil
	case silent:
		return &gap
	case rests != nil: // whoever runs it says more than that there are no samples
		return rests
	}
	return gapOf(it.Gap)
}

// done says whether an item has ended because its work is done: a pod that has, or one of its init containers, while the pod goes on.
func done(it *live.Item) bool {
	if it.Pod != nil {
		return it.Ended && it.Pod.Finished()
	}
	pod, _ := known(it)
	if pod == nil || !it.Ended {
		return false
	}
	return pod.Finished() || slices.ContainsFunc(pod.InitContainers, func(c cluster.Container) bool {
		return c.Name == it.Entity.Container && !c.Always && c.Waiting == ""
	})
}

// unaccounted says whether a container is measured, but its CPU is not and will not be: that would have come by now.
func unaccounted(it *live.Item, now time.Time) bool {
	const soon = 15 * time.Second
	if it.Entity.Level != metric.Container || it.Gap != nil || now.Sub(it.First) < soon {
		return false
	}
	_, cpu := it.Get(metric.CPUUsage)
	_, memory := it.Get(metric.MemoryWorkingSet)
	return memory && !cpu
}

// idOf is the cgroup path, or the names where there is none.
func idOf(e *metric.Entity) string {
	if e.ID != "" {
		return e.ID
	}
	switch e.Level {
	case metric.Pod:
		return slashed(e.Namespace, e.Pod)
	case metric.Workload:
		return slashed(slashed(e.Namespace, e.WorkloadKind), e.Workload)
	}
	return TitleOf(e)
}
