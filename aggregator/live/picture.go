package live

import (
	"errors"
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
	dead    int  // units that tidy has still to take out
	own     int  // units that have or had samples of their own
	cluster *unit

	changes uint64
	changed chan struct{}
	snap    *Snapshot
	snapOf  uint64 // the value of changes that snap shows
	sum     summer
	forgot  int64 // when forget last ran
	rolled  int64 // when RollUp last ran
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
	applied, before := 0, p.changes
	node, heard := p.nodeUnit(b), int64(0)
	for i := range b.Groups {
		n, t := p.group(b, &b.Groups[i], &d)
		applied += n
		heard = max(heard, t)
	}
	if node != nil && heard > 0 {
		node.heard[laneOf(b)] = heard
	}
	for i := range b.Gaps {
		p.gap(b, &b.Gaps[i])
	}
	if p.changes != before && p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	p.mu.Unlock()
	p.meters.count(applied, heard, &d)
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

// unixMilli is a time in Unix milliseconds; 0 for the zero time and for those that no clock shows.
func unixMilli(t time.Time) int64 {
	if t.Year() < 1970 || t.Year() > 2285 {
		return 0
	}
	return t.UnixMilli()
}
