package live

import (
	"math"

	"plimsoll.dev/plimsoll/internal/metric"
)

// lane is the way a sample came.
type lane uint8

const (
	full lane = iota
	fast
	numLanes
)

func laneOf(b *metric.Batch) lane {
	if b.Fast {
		return fast
	}
	return full
}

// series is one row (and sub) of one entity: a ring of the newest samples. A sample takes three words: its
// time in milliseconds after the unit's base, and the two halves of the value. That, one slice for each
// series and no string but the unit's own table, is what keeps a container small.
type series struct {
	id   metric.ID
	sub  uint16 // index into the unit's subs
	head uint16 // the oldest sample
	n    uint16
	lane lane // the lane that the newest sample came by
	buf  []uint32
	// pending is what a counter has grown by since the last roll-up took it.
	pending float64
}

func (s *series) slots() int { return len(s.buf) / 3 }

// at returns the i-th oldest sample.
func (s *series) at(i int) (t uint32, v float64) {
	k := int(s.head) + i
	if c := s.slots(); k >= c {
		k -= c
	}
	w := s.buf[3*k : 3*k+3]
	return w[0], math.Float64frombits(uint64(w[1]) | uint64(w[2])<<32)
}

func (s *series) set(i int, t uint32, v float64) {
	k := int(s.head) + i
	if c := s.slots(); k >= c {
		k -= c
	}
	bits := math.Float64bits(v)
	w := s.buf[3*k : 3*k+3]
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

// shift moves the times by d milliseconds when the unit gets a new base; samples that fall out of the range are dropped.
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
