package live

import (
	"cmp"
	"runtime"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// plan is the tree as it was at one moment, in order of level and name. It belongs to whoever holds Picture.walk, who goes through
// it without the tree's lock.
type plan struct {
	spots []spot
	from  [len(levelCounts{}) + 1]int // where each level begins
}

// spot is one unit's place in a plan. Entities never change; what the unit has of itself may have changed since.
type spot struct {
	u            *unit
	entity       *metric.Entity
	parent, node *unit
}

// level returns the spots of one level.
func (pl *plan) level(l metric.Level) []spot { return pl.spots[pl.from[l]:pl.from[l+1]] }

// single says whether all that an entity has is of one machine.
func (pl *plan) single(e *metric.Entity) bool {
	return e.Level == metric.Pod || e.Level == metric.Node || len(pl.level(metric.Node)) == 1
}

// update takes the tree's changes into the plan and returns how many there have been. What the lock is held for is the number of those
// that are new, not that of the units.
func (pl *plan) update(p *Picture) (changes uint64) {
	p.mu.Lock()
	changes = p.tree.changes
	moved := make([]spot, len(p.tree.dirty))
	for i, u := range p.tree.dirty {
		u.dirty, u.planned = false, true
		moved[i] = spot{u, u.entity, u.parent, u.node}
		if u.dead {
			moved[i].entity = nil
		}
	}
	p.tree.dirty = p.tree.dirty[:0]
	if cap(p.tree.dirty) > 1024 {
		p.tree.dirty = nil
	}
	p.mu.Unlock()
	if len(moved) == 0 {
		return changes
	}
	for _, s := range moved {
		s.u.moved = true
	}
	moved = slices.DeleteFunc(moved, func(s spot) bool { return s.entity == nil })
	slices.SortFunc(moved, compareSpots)
	pl.merge(moved)
	return changes
}

// merge puts spots that are in order among those that have not moved.
func (pl *plan) merge(moved []spot) {
	next := make([]spot, 0, len(pl.spots)+len(moved))
	for _, s := range pl.spots {
		if s.u.moved {
			continue
		}
		for len(moved) > 0 && compareSpots(moved[0], s) < 0 {
			next, moved = append(next, moved[0]), moved[1:]
		}
		next = append(next, s)
	}
	next = append(next, moved...)
	pl.from = [len(pl.from)]int{}
	for i, s := range next {
		s.u.spot, s.u.moved = int32(i), false
		pl.from[s.entity.Level+1] = i + 1
	}
	for l := 1; l < len(pl.from); l++ {
		pl.from[l] = max(pl.from[l], pl.from[l-1])
	}
	pl.spots = next
}

func compareSpots(a, b spot) int { return compareNames(a.entity, b.entity) }

// slice is how many series are gone through until somebody who waits for the lock gets it: some tens of microseconds.
const slice = 256

// each calls do for every spot with the picture's lock held, and gives the lock up where somebody waits for it, so that a walk through
// everything holds nobody up.
func (pl *plan) each(p *Picture, do func(i int, s *spot)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	work := 0
	for i := range pl.spots {
		if work > slice && p.mu.waiting.Load() > 0 {
			work = 0
			p.mu.Unlock()
			runtime.Gosched()
			p.mu.Lock()
		}
		s := &pl.spots[i]
		work += 2 + len(s.u.series)
		do(i, s)
	}
}

// compareNames is the order of snapshots: level by level, and there by the names that the level has.
func compareNames(a, b *metric.Entity) int {
	switch {
	case a.Level != b.Level:
		return int(a.Level) - int(b.Level)
	case a.Level == metric.Node:
		return strings.Compare(a.Node, b.Node)
	case a.Level == metric.Pool:
		return strings.Compare(a.Pool, b.Pool)
	case a.Level == metric.Workload:
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.WorkloadKind, b.WorkloadKind), strings.Compare(a.Workload, b.Workload))
	}
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 || a.Level > metric.Pod {
		return c
	}
	if c := strings.Compare(a.Pod, b.Pod); c != 0 {
		return c
	}
	if c := strings.Compare(a.Container, b.Container); c != 0 && a.Level == metric.Container {
		return c
	}
	return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.ID, b.ID))
}
