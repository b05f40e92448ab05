package live

import (
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// another says whether a roll-up that had points as one entity has another line in the history as what it is now: its pod is on another machine, or it is known now whose it is.
func another(was, is *metric.Entity) bool {
	return was != nil && was != is && identity.LineOf(was) != identity.LineOf(is)
}

// settle has counters begin at 0 in another line, whose growth would have that of the one before in it when the pod comes back there.
func (r *rollup) settle() {
	r.start = 0
	for i := range r.cells {
		r.cells[i].sum, r.cells[i].sent = 0, 0
	}
}

// ends notes what a pass has of a roll-up, and returns what of it has ended since the pass before, where something has: a history that is not told takes a thing to be there for a
// while, also beside a pod of its name that began on another machine. All of it has, or a row that is a sum of what nothing in it has any more, and that none of them lacks. own are the rows that somebody says of it.
func (r *rollup) ends(it *Item, g *metric.Group, own *metric.Set) (metric.Gap, bool) {
	var rows metric.Set
	for i := range g.Points {
		if id := g.Points[i].ID; metric.Get(id).Kind == metric.Gauge && id != metric.MissingParts {
			rows.Add(id)
		}
	}
	was, moved, given := r.given, another(r.given, it.Entity), len(g.Points) > 0
	ended := r.rows.Less(&rows).Less(&it.Lacks).Less(own)
	if r.rows = rows; it.Silent() {
		ended = metric.Set{}
	}
	switch {
	case given:
		r.given, r.line = it.Entity, it.Entity
	case moved, it.Ended:
		r.given, r.rows = nil, metric.Set{}
	}
	switch {
	case was == nil:
	case moved, !given && it.Ended:
		return metric.Gap{Entity: was, Reason: metric.GapGone, Detail: "nothing of it is there any more"}, true
	case ended != metric.Set{}:
		return metric.Gap{Entity: was, Rows: ended, Reason: metric.GapMember, Detail: "nothing in it has these any more"}, true
	}
	return metric.Gap{}, false
}

// emptied adds the ends of the sums that were removed since the pass before, as what was in them has other names, to a pass in which they have no points again.
func (p *Picture) emptied(to *metric.Batch) {
	p.mu.Lock()
	left := p.tree.emptied
	p.tree.emptied = nil
	p.mu.Unlock()
	if len(left) == 0 {
		return
	}
	there := map[identity.Line]bool{}
	for i := range to.Groups {
		there[identity.LineOf(to.Groups[i].Entity)] = true
	}
	for _, e := range left {
		if !there[identity.LineOf(e)] {
			to.Gaps = append(to.Gaps, metric.Gap{Entity: e, Reason: metric.GapGone, Detail: "what was in it has another name"})
		}
	}
}
