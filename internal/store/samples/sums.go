package samples

import (
	"cmp"
	"math"
	"slices"
	"time"

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
	begins      []int64 // when lives of members begin
	gone        []gone
	parts       []part
	events      []event
}

// together is what members are together at a moment. It counts if some member has a sample of it, or one that holds until then: who has missed some is what it was, beside
// others, and alone it is nothing.
type together struct {
	stay   float64 // those that are there for all of it
	stays  int32
	counts bool
	read   bool // some member has a sample of it
	parted bool // others are there for a part of it

	v float64 // what they are together
}

// part is a member that is there in (from, to], a part of moment k. A sample tells of the millisecond that it ends.
type part struct {
	k, from, to int64
	v           float64
}

// gone is a life of a member whose last sample is of moment k.
type gone struct {
	k    int64
	born int64 // in that moment, or else 0
	leaving
}

// event is that a member comes, or that one goes.
type event struct {
	at    int64
	comes bool
	v     float64
}

// newSummer returns nil where a query is not about sums of a gauge, or where there would be too many moments.
func newSummer(r *rater) *summer {
	q := r.q
	if !q.Sums() || q.Func == store.Rate {
		return nil
	}
	every, back := moment.Milliseconds(), q.Back.Milliseconds()
	first, last, step := q.Grid()
	if q.Step > 0 {
		every = gcd(every, step)
		if fine := gcd(every, back); fine >= 1000 { // then a window is a whole number of moments
			every = fine
		}
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
	s.begins, s.gone, s.parts = s.begins[:0], s.gone[:0], s.parts[:0]
}

// start is when a moment begins, which the first does with the first window.
func (s *summer) start(k int64) int64 { return max(s.base+k*s.every, s.cut) }

// member adds a series' samples. One stands until the next, if that comes within MaxInterval and no end was said between them. The last of a life stands until the next was to come, or
// until the end that was said; up to now, until the next has come late.
func (s *summer) member(m Member) (err error) {
	var (
		k     = int64(-1) // the moment of the sample before, whose value is v, and whose time t
		t     int64
		v     float64
		some  bool
		begun int64 // its life
		born  int64 // the same, if that is in that moment, or else 0
		apart pace
		over  bool // an end was said since, at said
		said  int64
	)
	end := int64(len(s.at))
	leave := func(until int64) {
		s.gone = append(s.gone, gone{k, born, leaving{at: t, until: until, begun: begun, v: v}})
	}
	for t2, v2 := range s.floats(m, &err) {
		if math.IsNaN(v2) {
			if some && !over {
				over, said = true, t2
			}
			continue
		}
		k2 := int64(-1)
		if t2 > s.cut {
			k2 = min((t2-1-s.base)/s.every, end)
		}
		switch goesOn := some && !over && t2-t <= store.MaxInterval.Milliseconds(); {
		case goesOn && k == k2 && k >= 0: // all that is before the window is no moment
			v2 = s.both(v, v2)
			apart.sample(t2 - t)
		case goesOn:
			s.stand(k, k2, born, v, t2-t > max(late.Milliseconds(), apart.late()))
			born = 0
			apart.sample(t2 - t)
		default:
			switch until := t + apart.next(); {
			case over:
				leave(min(until, said))
			case some:
				leave(until)
			}
			begun, born, apart = t2, t2, pace{}
			s.begins = append(s.begins, t2)
		}
		k, t, v, some, over = k2, t2, v2, true, false
		if k == end { // after it
			return err
		}
	}
	switch next := t + apart.next(); {
	case !some:
	case over:
		leave(min(next, said))
	case next >= s.Now: // it is still to come
		s.stand(k, end, born, v, true)
	case t+max(apart.late(), late.Milliseconds()) >= s.Now:
		leave(s.start(end))
	default:
		leave(next)
	}
	return err
}

// stand adds a member from the moment of its sample up to another one, and says whether it misses samples by then.
func (s *summer) stand(k, to, born int64, v float64, misses bool) {
	if k >= 0 {
		s.put(k, born, s.start(k+1), v)
	}
	for i := k + 1; i < to; i++ {
		m := &s.at[i]
		m.stay, m.stays, m.counts = m.stay+v, m.stays+1, m.counts || !misses
	}
}

// put adds a member to a moment of which it has a sample.
func (s *summer) put(k, born, to int64, v float64) {
	m := &s.at[k]
	if m.counts, m.read = true, true; born-1 <= s.start(k) && to >= s.start(k+1) {
		m.stay, m.stays = m.stay+v, m.stays+1
		return
	}
	m.parted = true
	s.parts = append(s.parts, part{k, max(born-1, s.start(k)), min(to, s.start(k+1)), v})
}

// leave adds who has no further sample.
func (s *summer) leave() {
	all := make([]*leaving, len(s.gone))
	for i := range s.gone {
		all[i] = &s.gone[i].leaving
	}
	succeed(all, s.begins)
	for _, g := range s.gone {
		if g.k >= 0 {
			s.put(g.k, g.born, g.until, g.v)
		}
		for k := g.k + 1; k < int64(len(s.at)) && s.start(k) < g.until; k++ {
			s.at[k].parted = true
			s.parts = append(s.parts, part{k, s.start(k), min(g.until, s.start(k+1)), g.v})
		}
	}
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

// settle makes what members are together at each moment.
func (s *summer) settle() {
	s.leave()
	slices.SortFunc(s.parts, func(a, b part) int { return cmp.Compare(a.k, b.k) })
	parts := s.parts
	for k := range s.at {
		m := &s.at[k]
		if m.v = m.stay; !m.parted {
			m.counts = m.counts && m.stays > 0
			continue
		}
		n := 0
		for n < len(parts) && parts[n].k == int64(k) {
			n++
		}
		s.sweep(m, int64(k), parts[:n])
		parts = parts[n:]
	}
}

// sweep makes what members are together at a moment of which some have a part. The least is that of its begin, and of when the last has come: that samples are of different seconds makes no
// least of those that come, or go, at once.
func (s *summer) sweep(m *together, k int64, parts []part) {
	s.events = s.events[:0]
	for _, p := range parts {
		s.events = append(s.events, event{p.from, true, p.v}, event{p.to, false, p.v})
	}
	slices.SortFunc(s.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	greatest, least := math.Inf(-1), math.Inf(1)
	v, n, at := m.stay, m.stays, s.start(k)
	integral, length := 0.0, int64(0) // over the time that any is there
	came := at
	for _, p := range parts {
		came = max(came, p.from)
	}
	for i := 0; ; {
		for ; i < len(s.events) && s.events[i].at <= at; i++ {
			if e := s.events[i]; e.comes {
				v, n = v+e.v, n+1
			} else {
				v, n = v-e.v, n-1
			}
		}
		if n == m.stays {
			v = m.stay // nothing is left of rounding
		}
		to := s.start(k + 1)
		if i < len(s.events) {
			to = min(to, s.events[i].at)
		}
		if n > 0 && to > at {
			greatest = max(greatest, v)
			if at == s.start(k) || at == came {
				least = min(least, v)
			}
			integral, length = integral+v*float64(to-at), length+to-at
		}
		if at = to; at >= s.start(k+1) {
			break
		}
	}
	m.counts = m.counts && length > 0
	switch {
	case s.q.Func == store.Max:
		m.v = greatest
	case s.q.Func == store.Min:
		m.v = least
	case m.counts:
		m.v = integral / float64(length)
	}
}

// windows makes a group's points.
func (s *summer) windows() {
	s.settle()
	first, last, step := s.q.Grid()
	back := max(s.q.Back.Milliseconds()/s.every, 1)
	if s.q.Step == 0 {
		back = int64(len(s.at))
	}
	for t := first; t <= last; t += step {
		to := (t - s.base) / s.every
		total, n, read := 0.0, 0, false
		s.sort = s.sort[:0]
		for k := to - back; k < to; k++ {
			m := &s.at[k]
			read = read || m.read
			switch {
			case !m.counts:
				continue
			case s.q.Func == store.Avg:
				total += m.v
			case s.q.Func == store.Quantile:
				s.sort = append(s.sort, m.v)
			case n == 0:
				total = m.v
			default:
				total = s.both(total, m.v)
			}
			n++
		}
		if n == 0 || !read {
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
