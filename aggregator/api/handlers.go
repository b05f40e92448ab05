package api

import (
	"net/http"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/serve"
)

// shows makes a handler that answers with something of the newest picture.
func (a *API) shows(answer func(p *picture, now time.Time, sel selection) any, allowed ...string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		p := params.Read(r, allowed...)
		sel := selectionOf(p)
		if p.Err != nil {
			return p.Err
		}
		now := time.Now()
		return serve.WriteJSON(w, answer(a.picture(now), now, sel))
	}
}

func (a *API) overview(p *picture, now time.Time, sel selection) Overview {
	rows, found := sel.of(p.containers)
	o := Overview{
		Schema: "plimsoll.dev/overview/v1", Time: p.time, Version: a.opts.Version,
		Since: a.opts.Since.UTC(), Interval: a.opts.Interval.Seconds(),
		Node: p.node, Nodes: p.nodes, Scaled: a.scaled(now),
		Containers: rows, Total: len(p.containers), Found: found,
		Conditions: append([]condition.Condition{}, silent(p.snap)...),
	}
	if a.opts.Conditions != nil {
		o.Conditions = append(o.Conditions, a.opts.Conditions(now)...)
	}
	return o
}

// missing lists gaps where they are: a roll-up that lacks a member, or has ended with it, is told by the member's own entry, and what is on a silent machine by
// that machine's. The largest things come first, then the oldest gaps.
func missing(s *live.Snapshot) []MissingItem {
	out, machines := []MissingItem{}, silences(s)
	const noCPU = "no sample of its CPU: the kernel does not account for it (on cgroup v1: the cgroup is in no cpuacct hierarchy)"
	for _, list := range [][]*live.Item{s.Nodes, s.Namespaces, s.Workloads, s.Pods, s.Containers} {
		from := len(out)
		for _, it := range list {
			if unaccounted(it, s.Time) {
				out = append(out, MissingItem{Level: it.Entity.Level.String(), Title: TitleOf(it.Entity), ID: idOf(it.Entity), Node: it.Entity.Node,
					Gap: cluster.Gap{Since: it.First.UTC(), Reason: metric.GapUnaccounted, Detail: noCPU}})
			}
			if it.Gap == nil || it.Gap.Reason == metric.GapMember || it.Ended && len(it.Items) > 0 {
				continue
			}
			gap := *gapOf(it.Gap)
			m, silent := machines[it.Entity.Node]
			if it.Entity.Level != metric.Node && (silent || it.Silent()) {
				continue
			}
			if silent {
				gap = m
			}
			out = append(out, MissingItem{Level: it.Entity.Level.String(), Title: TitleOf(it.Entity), ID: idOf(it.Entity), Node: it.Entity.Node, Gap: gap})
		}
		slices.SortStableFunc(out[from:], func(a, b MissingItem) int { return a.Since.Compare(b.Since) })
	}
	return out
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
