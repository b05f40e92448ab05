package samples

import (
	"math"

	"plimsoll.dev/plimsoll/internal/store"
)

// newest makes the newest values of what members of a gauge are together, group by group.
type newest struct {
	*rater
	ends   []windowEnd // by step
	begins []int64     // when lives of members begin
	gone   []ended
}

// ended is a life, and the windows in which its last sample is the newest of its member: those that end from one time on, but before another.
type ended struct {
	leaving
	from, before int64
}

// windowEnd is what members are at the end of a window.
type windowEnd struct {
	v       float64 // together, of those that go on
	n       int
	read    int       // members that have a sample in the window, less those that had in the one before
	latest  int64     // the newest sample of those that have ended
	leaving []leaving // those that were there then
}

func newNewest(r *rater) *newest { return &newest{rater: r} }

func (s *newest) begin() {
	if s.ends == nil {
		first, last, step := s.q.Grid()
		s.ends = make([]windowEnd, (last-first)/step+1)
	}
	for i := range s.ends {
		s.ends[i] = windowEnd{leaving: s.ends[i].leaving[:0]}
	}
	s.begins, s.gone = s.begins[:0], s.gone[:0]
}

// member adds a series' samples. One stands until the next, if that comes within MaxInterval and no end was said between them, and the last until the
// next was to come, or while it may still.
func (s *newest) member(m Member) (err error) {
	var (
		x     leaving // its newest sample
		some  bool
		apart pace
		over  bool // an end was said since
	)
	for t, v := range s.floats(m, &err) {
		if math.IsNaN(v) {
			over, x.until = true, min(x.until, t)
			continue
		}
		goesOn := some && !over && t-x.at <= store.MaxInterval.Milliseconds()
		switch {
		case goesOn:
			s.hold(&x, t)
			apart.sample(t - x.at)
		case some:
			s.gone = append(s.gone, ended{x, x.at, t})
		}
		if !goesOn {
			apart, x.begun = pace{}, t
			s.begins = append(s.begins, t)
		}
		x.at, x.until, x.v, some, over = t, t+apart.next(), v, true, false
	}
	if due := x.at + apart.late(); some && !over && due >= s.Now {
		s.hold(&x, x.until)
		s.gone = append(s.gone, ended{leaving{x.at, due + 1, x.begun, x.v}, x.until, math.MaxInt64})
	} else if some {
		s.gone = append(s.gone, ended{x, x.at, math.MaxInt64})
	}
	return err
}

// each gives the windows that end from one time on, but before another.
func (s *newest) each(from, before int64, do func(*windowEnd)) {
	first, _, step := s.q.Grid()
	k := int64(0)
	if from > first {
		k = (from - first + step - 1) / step
	}
	for ; k < int64(len(s.ends)) && first+k*step < before; k++ {
		do(&s.ends[k])
	}
}

// hold adds a sample that stands until a time.
func (s *newest) hold(x *leaving, until int64) {
	s.each(x.at, until, func(e *windowEnd) { e.v, e.n = e.v+x.v, e.n+1 })
	s.reads(x.at)
}

// reads notes a sample in the windows that have it.
func (s *newest) reads(at int64) {
	first, _, step := s.q.Grid()
	k := max(at-first+step-1, 0) / step
	if end := (at + s.q.Back.Milliseconds() - first + step - 1) / step; k < int64(len(s.ends)) && end > k {
		if s.ends[k].read++; end < int64(len(s.ends)) {
			s.ends[end].read--
		}
	}
}

// leave adds a member that has ended. Kept are those that may have been there when the last of them was.
func (e *windowEnd) leave(x leaving) {
	if x.until <= e.latest {
		return
	}
	if x.at > e.latest {
		e.latest = x.at
		kept := e.leaving[:0]
		for _, l := range e.leaving {
			if l.until > x.at {
				kept = append(kept, l)
			}
		}
		e.leaving = kept
	}
	e.leaving = append(e.leaving, x)
}

// windows makes a group's points. Who has ended counts while its next sample would not have come, unless another came after it; where nobody goes on, all count that were there
// when the last of them was.
func (s *newest) windows() {
	all := make([]*leaving, len(s.gone))
	for i := range s.gone {
		all[i] = &s.gone[i].leaving
	}
	succeed(all, s.begins)
	for _, g := range s.gone {
		s.reads(g.at)
		s.each(g.from, min(g.before, max(g.at+s.q.Back.Milliseconds(), g.until)), func(e *windowEnd) { e.leave(g.leaving) })
	}
	first, _, step := s.q.Grid()
	read := 0
	for i := range s.ends {
		e, t := &s.ends[i], first+int64(i)*step
		read += e.read
		v, n := e.v, e.n
		for _, l := range e.leaving {
			if e.n == 0 || l.until > t {
				v, n = v+l.v, n+1
			}
		}
		switch {
		case n == 0, read == 0:
			continue
		case s.q.Join == store.Count:
			v = float64(n)
		case s.q.Join == store.Avg:
			v /= float64(n)
		}
		s.at = append(s.at, store.Sample{T: t, V: v})
	}
}
