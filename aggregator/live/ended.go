package live

import (
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// moved says whether a roll-up had another line in the history: its pod is on another machine, or it is known now whose it is.
func (r *rollup) moved(to *metric.Entity) bool {
	return r.given != nil && r.given != to && identity.LineOf(r.given) != identity.LineOf(to)
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
	was, moved, given := r.given, r.moved(it.Entity), len(g.Points) > 0
	ended := r.rows.Less(&rows).Less(&it.Lacks).Less(own)
	if r.rows = rows; it.Silent() {
		ended = metric.Set{}
	}
	switch {
	case given:
		r.given = it.Entity
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
