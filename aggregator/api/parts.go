package api

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Parts says of how many members a sum is that lacks some: 2 of 3 pods. A sum that is whole has none.
type Parts struct {
	Counted int    `json:"counted"` // members whose CPU and memory are all there
	Of      int    `json:"of"`      // members that there are
	Unit    string `json:"unit"`    // what they are: pods, containers, machines
}

// String is the mark that a sum carries: "2 of 3 pods".
func (p *Parts) String() string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d %s", p.Counted, p.Of, p.Unit)
}

// partsOf says of how many members an item's sums are; nil where they are whole, or no sums. A member counts whose part is in each sum that lacks some.
func partsOf(it *live.Item) *Parts {
	short := partialRows(it)
	if it.Missing == 0 || len(short) == 0 {
		return nil
	}
	out := &Parts{Unit: "pods", Of: it.Away}
	if it.Entity.Level == metric.Pod {
		out.Unit = "containers"
	}
	for _, m := range it.Items {
		if m.Ended {
			continue
		}
		out.Of++
		if !m.Silent() && !slices.ContainsFunc(short, func(id metric.ID) bool { return without(m, id) }) {
			out.Counted++
		}
	}
	return out
}

// without says whether a member lacks a row, in whole or in part.
func without(m *live.Item, id metric.ID) bool {
	_, ok := m.Get(id)
	return m.Lacks.Has(id) || !ok && m.Gap != nil
}

// lacks says which of an item's sums lack a part, of how many of its pods they are, and, where it has no gap of its own, whose part they lack and why. known are those of its pods
// that the inventory knows; it is nil where nothing of it runs.
func (p *picture) lacks(it *live.Item, known []live.Known, cpu, workingSet *float64, gap *cluster.Gap) ([]string, *Parts, *cluster.Gap) {
	if it == nil || cpu == nil && workingSet == nil {
		return nil, nil, gap
	}
	parts, short, rows := Parts{Of: it.Away, Unit: "pods"}, []live.Known(nil), metric.Set{}
	if cpu != nil {
		rows.Add(metric.CPUUsage)
	}
	if workingSet != nil {
		rows.Add(metric.MemoryWorkingSet)
	}
	add := func(k live.Known) {
		switch is, whole := k.Part(rows); {
		case whole:
			parts.Counted++
			parts.Of++
		case is:
			short = append(short, k)
			parts.Of++
		}
	}
	for _, k := range known {
		add(k)
	}
	for _, pod := range it.Items {
		if pod.Pod == nil {
			add(live.Known{Item: pod})
		}
	}
	names := partial(it)
	switch {
	case parts.Counted == parts.Of && len(names) == 0:
		return nil, nil, gap
	case parts.Counted == parts.Of: // what is lacking has ended by now, or is no pod
		return names, partsOf(it), gap
	case len(names) == 0 || it.Missing < parts.Of-parts.Counted: // else those that lack are the picture's own
		names = lacking(names, cpu, workingSet)
	}
	of := fmt.Sprintf("%d of %d: ", parts.Of-parts.Counted, parts.Of)
	switch {
	case gap != nil && gap.Reason == metric.GapMember: // of those that the picture has
		if _, why, told := strings.Cut(gap.Detail, ": "); told {
			gap = &cluster.Gap{Since: gap.Since, Reason: gap.Reason, Detail: of + why}
		}
	case gap == nil && len(short) > 0:
		if why := p.why(short[0]); why != nil {
			gap = &cluster.Gap{Since: why.Since, Reason: metric.GapMember, Detail: of + why.Detail}
		}
	}
	return names, &parts, gap
}

// why says since when and why a pod is not whole, with its name; nil where nobody says so.
func (p *picture) why(k live.Known) *cluster.Gap {
	machines := machinesOf(p.snap)
	named := func(g *cluster.Gap) *cluster.Gap {
		return &cluster.Gap{Since: g.Since, Reason: g.Reason, Detail: "pod " + slashed(k.Pod.Namespace, k.Pod.Name) + ": " + g.Detail}
	}
	if k.Pod == nil {
		return k.Item.Gap
	}
	if gap, ok := absence(k, machines, p.snap.Time); ok {
		return named(&gap)
	}
	if k.Item != nil {
		if gap := restsIn(k, between(k)); gap != nil {
			return named(gap)
		}
		if k.Item.Gap != nil {
			return named(gapOf(k.Item.Gap))
		}
	}
	if m := machines[k.Pod.Node]; m != nil && m.Gap != nil {
		return named(gapOf(m.Gap))
	}
	return nil
}

// lacking adds to the names of the sums that lack a part those that there are.
func lacking(partial []string, cpu, workingSet *float64) []string {
	for _, f := range [...]struct {
		name string
		v    *float64
	}{{"cpu", cpu}, {"workingSet", workingSet}} {
		if f.v != nil && !slices.Contains(partial, f.name) {
			partial = append(partial, f.name)
		}
	}
	slices.Sort(partial)
	return partial
}
