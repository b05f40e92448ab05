package live

import (
	"math"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// endOfTime is the latest time that a sample can have, in Unix milliseconds: the year 2286. It keeps sums of
// times within range.
const endOfTime = 1e13

// horizon is the latest time that a sample of the batch may have, in Unix milliseconds.
func (p *Picture) horizon(b *metric.Batch) int64 {
	if b.Time.IsZero() || b.Time.Year() > 2285 {
		return endOfTime
	}
	return b.Time.Add(p.opts.Skew).UnixMilli()
}

// group applies one entity's samples and returns how many, and the time of the newest.
func (p *Picture) group(b *metric.Batch, g *metric.Group, d *drops) (applied int, newest int64) {
	horizon, ln := p.horizon(b), laneOf(b)
	good := 0
	for i := range g.Points {
		switch pt := &g.Points[i]; {
		case math.IsNaN(pt.V) || math.IsInf(pt.V, 0):
			d[dropNotFinite]++
		case pt.T > horizon:
			d[dropFuture]++
		case pt.T <= 0:
			d[dropOld]++
		default:
			good++
			newest = max(newest, pt.T)
		}
	}
	if good == 0 {
		return 0, 0
	}
	u, why := p.admit(g, ln, newest)
	if u == nil {
		d[why] += good
		return 0, 0
	}
	if !p.advance(b, u, g, newest) {
		d[dropOld] += good
		return 0, 0
	}
	p.changes++
	return p.points(u, g, ln, horizon, d), newest
}

// advance takes the group's time and start into the unit. It is false for a group that is not newer than what
// the lane brought before, or that belongs to the container before a restart.
func (p *Picture) advance(b *metric.Batch, u *unit, g *metric.Group, t int64) bool {
	ln := laneOf(b)
	if t <= u.last[ln] {
		if behind := unixMilli(b.Time) - t; behind > p.opts.StaleFull.Milliseconds() || !u.stepped(ln, t) {
			return false
		}
		p.meters.steps.Inc()
		u.reset()
		u.last, u.interval, u.restarted, u.first = [numLanes]int64{}, [numLanes]int32{}, 0, t
	}
	if t <= u.restarted {
		return false
	}
	u.back[ln] = step{}
	if start := unixMilli(g.Start); start != 0 {
		if was := u.start[ln]; was != 0 && start > was+1000 {
			p.restart(u, t)
		}
		u.start[ln] = start
	}
	if p.decreased(u, g, ln) {
		p.restart(u, t)
	}
	if last := u.last[ln]; last != 0 {
		u.interval[ln] = paced(u.interval[ln], t-last)
	}
	u.last[ln] = t
	if u.gap != nil && u.gap.Since.UnixMilli() <= t {
		u.gap = nil
	}
	return true
}

// stepped says whether samples with earlier times are now to be believed: the third that advances among
// themselves with no newer one between. Late copies of old batches are not: their batch came long after them.
func (u *unit) stepped(ln lane, t int64) bool {
	b := &u.back[ln]
	if b.n > 0 && t <= b.t {
		return false
	}
	b.t = t
	b.n++
	return b.n >= 3
}

// paced follows the sampling interval: at once when it shrinks, by at most a quarter when it grows, so that one gap does
// not make an entity look slow.
func paced(was int32, d int64) int32 {
	d = min(d, 60_000)
	if was == 0 || d < int64(was) {
		return int32(d)
	}
	return int32(min(d, int64(was)+int64(was)/4+1))
}

// restart begins the unit anew: what it had belongs to a container that is no more. The other lane's start is
// forgotten, so that its next group does not count the same restart again.
func (p *Picture) restart(u *unit, t int64) {
	u.reset()
	u.restarts++
	u.restarted = u.newestSample()
	if u.restarted >= t {
		u.restarted = t - 1
	}
	u.start = [numLanes]int64{}
	p.meters.restarts.Inc()
}

// decreased says whether the group's CPU counter is lower than the newest sample: the container began anew.
func (p *Picture) decreased(u *unit, g *metric.Group, ln lane) bool {
	for i := range g.Points {
		pt := &g.Points[i]
		if pt.ID != metric.CPUUsage || pt.Sub != "" {
			continue
		}
		k, ok := u.find(0, pt.ID, "")
		if !ok {
			return false
		}
		s := &u.series[k]
		if s.n == 0 || s.lane != ln {
			return false // the lanes' clocks may differ by a moment; the series' own check is enough
		}
		t, v := s.newest()
		return pt.T > u.base+int64(t) && pt.V < v
	}
	return false
}

// points pushes the group's samples.
func (p *Picture) points(u *unit, g *metric.Group, ln lane, horizon int64, d *drops) (applied int) {
	hint := 0
	for i := range g.Points {
		pt := &g.Points[i]
		if math.IsNaN(pt.V) || math.IsInf(pt.V, 0) || pt.T > horizon || pt.T <= 0 {
			continue
		}
		if int(pt.ID) >= len(p.rows) || !p.rows[pt.ID].Has(u.key.level) || len(pt.Sub) > 512 {
			d[dropUnknownRow]++
			continue
		}
		k, ok := u.find(hint, pt.ID, pt.Sub)
		if !ok && !p.room(u, &k, pt) {
			d[dropLimit]++
			continue
		}
		hint = k + 1
		if why := p.point(u, &u.series[k], pt, ln); why != numReasons {
			d[why]++
			continue
		}
		applied++
	}
	return applied
}

// room makes a series for the point at *k.
func (p *Picture) room(u *unit, k *int, pt *metric.Point) bool {
	if len(u.series) >= 48 {
		u.prune(pt.T - p.opts.Forget.Milliseconds())
		*k, _ = u.find(0, pt.ID, pt.Sub)
	}
	return u.add(*k, pt.ID, pt.Sub, p.opts.MaxSeries)
}

// point pushes one sample into its series; it returns numReasons when it did.
func (p *Picture) point(u *unit, s *series, pt *metric.Point, ln lane) reason {
	u.rebase(pt.T)
	if s.n > 0 {
		t, v := s.newest()
		ahead := pt.T - u.base - int64(t)
		if s.lane == fast && ln == full && ahead <= p.limit(u, fast) {
			return dropFastLane
		}
		if ahead <= 0 {
			return dropOld
		}
		if s.lane != ln && ahead < 500 {
			s.n-- // the other lane's reading of the same moment: its successor counts
		}
		if p.rows[pt.ID].Kind == metric.Counter {
			if s.n > 0 {
				if _, before := s.newest(); pt.V < before {
					s.clear()
				}
			}
			s.pending += max(0, pt.V-v)
		}
	}
	s.push(uint32(pt.T-u.base), pt.V, p.keep, p.ring)
	s.lane = ln
	return numReasons
}

// limit is how old a row's newest sample may be to be current, in milliseconds: three sampling intervals of its lane.
func (p *Picture) limit(u *unit, ln lane) int64 {
	least := p.opts.StaleFull
	if ln == fast {
		least = p.opts.Stale
	}
	return max(3*int64(u.interval[ln]), least.Milliseconds())
}

// current says whether the series has a value at now.
func (p *Picture) current(u *unit, s *series, now int64) bool {
	if s.n == 0 {
		return false
	}
	t, _ := s.newest()
	return now-(u.base+int64(t)) <= p.limit(u, s.lane)
}

// gap notes why an entity could not be read.
func (p *Picture) gap(b *metric.Batch, g *metric.Gap) {
	if g.Entity == nil || b.Time.Year() < 1970 || b.Time.Year() > 2285 || !usable(g.Entity) || len(g.Reason) > 64 || len(g.Detail) > 1024 {
		return
	}
	u := p.byPtr[g.Entity]
	if u == nil {
		u = p.named(g.Entity)
	}
	switch {
	case u == nil && g.Reason == gone:
		return
	case u == nil:
		u, _ = p.admit(&metric.Group{Entity: g.Entity}, laneOf(b), b.Time.UnixMilli())
	case u.entity.ID != g.Entity.ID:
		return // of a container that another one of its names has replaced
	}
	if u == nil || b.Time.UnixMilli() <= u.newestSample() || u.gap != nil && u.gap.Reason == g.Reason {
		return
	}
	since := b.Time
	if u.gap != nil {
		since = u.gap.Since
	}
	u.gap = &cluster.Gap{Since: since, Reason: g.Reason, Detail: g.Detail}
	p.changes++
}
