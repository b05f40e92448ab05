package samples

import (
	"time"

	"github.com/prometheus/prometheus/model/value"

	"plimsoll.dev/plimsoll/internal/store"
)

const (
	// moment is how often history has a sample, and late how far apart two are between which none is missing, half an interval late at most.
	moment, late = 10 * time.Second, 15 * time.Second
	// maxMoments is the most moments of a group's sum in memory, and maxLooks how many are looked at for all its points. PromQL does more, less exactly.
	maxMoments, maxLooks = 1_000_000, 4_000_000
)

// summer makes the sums of a gauge at every moment, group by group, and from these the points.
type summer struct {
	*rater
	base, every int64 // moment k is (base+k*every, base+(k+1)*every], Unix milliseconds
	cut         int64 // samples up to it are before the first window
	n           int64 // moments
	at          []together
}

// together is what members are together at a moment. Whoever ended in it did not meet whoever began in it. A moment counts if some member has a sample
// of it, or one that holds until then: who has missed some is what it was, beside others, and alone it is nothing.
type together struct {
	stay, ended, begun      float64
	stays, ends, beginnings int32
	counts, fresh           bool    // fresh: somebody began in it, whether or not that one goes on
	may                     float64 // of whom the next sample may still come
}

// newSummer returns nil where a query is not about sums of a gauge, or where there would be too many moments.
func newSummer(r *rater) *summer {
	q := r.q
	if !q.Meets() || q.Func == store.Rate {
		return nil
	}
	every, back := moment.Milliseconds(), q.Back.Milliseconds()
	first, last, step := q.Grid()
	if q.Step > 0 {
		every = gcd(every, step)
	}
	n := (back + every - 1) / every
	if every < 1000 || n+(last-first)/every > maxMoments || n*((last-first)/step+1) > maxLooks {
		return nil
	}
	return &summer{rater: r, base: first - n*every, every: every, cut: first - back, n: n + (last-first)/every}
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (s *summer) begin() {
	if s.at == nil {
		s.at = make([]together, s.n)
	}
	clear(s.at)
}

// member adds a series' samples. One stands until the next, if that comes within MaxInterval and no end was said between them.
func (s *summer) member(m Member) (err error) {
	var (
		k     = int64(-1) // the moment of the sample before, whose value is v, and whose time t
		t     int64
		v     float64
		some  bool
		begun bool  // in that moment
		over  bool  // an end was said since
		apart int64 // how long the sample before came after its own
	)
	end := int64(len(s.at))
	stand := func(to int64, goesOn, misses, may bool) { // of the sample before
		if some && k >= 0 {
			s.put(k, v, begun, !goesOn && (!may || !begun))
		}
		for i := k + 1; (goesOn || may) && i < to; i++ {
			if goesOn {
				s.hold(i, v, misses)
			} else {
				s.at[i].may += v
			}
		}
	}
	for t2, v2 := range s.floats(m, &err) {
		if value.IsStaleNaN(v2) {
			over = true
			continue
		}
		k2 := int64(-1)
		if t2 > s.cut {
			k2 = min((t2-1-s.base)/s.every, end)
		}
		goesOn := some && !over && t2-t <= store.MaxInterval.Milliseconds()
		misses := t2-t > max(late.Milliseconds(), apart+apart/2)
		switch {
		case some && k == k2 && k >= 0: // all that is before the window is no moment
			v2 = s.both(v, v2)
		default:
			stand(k2, goesOn, misses, false)
			begun = !goesOn
		}
		if apart = 0; goesOn {
			apart = t2 - t
		}
		k, t, v, some, over = k2, t2, v2, true, false
		if k == end { // after it
			return err
		}
	}
	// The next sample of one that has few may still come.
	goesOn := some && !over && apart > late.Milliseconds() && s.base+end*s.every-t <= apart+apart/2
	stand(end, goesOn, false, some && !over && s.base+end*s.every-t <= late.Milliseconds())
	return err
}

// both is what two samples of one moment are.
func (s *summer) both(a, b float64) float64 {
	switch s.q.Func {
	case store.Max:
		return max(a, b)
	case store.Min:
		return min(a, b)
	}
	return b
}

// hold adds a member to a moment of which it has no sample.
func (s *summer) hold(k int64, v float64, misses bool) {
	m := &s.at[k]
	m.stay, m.stays, m.counts = m.stay+v, m.stays+1, m.counts || !misses
}

// put adds a member to a moment of which it has a sample.
func (s *summer) put(k int64, v float64, begun, ended bool) {
	m := &s.at[k]
	m.counts, m.fresh = true, m.fresh || begun
	switch {
	case begun == ended:
		m.stay, m.stays = m.stay+v, m.stays+1
	case begun:
		m.begun, m.beginnings = m.begun+v, m.beginnings+1
	default:
		m.ended, m.ends = m.ended+v, m.ends+1
	}
}

// sum is what members are together at a moment, if any was there. Of whom the next sample may still come counts unless another has begun since.
func (s *summer) sum(k int64) (v float64, ok bool) {
	m := &s.at[k]
	before, after := m.stay+m.ended, m.stay+m.begun
	switch {
	case !m.counts:
		return 0, false
	case m.beginnings == 0:
		if m.may != 0 && !s.begunSince(k) {
			before += m.may
		}
		return before, m.stays+m.ends > 0
	case m.ends == 0:
		return after, true
	case s.q.Func == store.Avg:
		return (before + after) / 2, true
	}
	return s.both(before, after), true
}

// begunSince says whether a member began since those that may go on at a moment had their last sample.
func (s *summer) begunSince(k int64) bool {
	for i := max(k-late.Milliseconds()/s.every-1, 0); i <= k; i++ {
		if s.at[i].fresh {
			return true
		}
	}
	return false
}

// windows makes a group's points.
func (s *summer) windows() {
	first, last, step := s.q.Grid()
	back := s.q.Back.Milliseconds() / s.every
	if s.q.Step == 0 {
		back = int64(len(s.at))
	}
	for t := first; t <= last; t += step {
		to := (t - s.base) / s.every
		total, n := 0.0, 0
		s.sort = s.sort[:0]
		for k := to - back; k < to; k++ {
			v, ok := s.sum(k)
			switch {
			case !ok:
				continue
			case s.q.Func == store.Avg:
				total += v
			case s.q.Func == store.Quantile:
				s.sort = append(s.sort, v)
			case n == 0:
				total = v
			default:
				total = s.both(total, v)
			}
			n++
		}
		if n == 0 {
			continue
		}
		switch s.q.Func {
		case store.Avg:
			total /= float64(n)
		case store.Quantile:
			total = quantile(s.sort, s.q.Q)
		}
		s.rater.at = append(s.rater.at, store.Sample{T: t, V: total})
	}
}
