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

// ends notes whether a pass has points of a roll-up, and returns as what it has ended since the pass before, where it has: a history that is not told takes a thing to be there for a
// while, also beside a pod of its name that began on another machine.
func (r *rollup) ends(as *metric.Entity, given, ended bool) *metric.Entity {
	was, moved := r.given, r.moved(as)
	switch {
	case given:
		r.given = as
	case moved, ended:
		r.given = nil
	}
	if moved || !given && ended {
		return was
	}
	return nil
}
