package live

import (
	"math"

	"plimsoll.dev/plimsoll/internal/metric"
)

// series is one row (and sub) of one entity: its two newest samples, of which its value and its rate are. Where windows are asked of a row its
// samples are in a ring, and only what it is of is here. A container has dozens, so there is no pointer in it, and a snapshot has the same ones as
// the picture: samples.mine says when they may be written.
type series struct {
	id   metric.ID
	sub  uint16 // index into the subs of its samples
	ring uint8  // index into the rings of its samples, plus one; 0: it has none
	n    uint8  // how many of the two there are; a series that begins anew has none
	lane lane   // the lane that the newest sample came by
	two  [2]sample
}

// pair is what there is of a series that has no ring.
func (x *series) pair() pair {
	return pair{prev: x.two[0], last: x.two[1], n: uint16(x.n), lane: x.lane}
}

// sample is a value at a time, in milliseconds after its samples' base. The value is in two halves, so that it takes three words.
type sample struct{ t, lo, hi uint32 }

func newSample(t uint32, v float64) sample {
	bits := math.Float64bits(v)
	return sample{t, uint32(bits), uint32(bits >> 32)} //nolint:gosec // the lower half is meant
}

func (x sample) v() float64 { return math.Float64frombits(uint64(x.lo) | uint64(x.hi)<<32) }

// growth is what a counter has grown by since the last roll-up counted it, and since when: never if no sample came since.
type growth struct{ sample }

const never = math.MaxUint32

var none = growth{sample{t: never}}

// pair is what there is of a series: how many samples, and the newest two, the older one of which is there if they are two.
type pair struct {
	prev, last sample
	n          uint16
	lane       lane
}

// rate returns the two-point rate per second of the newest samples and the time between them in
// milliseconds; zero when there are fewer than two.
func (h *pair) rate() (perSecond float64, window uint32) {
	if h.n < 2 {
		return 0, 0
	}
	window = h.last.t - h.prev.t
	return (h.last.v() - h.prev.v()) / float64(window) * 1000, window
}

// ring has the newest samples of a row of which windows are asked.
type ring struct {
	buf   []sample
	head  uint16 // the oldest sample
	n     uint16 // how many there are
	lane  lane   // the lane that the newest sample came by
	grown growth
}

// at returns the i-th oldest sample.
func (s *ring) at(i int) *sample {
	k := int(s.head) + i
	if c := len(s.buf); k >= c {
		k -= c
	}
	return &s.buf[k]
}

// newest returns the newest sample; there must be one.
func (s *ring) newest() *sample { return s.at(int(s.n) - 1) }

func (s *ring) pair() pair {
	h := pair{n: s.n, lane: s.lane}
	if s.n > 0 {
		h.last = *s.newest()
	}
	if s.n > 1 {
		h.prev = *s.at(int(s.n) - 2)
	}
	return h
}

// push appends a sample that is newer than the newest. The ring grows only while its oldest sample is
// younger than keep, and never beyond limit slots.
func (s *ring) push(x sample, keep uint32, limit int) {
	if c := len(s.buf); int(s.n) == c {
		if c > 0 && (c >= limit || x.t-s.at(0).t > keep) {
			s.head++
			if int(s.head) == c {
				s.head = 0
			}
			s.n--
		} else {
			room := max(2, c+(c+1)/2)
			if c > 2 { // no more than will be in use, at the pace so far
				room = min(room, max(c+1, int(uint64(c)*uint64(keep)/uint64(max(1, x.t-s.at(0).t)))+2))
			}
			next := make([]sample, min(room, limit))
			k := copy(next, s.buf[s.head:])
			copy(next[k:], s.buf[:s.head])
			s.buf, s.head = next, 0
		}
	}
	s.n++
	*s.newest() = x
}

// mean returns the mean over the newest w milliseconds, the newest sample's time and the time really covered. Samples further
// apart than gap are not joined: the value was stale between them, and after a clock that was set forward what a second used would be
// spread over all that was jumped, which looks like no load at all.
func (s *ring) mean(kind metric.Kind, w, gap int64) (v float64, newest, window int64) {
	last := s.newest()
	from := s.since(int64(last.t)-w, gap, kind == metric.Counter)
	first := s.at(from)
	newest, window = int64(last.t), int64(last.t)-int64(first.t)
	if kind == metric.Counter {
		if window == 0 {
			return 0, newest, 0
		}
		return (last.v() - first.v()) / float64(window) * 1000, newest, window
	}
	for i := from; i < int(s.n); i++ {
		v += s.at(i).v()
	}
	return v / float64(int(s.n)-from), newest, window
}

// since returns the index of the sample nearest to time t on this side of the newest gap; for a counter at least one before
// the newest, if there is one.
func (s *ring) since(t, gap int64, counter bool) int {
	last := int(s.n) - 1
	i := last
	for i > 0 {
		here, next := int64(s.at(i).t), int64(s.at(i-1).t)
		must := counter && i == last
		if here-next > gap || !must && abs(next-t) > abs(here-t) {
			break
		}
		i--
	}
	return i
}

func abs(x int64) int64 { return max(x, -x) }
