package live

import (
	"math"

	"plimsoll.dev/plimsoll/internal/metric"
)

// series is one row (and sub) of one entity: a ring of the newest samples. A sample takes three words: its
// time in milliseconds after its samples' base, and the two halves of the value. That, one slice for each
// series and no string but the entity's own table, is what keeps a container small.
type series struct {
	id   metric.ID
	sub  uint16 // index into the subs of its samples
	head uint16 // the oldest sample
	n    uint16
	lane lane // the lane that the newest sample came by
	buf  []uint32
	// pending is what a counter has grown by since the last roll-up counted it.
	pending float64
}

func (s *series) slots() int { return len(s.buf) / 3 }

// words are those of the i-th oldest sample.
func (s *series) words(i int) []uint32 {
	k := int(s.head) + i
	if c := s.slots(); k >= c {
		k -= c
	}
	return s.buf[3*k : 3*k+3]
}

// at returns the i-th oldest sample.
func (s *series) at(i int) (t uint32, v float64) {
	w := s.words(i)
	return w[0], math.Float64frombits(uint64(w[1]) | uint64(w[2])<<32)
}

func (s *series) set(i int, t uint32, v float64) {
	w, bits := s.words(i), math.Float64bits(v)
	w[0], w[1], w[2] = t, uint32(bits), uint32(bits>>32)
}

// newest returns the newest sample; there must be one.
func (s *series) newest() (t uint32, v float64) { return s.at(int(s.n) - 1) }

// clear forgets the samples. What the counter has grown by stays to be rolled up.
func (s *series) clear() { s.head, s.n = 0, 0 }

// push appends a sample that is newer than the newest. The ring grows only while its oldest sample is
// younger than keep, and never beyond limit slots.
func (s *series) push(t uint32, v float64, keep uint32, limit int) {
	if c := s.slots(); int(s.n) == c {
		old := uint32(0)
		if c > 0 {
			old, _ = s.at(0)
		}
		if c > 0 && (t-old > keep || c >= limit) {
			s.head++
			if int(s.head) == c {
				s.head = 0
			}
			s.n--
		} else {
			s.grow(min(max(2, c+(c+1)/2), limit))
		}
	}
	s.n++
	s.set(int(s.n)-1, t, v)
}

func (s *series) grow(slots int) {
	next := make([]uint32, 3*slots)
	a := copy(next, s.buf[3*int(s.head):])
	copy(next[a:], s.buf[:3*int(s.head)])
	s.buf, s.head = next, 0
}

// shift moves the times by d milliseconds when the samples get a new base; samples that fall out of the range are dropped.
func (s *series) shift(d int64) {
	for s.n > 0 {
		if t, _ := s.at(0); int64(t) >= d {
			break
		}
		s.head = uint16((int(s.head) + 1) % s.slots())
		s.n--
	}
	for i := range int(s.n) {
		t, v := s.at(i)
		s.set(i, uint32(int64(t)-d), v)
	}
}

// rate returns the two-point rate per second of the newest samples and the seconds' worth of time between them in
// milliseconds; zero when there are fewer than two.
func (s *series) rate() (perSecond float64, window uint32) {
	if s.n < 2 {
		return 0, 0
	}
	t1, v1 := s.at(int(s.n) - 1)
	t0, v0 := s.at(int(s.n) - 2)
	return (v1 - v0) / float64(t1-t0) * 1000, t1 - t0
}

// mean returns the mean over the newest w milliseconds, the newest sample's time and the time really covered. Samples further
// apart than gap are not joined: the value was stale between them, and after a clock that was set forward what a second used would be
// spread over all that was jumped, which looks like no load at all.
func (s *series) mean(kind metric.Kind, w, gap int64) (v float64, newest, window int64) {
	last := int(s.n) - 1
	t1, v1 := s.at(last)
	first := s.since(int64(t1)-w, gap, kind == metric.Counter)
	t0, v0 := s.at(first)
	window = int64(t1) - int64(t0)
	if kind == metric.Counter {
		if window == 0 {
			return 0, int64(t1), 0
		}
		return (v1 - v0) / float64(window) * 1000, int64(t1), window
	}
	sum := 0.0
	for i := first; i <= last; i++ {
		_, x := s.at(i)
		sum += x
	}
	return sum / float64(last-first+1), int64(t1), window
}

// since returns the index of the sample nearest to time t on this side of the newest gap; for a counter at least one before
// the newest, if there is one.
func (s *series) since(t, gap int64, counter bool) int {
	last := int(s.n) - 1
	i := last
	for i > 0 {
		here, _ := s.at(i)
		next, _ := s.at(i - 1)
		must := counter && i == last
		if int64(here)-int64(next) > gap || !must && abs(int64(next)-t) > abs(int64(here)-t) {
			break
		}
		i--
	}
	return i
}

func abs(x int64) int64 { return max(x, -x) }
