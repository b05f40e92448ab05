package live

import (
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// ends notes whether a pass has points of a roll-up, and returns as what it has ended since the pass before, where it has: a history that is not told takes a thing to be there for a
// while, also beside a pod of its name that began on another machine.
func (r *rollup) ends(as *metric.Entity, given, ended bool) *metric.Entity {
	was := r.given
	moved := was != nil && identity.LineOf(was) != identity.LineOf(as)
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
