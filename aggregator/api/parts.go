package api

import (
	"fmt"
	"slices"

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

// unseen are the pods of a workload that run, and of which the picture has nothing: what it has lacks their parts.
func (p *picture) unseen(k workloadKey) (out []live.Known) {
	for _, pod := range p.pods[k] {
		if pod.Item == nil && pod.Pod.Phase == "Running" && pod.Pod.Gap == "" && !pod.Pod.Deleting {
			out = append(out, pod)
		}
	}
	return out
}

// lacks has a workload's sums say that the parts of pods are not in them of which nothing was heard, nor those of containers that do not run beside others of their pods.
func (w *Workload) lacks(k workloadKey, p *picture) {
	unseen, short := p.unseen(k), slices.DeleteFunc(slices.Clone(p.short[k]), func(s shortPod) bool { return s.Item.Missing > 0 }) // which are counted
	if len(unseen)+len(short) == 0 || w.CPU == nil && w.WorkingSet == nil {
		return
	}
	if w.Parts == nil {
		whole := w.Pods - len(unseen)
		w.Parts = &Parts{Counted: whole, Of: whole, Unit: "pods"}
	}
	w.Parts.Of += len(unseen)
	w.Parts.Counted = max(0, w.Parts.Counted-len(short))
	w.Partial = lacking(w.Partial, w.CPU, w.WorkingSet)
	if w.Gap != nil {
		return
	}
	of := fmt.Sprintf("%d of %d: pod %s/", len(unseen)+len(short), w.Parts.Of, w.Namespace)
	if len(unseen) == 0 {
		w.Gap = &cluster.Gap{Since: short[0].gap.Since, Reason: metric.GapMember, Detail: of + short[0].Pod.Name + ": " + short[0].gap.Detail}
		return
	}
	machines := machinesOf(p.snap)
	gap, ok := absence(unseen[0], machines, p.snap.Time)
	if m := machines[unseen[0].Pod.Node]; !ok && m != nil && m.Gap != nil {
		gap = *gapOf(m.Gap)
	}
	w.Gap = &cluster.Gap{Since: gap.Since, Reason: metric.GapMember, Detail: of + unseen[0].Pod.Name + ": " + gap.Detail}
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
