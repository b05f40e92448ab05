package live

import (
	"fmt"
	"slices"

	"plimsoll.dev/plimsoll/internal/metric"
)

// What crashes and is started again has somebody who runs it, counts that, and has it still while there is nothing to be measured.

// waits says whether a unit does not run while whoever runs it has it still, and tells how often it was started again: it crashed, and waits for its next life.
func (t *tree) waits(u *unit, now int64) bool {
	if !u.told || u.gap != nil && !(u.gap.Reason == metric.GapGone && u.kept()) {
		return false
	}
	k, ok := u.find(0, metric.Restarts, "")
	if !ok {
		return false
	}
	if h := u.pair(&u.series[k]); !u.current(&h, t.limits, now) || u.base+int64(h.last.t) <= u.read {
		return false
	}
	switch {
	case u.gap != nil:
		return true
	case u.read == 0: // by the fast lane it would have been measured by now
		return u.last[fast] != 0 && u.last[fast]-u.first > u.limit(t.limits, fast)
	}
	return t.left(u, u.mainLane(), u.read)
}

// kept says whether whoever runs a unit has told of it since it was said not to be there.
func (u *unit) kept() bool { return u.told && u.newest() >= u.gap.Since.UnixMilli() }

// unheardWaiting says whether a unit waited for its next life when its machine was heard of last.
func (t *tree) unheardWaiting(u *unit) bool {
	return u.told && u.unread() && u.kept() && u.newest() > u.read && t.withMachine(u)
}

// unread says whether the newest that is said of a unit is that it is not there to be read.
func (u *unit) unread() bool { return u.gap != nil && u.gap.Reason == metric.GapGone }

// tell notes that some sender counts the restarts. What was counted here is void.
func (s *samples) tell() {
	if s.told {
		return
	}
	s.told = true
	s.uncount()
}

// uncount forgets how many restarts there were.
func (s *samples) uncount() {
	if k, ok := s.find(0, metric.Restarts, ""); ok {
		s.empty(k)
	}
}

// forgetLives forgets what is counted over all lives: it is another thing. What was told since that was born is its own, by its name alone; 0: nobody knows when it was.
func (s *samples) forgetLives(born int64) {
	for k := range s.series {
		x := &s.series[k]
		if h := s.pair(x); x.id.OfAllLives() && h.n > 0 && (born == 0 || s.base+int64(h.last.t) < born) {
			s.empty(k)
		}
	}
}

// lived says whether more than 0 was told of what is counted over all lives.
func (s *samples) lived() bool {
	return slices.ContainsFunc(s.series, func(x series) bool {
		h := s.pair(&x)
		return x.id.OfAllLives() && h.n > 0 && h.last.v() > 0
	})
}

// born is when the pod of a container began, as the cluster says, in Unix milliseconds; 0: nobody knows.
func (t *tree) born(e *metric.Entity) int64 {
	if t.pods == nil || e.Level != metric.Container {
		return 0
	}
	since, known := t.pods(e.Namespace, e.Pod)
	if !known {
		return 0
	}
	return unixMilli(since)
}

// whole has a sample of what is counted over all lives be growth from 0, where it is the first of its pod and no sum has any of that: the pod began after sums did, and nothing can have been told of
// it that is forgotten.
func (s *samples) whole(in *intake, k int, pt *metric.Point) {
	if pt.ID == metric.Restarts && !s.told { // those that were seen here may be of another thing
		return
	}
	born, last := in.tree.born(in.of), int64(0)
	if h := s.pair(&s.series[k]); h.n > 0 {
		last = s.base + int64(h.last.t)
	}
	if in.began == 0 || born <= max(in.began, last) || born >= pt.T || pt.T-born > in.forget && (in.steady == 0 || born <= in.steady) {
		return
	}
	g := s.growth(k)
	if g.t == never {
		g.t = uint32(max(0, min(max(born, in.rolled), pt.T-1)-s.base))
	}
	g.sample = newSample(g.t, g.v()+pt.V)
}

// again is how many restarts whoever runs it has told last, however long ago; 0 where it has told none yet.
func (s *samples) again() int {
	if k, ok := s.find(0, metric.Restarts, ""); ok {
		if h := s.pair(&s.series[k]); h.n > 0 {
			return int(h.last.v())
		}
	}
	return 0
}

// times is a number of times.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// measured is when a unit was last measured, in Unix milliseconds: what is told of it besides says nothing of whether it runs.
func (u *unit) measured() int64 {
	if u.told {
		return u.read
	}
	return u.newest()
}
