package live

import (
	"errors"
	"math"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// errNilBatch is what Apply says to a sender that has no batch.
var errNilBatch = errors.New("live: cannot apply a batch that is nil")

// Picture is the live picture. All its methods are safe for concurrent use; it starts no goroutine. One lock
// owns everything in it, readers get immutable snapshots.
//
// Times are the samples' own. A sample must be newer than the one before it in its series. When a sender's
// clock is set back, the first samples after it are dropped as old; the third one in order is believed, and the
// entity's series begin anew (that is not a restart).
//
// The two lanes carry some of the same rows. While the fast lane is current its samples alone make the row:
// the full reader's, taken at another moment of the same second, would only disturb the rate. When the fast
// lane falls silent the full one takes over.
//
// What nobody mentions any more is dropped by Snapshot and RollUp, after Options.Forget.
type Picture struct {
	opts   Options
	meters *meters
	rows   []metric.Row
	keep   uint32 // Options.Keep in milliseconds
	ring   int    // most samples of a series

	mu      sync.Mutex
	byPtr   map[*metric.Entity]*unit
	byKey   map[key]*unit
	byID    map[idKey]*unit // containers by node and cgroup: a name may become known later
	level   [len(levelCounts{})][]*unit
	tidied  bool // levels and members are in order of name
	own     int  // units that have or had samples of their own
	cluster *unit

	changes uint64
	changed chan struct{}
	snap    *Snapshot
	snapOf  uint64 // the value of changes that snap shows
	sum     summer
	forgot  int64 // when forget last ran
}

// New returns an empty picture. It starts nothing.
func New(o Options) (*Picture, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.filled()
	m, err := newMeters(o.Registerer)
	if err != nil {
		return nil, err
	}
	p := &Picture{
		opts: o, meters: m, rows: metric.Rows(), keep: uint32(o.Keep.Milliseconds()),
		ring:  min(max(int(o.Keep/(500*time.Millisecond)), 16), 1024),
		byPtr: map[*metric.Entity]*unit{}, byKey: map[key]*unit{}, byID: map[idKey]*unit{},
	}
	p.sum.init(len(p.rows))
	p.cluster = p.place(key{level: metric.Cluster}, &metric.Entity{Level: metric.Cluster})
	return p, nil
}

// Apply takes what a batch holds into the picture and keeps pointers to the batch's entities. Samples that
// cannot be used are left out and counted by reason (future, old, not_finite, unknown_row, entity, limit,
// duplicate, fast_lane); they are no error, and the rest of the batch is applied.
func (p *Picture) Apply(b *metric.Batch) error {
	if b == nil {
		return errNilBatch
	}
	var d drops
	p.mu.Lock()
	applied := 0
	node, heard := p.nodeUnit(b), int64(0)
	for i := range b.Groups {
		n, t := p.group(b, &b.Groups[i], &d)
		applied += n
		heard = max(heard, t)
	}
	if node != nil && heard > 0 {
		node.heard[laneOf(b)] = heard
	}
	gaps := 0
	for i := range b.Gaps {
		gaps += p.gap(b, &b.Gaps[i])
	}
	if applied+gaps > 0 {
		p.changes++
		if p.changed != nil {
			close(p.changed)
			p.changed = nil
		}
	}
	p.mu.Unlock()
	p.meters.count(applied, &d)
	return nil
}

// Changed returns a channel that is closed by the next Apply that changes the picture. Whoever waits asks for
// a new one each time, before looking at the snapshot, so that nothing is missed.
func (p *Picture) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// nodeUnit returns the unit of the batch's node, which exists from its first batch on.
func (p *Picture) nodeUnit(b *metric.Batch) *unit {
	if b.Node == "" || len(b.Node) > 253 || len(b.Groups) == 0 {
		return nil
	}
	return p.byKey[key{level: metric.Node, node: b.Node}]
}

// horizon is the latest time that a sample of the batch may have, in Unix milliseconds.
func (p *Picture) horizon(b *metric.Batch) int64 {
	if b.Time.IsZero() {
		return math.MaxInt64
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
	applied = p.points(u, g, ln, horizon, d)
	return applied, newest
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
		u.last, u.heard, u.interval, u.restarted = [numLanes]int64{}, [numLanes]int64{}, [numLanes]int32{}, 0
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
	u.heard[ln] = max(u.heard[ln], t)
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

// gap notes why an entity could not be read; it returns 1 if that changed the picture.
func (p *Picture) gap(b *metric.Batch, g *metric.Gap) int {
	if g.Entity == nil || b.Time.IsZero() || !usable(g.Entity) || len(g.Reason) > 64 || len(g.Detail) > 1024 {
		return 0
	}
	u := p.byPtr[g.Entity]
	if u == nil {
		u = p.named(g.Entity)
	}
	switch {
	case u == nil && g.Reason == gone:
		return 0
	case u == nil:
		u, _ = p.admit(&metric.Group{Entity: g.Entity}, laneOf(b), b.Time.UnixMilli())
	case u.entity.ID != g.Entity.ID:
		return 0 // of a container that another one of its names has replaced
	}
	if u == nil || b.Time.UnixMilli() <= u.newestSample() || u.gap != nil && u.gap.Reason == g.Reason {
		return 0
	}
	since := b.Time
	if u.gap != nil {
		since = u.gap.Since
	}
	u.gap = &Gap{Since: since, Reason: g.Reason, Detail: g.Detail}
	return 1
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
