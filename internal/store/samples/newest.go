package samples

import (
	"math"

	"github.com/prometheus/prometheus/model/value"

	"plimsoll.dev/plimsoll/internal/store"
)

// newest makes the newest values of what members of a gauge are together, group by group.
type newest struct {
	*rater
	ends []windowEnd // by step
	step int         // the first one that the member at hand has nothing in yet
}

// windowEnd is what members are at the end of a window.
type windowEnd struct {
	v       float64 // together, of those that go on
	n       int
	begun   int64     // when the last of them began
	latest  int64     // the newest sample of those that have ended
	leaving []leaving // those that were there then
}

// leaving is the last sample of a member, and up to when it may have been there: it ended before the next one would have come.
type leaving struct {
	at, until int64
	begun     int64
	v         float64
}

// held is a member's newest sample for some time.
type held struct {
	at, until int64 // and when the next was to come
	v         float64
	begun     int64 // the first of those that followed one another
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
}

// member adds a series' samples. One stands until the next, if that comes within MaxInterval and no end was said between them, and the last until the
// next was to come, or while it may still.
func (s *newest) member(m Member) (err error) {
	var (
		x     held
		some  bool
		apart pace
		over  bool // an end was said since
	)
	s.step = 0
	for t, v := range s.floats(m, &err) {
		if value.IsStaleNaN(v) {
			over, x.until = true, min(x.until, t)
			continue
		}
		goesOn := some && !over && t-x.at <= store.MaxInterval.Milliseconds()
		if some {
			s.hold(&x, t, goesOn)
		}
		if goesOn {
			apart.sample(t - x.at)
			x = held{t, t + apart.next(), v, x.begun}
		} else {
			apart = pace{}
			x = held{t, t + apart.next(), v, t}
		}
		some, over = true, false
	}
	if due := x.at + apart.late(); some && !over && due >= s.Now {
		s.hold(&x, x.until, true)
		x.until = due + 1
	}
	if some {
		s.hold(&x, math.MaxInt64, false)
	}
	return err
}

// hold adds a sample to the windows that end at it or later, but before a time, and have no newer one.
func (s *newest) hold(x *held, before int64, goesOn bool) {
	first, _, step := s.q.Grid()
	before = min(before, x.at+s.q.Back.Milliseconds())
	for ; s.step < len(s.ends); s.step++ {
		end := first + int64(s.step)*step
		if end >= before {
			return
		}
		if end < x.at {
			continue
		}
		to := &s.ends[s.step]
		if to.begun = max(to.begun, x.begun); goesOn {
			to.v, to.n = to.v+x.v, to.n+1
		} else {
			to.leave(leaving{x.at, x.until, x.begun, x.v})
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

// windows makes a group's points. Who has ended counts while its next sample would not have come, unless another has begun since; where nobody goes on, all count that were there
// when the last of them was.
func (s *newest) windows() {
	first, _, step := s.q.Grid()
	for i := range s.ends {
		e, t := &s.ends[i], first+int64(i)*step
		v, n := e.v, e.n
		for _, l := range e.leaving {
			if (l.at > e.begun || l.begun == e.begun) && (e.n == 0 || l.until > t) {
				v, n = v+l.v, n+1
			}
		}
		switch {
		case n == 0:
			continue
		case s.q.Join == store.Count:
			v = float64(n)
		case s.q.Join == store.Avg:
			v /= float64(n)
		}
		s.at = append(s.at, store.Sample{T: t, V: v})
	}
}
