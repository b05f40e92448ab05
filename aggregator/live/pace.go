package live

import (
	"math"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Members are read at moments of their own, and passes are made at others, so one has eleven readings of a member and the next nine. What a pass counts
// is therefore not what the readings in it have brought: each member is told up to a time of its own, which goes on from pass to pass by as much as the pass's does, between two
// readings in proportion, of which there may be more until the newest. What is beyond is of the next pass. So a member is told late, by no more than its readings come late at worst, and a sum of members that use what they used is straight.

// book takes out of a counter what it has grown by in the next step of its time, in milliseconds, with from when to when that is. What is left is of the next pass, unless
// that is more than comes of readings that are late: then it was not heard when sums were given out, and what it used meanwhile is in none.
func (s *samples) book(k int, l *limits, step int64) (by count) {
	id, h, g := s.series[k].id, s.pair(&s.series[k]), s.growth(k)
	s.begins(k, g)
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
		was, first := s.between(k, *g)
		if late <= s.patient(l, h.lane)+int64(first-was) {
			to, span, rest := s.cut(k, *g, uint32(step), was, first)
			if metric.Get(id).Unit != metric.Seconds { // counted one by one
				rest = math.Floor(rest)
			}
			by.inc, by.span, by.at = pending-rest, int64(span), s.base+int64(to)
			g.sample = newSample(to, rest)
			return by
		}
		if id.OfAllLives() { // which are counted though nobody was heard
			*g = none
			return by
		}
		by.inc, by.span = portion(id, pending, float64(step)/float64(by.span)), step
		by.from = by.at - step
		s.torn = s.torn || by.inc < pending && id == metric.CPUUsage
	}
	*g = none
	return by
}

// sample returns the i-th oldest sample of a series.
func (s *samples) sample(x *series, i int) *sample {
	if x.ring != 0 {
		return s.rings[x.ring-1].at(i)
	}
	return &x.two[len(x.two)-int(x.n)+i]
}

// begins has what a series has grown by begin with the first sample of the present life, if all of the life before has been told: between the two there is no growth, but of what is counted
// over all lives.
func (s *samples) begins(k int, g *growth) {
	x := &s.series[k]
	if x.id.OfAllLives() || g.t == never || s.restarted <= s.base || s.restarted > s.base+int64(g.t) || s.pair(x).n == 0 {
		return
	}
	if first := s.sample(x, 0).t; first > g.t && s.restarted < s.base+int64(first) {
		g.t = first
	}
}

// between is from when to when a series has not grown, since it began anew: of its last life the last sample, if there is something of that, and the first of the present one. Otherwise both are
// up to when there is something that the samples do not tell.
func (s *samples) between(k int, g growth) (was, first uint32) {
	x := &s.series[k]
	if s.pair(x).n == 0 {
		was = max(g.t, uint32(max(0, s.restarted-s.base)))
		return was, was
	}
	first = s.sample(x, 0).t
	if at := s.restarted - s.base; !x.id.OfAllLives() && at > int64(g.t) && at < int64(first) {
		return uint32(at), first
	}
	return first, first
}

// cut divides what a series has grown by at the end of the next step of its time: it says when that is, how long the step was, and how much is of after that. The samples tell, and of what is
// older than these it is in proportion. A life that has ended is told up to its last sample, if the step ends within half a step before it, and what is left of a step is of the next life.
func (s *samples) cut(k int, g growth, step, was, first uint32) (to, span uint32, rest float64) {
	x := &s.series[k]
	n, to := int(s.pair(x).n), g.t+step
	switch {
	case was == first:
	case was < to && n > 0:
		to = min(first+to-was, s.sample(x, n-1).t)
		step = to - first + was - g.t
	case was <= to+step/2:
		to, step = was, was-g.t
	}
	for i := n - 1; i > 0; i-- {
		a, b := s.sample(x, i-1), s.sample(x, i)
		if a.t <= to {
			return to, step, min(g.v(), rest+(b.v()-a.v())*float64(b.t-min(to, b.t))/float64(b.t-a.t))
		}
		rest += b.v() - a.v()
	}
	if older := g.v() - rest; to < was && older > 0 {
		rest += older * float64(was-to) / float64(was-g.t)
	}
	return to, step, min(g.v(), rest)
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
