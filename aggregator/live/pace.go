package live

import (
	"math"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Members are read at moments of their own, and passes are made at others, so one has eleven readings of a member and the next nine. What a pass counts
// is therefore not what the readings in it have brought: each member is told up to a time of its own, which goes on from pass to pass by as much as the pass's does, between two
// readings in proportion. What is beyond is of the next pass. So a member is told late, by no more than its readings come late at worst, and a sum of members that use what they used is straight.

// book takes out of a counter what it has grown by in the next step of its time, in milliseconds, with from when to when that is. What is left is of the next pass, unless
// that is more than comes of readings that are late: then it was not heard when sums were given out, and what it used meanwhile is in none.
func (s *samples) book(k int, l *limits, step int64) (by count) {
	id, h, g := s.series[k].id, s.pair(&s.series[k]), s.growth(k)
	by.at = s.restarted
	if h.n > 0 {
		by.at = s.base + int64(h.last.t)
	}
	by.heard = by.at
	if g.t == never {
		return by
	}
	pending := g.v()
	by.inc, by.from = pending, s.base+int64(g.t)
	by.span = by.at - by.from
	if late := by.span - step; step > 0 && late > 0 && pending > 0 {
		by.inc = portion(id, pending, float64(step)/float64(by.span))
		by.span = step
		pending -= by.inc
		if pending > 0 && late <= s.patient(l, h.lane) {
			g.sample = newSample(g.t+uint32(step), pending)
			by.at -= late
			return by
		}
		s.torn = s.torn || pending > 0 && id == metric.CPUUsage
	}
	*g = none
	return by
}

// patient is how late what a lane has brought may be told, in milliseconds.
func (s *samples) patient(l *limits, ln lane) int64 {
	if ln == full {
		return s.lull(l)
	}
	return s.limit(l, ln)
}

// portion is a share of what a counter has grown by. What is counted one by one is told in whole numbers.
func portion(id metric.ID, grown, share float64) float64 {
	if metric.Get(id).Unit == metric.Seconds {
		return grown * share
	}
	return min(grown, math.Ceil(grown*share))
}

// unheard says of a counter whose newest sample, of a lane, is of a time and was followed by the one at hand only so much later, whether sums were given out without it meanwhile.
func (s *samples) unheard(in *intake, ln lane, t, ahead int64) bool {
	gap := s.limit(in.limits, ln)
	return ahead > gap && t < in.rolled-gap || s.out && ahead > s.lull(in.limits)
}

// joins is how far apart samples may be that are joined by a straight line though sums were given out without what is between them: another collector has a machine's
// name within that time.
const joins = 20_000

// after is how much of the time from one sample to the next is after the last pass: it is in no sum yet. Of a long silence nobody knows when what was used was used.
func (s *samples) after(in *intake, from, to int64) int64 {
	if to-from > joins {
		return 0
	}
	return min(max(0, to-in.rolled), to-from)
}

// time is that of the point to give out: as much later than the one before as the longest time of a member that is in the pass. Where that would be long before what is in
// it, or there is no point to go on from, it is that of the newest of it.
func (x *count) time(now int64) int64 {
	t := min(x.at, now)
	if next := x.sent + x.span; x.sent != 0 && x.span > 0 && !x.lost() && next > t-unheard {
		return min(next, now)
	}
	return t
}
