package live

import (
	"math"

	"plimsoll.dev/plimsoll/internal/metric"
)

// series is one row (and sub) of one entity: a ring of the newest samples. One slice for each series and no string but the entity's own
// table is what keeps a container small.
type series struct {
	id   metric.ID
	sub  uint16 // index into the subs of its samples
	head uint16 // the oldest sample
	n    uint16 // how many there are; a series that begins anew has none
	lane lane   // the lane that the newest sample came by
	// news says that a sample came since the last roll-up; what a counter has grown by since then it has from the time from on.
	news bool
	from uint32
	buf  []sample
	// pending is what a counter has grown by since the last roll-up counted it.
	pending float64
}

// sample is one of them: its time in milliseconds after its samples' base, and the two halves of the value, so that it takes three words.
type sample struct{ t, lo, hi uint32 }

func (x *sample) v() float64 { return math.Float64frombits(uint64(x.lo) | uint64(x.hi)<<32) }

// at returns the i-th oldest sample.
func (s *series) at(i int) *sample {
	k := int(s.head) + i
	if c := len(s.buf); k >= c {
		k -= c
	}
	return &s.buf[k]
}

// newest returns the newest sample; there must be one.
func (s *series) newest() *sample { return s.at(int(s.n) - 1) }

// push appends a sample that is newer than the newest. The ring grows only while its oldest sample is
// younger than keep, and never beyond limit slots.
func (s *series) push(t uint32, v float64, keep uint32, limit int) {
	if c := len(s.buf); int(s.n) == c {
		if c > 0 && (c >= limit || t-s.at(0).t > keep) {
			s.head++
			if int(s.head) == c {
				s.head = 0
			}
			s.n--
		} else {
			room := max(2, c+(c+1)/2)
			if c > 2 { // no more than will be in use, at the pace so far
				room = min(room, max(c+1, int(uint64(c)*uint64(keep)/uint64(max(1, t-s.at(0).t)))+2))
			}
			next := make([]sample, min(room, limit))
			k := copy(next, s.buf[s.head:])
			copy(next[k:], s.buf[:s.head])
			s.buf, s.head = next, 0
		}
	}
	s.n++
	bits := math.Float64bits(v)
	*s.newest() = sample{t, uint32(bits), uint32(bits >> 32)}
}

// rate returns the two-point rate per second of the newest samples and the seconds' worth of time between them in
// milliseconds; zero when there are fewer than two.
func (s *series) rate() (perSecond float64, window uint32) {
	if s.n < 2 {
		return 0, 0
	}
	last, prev := s.newest(), s.at(int(s.n)-2)
	window = last.t - prev.t
	return (last.v() - prev.v()) / float64(window) * 1000, window
}

// mean returns the mean over the newest w milliseconds, the newest sample's time and the time really covered. Samples further
// apart than gap are not joined: the value was stale between them, and after a clock that was set forward what a second used would be
// spread over all that was jumped, which looks like no load at all.
func (s *series) mean(kind metric.Kind, w, gap int64) (v float64, newest, window int64) {
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
func (s *series) since(t, gap int64, counter bool) int {
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
