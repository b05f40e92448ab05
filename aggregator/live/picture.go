package live

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// errNilBatch is what Apply says to a sender that has no batch.
var errNilBatch = errors.New("live: cannot apply a batch that is nil")

// Picture is the live picture. All its methods are safe for concurrent use; it starts no goroutine. Readers get immutable snapshots.
//
// Times are the samples' own. A sample must be newer than the one before it in its series. When a sender's
// clock is set back, the first samples after it are dropped as old; the third one in order is believed, and the
// entity's series begin anew (that is not a restart).
//
// The two lanes carry some of the same rows. While the fast lane is current its samples alone make the row:
// the full reader's, taken at another moment of the same second, would only disturb the rate. When the fast
// lane falls silent the full one takes over.
//
// There are two locks. mu owns the tree and the samples, and nobody who goes through more than a batch keeps it while others wait. walk owns
// what goes through everything: the plan, the snapshot and the counts of roll-ups. Whoever wants both takes walk first.
type Picture struct {
	meters *meters
	limits limits
	known  levelRows

	mu      turns
	tree    tree
	changed chan struct{}

	walk   sync.Mutex
	plan   plan
	snap   *Snapshot
	snapOf uint64 // the tree's changes that snap shows
	forgot int64  // when forget last ran

	rolled atomic.Int64 // when RollUp last ran, Unix milliseconds
}

// levelRows are the rows that exist at each level.
type levelRows [len(levelCounts{})]metric.Set

// New returns an empty picture. It starts nothing.
func New(o Options) (*Picture, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	m, err := newMeters(o.Registerer)
	if err != nil {
		return nil, err
	}
	p := &Picture{meters: m, limits: limitsOf(o)}
	p.tree = newTree(&p.limits, m)
	for _, l := range metric.Levels() {
		p.known[l] = metric.At(l)
	}
	return p, nil
}

// Apply takes what a batch holds into the picture and keeps pointers to the batch's entities. Samples that
// cannot be used are left out and counted by reason (future, old, not_finite, unknown_row, entity, limit,
// duplicate, fast_lane); they are no error, and the rest of the batch is applied.
func (p *Picture) Apply(b *metric.Batch) error {
	if b == nil {
		return errNilBatch
	}
	in := newIntake(b, &p.limits)
	in.rolled = p.rolled.Load()
	p.mu.Lock()
	before := p.tree.changes
	node := p.tree.byKey[identity.NodeKey(b.Node)] // it exists from its first batch on
	for i := range b.Groups {
		p.group(&in, &b.Groups[i])
	}
	if node != nil && in.heard > 0 {
		node.heard[in.lane] = in.heard
	}
	for i := range b.Gaps {
		p.tree.note(&in, &b.Gaps[i], b.Time)
	}
	if p.tree.changes != before && p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	p.mu.Unlock()
	p.meters.count(&in)
	return nil
}

// group applies one entity's samples.
func (p *Picture) group(in *intake, g *metric.Group) {
	good, newest := in.screen(g.Points)
	if good == 0 {
		return
	}
	u, why := p.tree.admit(in, g, newest)
	if u == nil {
		in.drops[why] += good
		return
	}
	if !u.advance(in, g, newest) {
		in.drops[dropOld] += good
		return
	}
	if u.gap != nil && u.gap.Since.UnixMilli() <= newest {
		u.gap = nil
	}
	u.add(in, g.Points, &p.known[u.key.Level])
	if in.lane == full && identity.Restarts(u.entity) {
		u.countRestarts(in, newest)
	}
	in.heard = max(in.heard, newest)
	p.tree.changes++
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

// Snapshot returns the picture at now. It is built once for each change and second; with more than a thousand
// entities it may be up to 10 µs for each of them old, so that readers cannot make it cost more than a small share of a core.
func (p *Picture) Snapshot(now time.Time) *Snapshot {
	p.walk.Lock()
	defer p.walk.Unlock()
	if !p.fresh(now) {
		began := time.Now()
		p.build(now, nil)
		p.meters.snapshot.Observe(time.Since(began).Seconds())
	}
	return p.snap
}

// fresh says whether the last snapshot still does.
func (p *Picture) fresh(now time.Time) bool {
	if p.snap == nil {
		return false
	}
	age := now.Sub(p.snap.Time)
	if age < 0 || age >= time.Second {
		return false
	}
	p.mu.Lock()
	n, changes := p.tree.alive[metric.Container]+p.tree.alive[metric.Pod], p.tree.changes
	p.mu.Unlock()
	return p.snapOf == changes || n > 1000 && age < time.Duration(n)*10*time.Microsecond
}

// build makes the snapshot of now. also, if there is one, is called for each unit that is read, with the lock held.
func (p *Picture) build(now time.Time, also func(*spot)) *builder {
	ms := now.UnixMilli()
	p.snapOf = p.plan.update(p)
	if d := ms - p.forgot; d < 0 || d >= 1000 {
		p.forgot = ms
		p.plan.each(p, func(_ int, s *spot) { p.tree.forget(s.u, ms) })
		p.snapOf = p.plan.update(p)
	}
	n := len(p.plan.spots)
	b := &builder{plan: &p.plan, now: ms, items: make([]Item, n), notes: make([]note, n)}
	p.plan.each(p, func(i int, s *spot) {
		b.read(&p.tree, i, s)
		if also != nil {
			also(s)
		}
	})
	p.snap = b.snapshot(now)
	return b
}
