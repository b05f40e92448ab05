package live

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
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
	meters    *meters
	limits    limits
	known     levelRows
	inventory cluster.Inventory
	nodes     func() []*cluster.Node // nil: nobody knows
	full      condition.Set

	mu      turns
	tree    tree
	changed chan struct{}

	walk   sync.Mutex
	plan   plan
	snap   *Snapshot
	snapOf uint64 // the tree's changes that snap shows
	forgot int64  // when forget last ran
	begun  bool   // sums were given out
	others int64  // the newest sums of another process, after which this one's begin, Unix milliseconds

	rolled atomic.Int64                      // when RollUp last ran, Unix milliseconds
	began  atomic.Int64                      // when it first gave out a sum
	told   atomic.Pointer[func(node string)] // of each fresh batch
}

// OnFresh has f called after each batch of the fast lane that brought what a machine or something on it used. f must not wait.
func (p *Picture) OnFresh(f func(node string)) { p.told.Store(&f) }

// lane is the way a sample came.
type lane uint8

const (
	full lane = iota
	fast
	numLanes
)

// levelRows are the rows that exist at each level.
type levelRows [len(levelCounts{})]metric.Set

// New returns an empty picture. It starts nothing.
func New(o Options) (*Picture, error) {
	m, err := newMeters(o.Registerer)
	if err != nil {
		return nil, err
	}
	p := &Picture{meters: m, limits: usual, inventory: o.Inventory, nodes: o.Nodes, full: condition.Set{Type: "PictureWhole", Tells: []string{Full, Claimed}, Now: time.Now}}
	if o.MaxForeign > 0 {
		p.limits.foreign = min(o.MaxForeign, p.limits.foreign)
	}
	p.tree = newTree(&p.limits, m)
	p.tree.known, p.tree.pods = o.Nodes != nil, o.Pods
	for _, l := range metric.Levels() {
		p.known[l] = metric.At(l)
	}
	return p, nil
}

// Apply puts what a batch holds into the picture and keeps pointers to the batch's entities. Samples that
// cannot be used are left out and counted by reason (future, old, not_finite, unknown_row, entity, limit,
// duplicate, fast_lane), and the rest of the batch is applied. They are no error, but for those of another sender for which there is no
// room: metric.TooMany.
func (p *Picture) Apply(b *metric.Batch) error {
	if b == nil {
		return errNilBatch
	}
	in := newIntake(b, &p.limits)
	in.rolled, in.began, in.tree = p.rolled.Load(), p.began.Load(), &p.tree
	p.mu.Lock()
	before := p.tree.changes
	p.tree.round++
	node := p.tree.byKey[identity.NodeKey(b.Node)] // it exists from its first batch on
	if node != nil {
		if in.lane == full && in.at-node.heard[full] > in.forget {
			p.tree.steady[node] = in.at
		}
		in.steady = p.tree.steady[node]
	}
	cores := node.cores()
	for i := range b.Groups {
		in.cores = cores
		p.group(&in, &b.Groups[i])
	}
	if node != nil && in.heard > 0 {
		node.heard[in.lane] = in.heard
		p.tree.found(node)
		if in.source == "" {
			node.collected = time.Now().UnixMilli() // its own clock may be wrong
		}
	}
	for i := range b.Gaps {
		p.tree.note(&in, &b.Gaps[i], b.Time)
	}
	if p.tree.changes != before && p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	most, room := "", p.limits.entities
	if in.left > 0 {
		most = p.tree.shares.most()
	}
	p.mu.Unlock()
	p.meters.count(&in)
	if f := p.told.Load(); f != nil && in.measured && in.lane == fast {
		(*f)(b.Node)
	}
	if c := in.claimed; c.by != nil {
		p.full.SayFor(time.Minute, Claimed, fmt.Sprintf("machine %q, sent by %q, is said to have %s/%s, which machine %q has: it is shown there until that one is silent; --senders says who may send for which machine",
			c.by.Node, in.sender, c.by.Namespace, cmp.Or(c.by.Pod, c.by.Container), c.of.Node))
	}
	if in.left == 0 {
		return nil
	}
	by := "read here"
	if in.sender != "" {
		by, room = fmt.Sprintf("sent by %q", in.sender), min(room, p.limits.foreign)
	}
	why := fmt.Sprintf("the live picture has the %d containers and machines that it has room for%s: look for names that change all the time there, or give more with --memory", room, most)
	p.full.SayFor(time.Minute, Full, fmt.Sprintf("%d samples of machine %q, %s, are not shown: %s", in.left, in.node, by, why))
	if in.sender == "" {
		return nil
	}
	return &metric.TooMany{Samples: in.left, Why: why}
}

// group applies one entity's samples.
func (p *Picture) group(in *intake, g *metric.Group) {
	good, newest, read := 0, int64(0), int64(0)
	for i := range g.Points {
		if why := in.refuses(g.Entity, &g.Points[i]); why != numReasons {
			in.drops[why]++
			continue
		}
		good++
		newest = max(newest, g.Points[i].T)
		if !g.Points[i].ID.Standing() {
			read = max(read, g.Points[i].T)
		}
	}
	if good == 0 {
		p.tree.had(in, g, &p.known)
		return
	}
	u := p.tree.byPtr[g.Entity]
	if u == nil {
		var why reason
		if u, why = p.tree.admit(in, g, newest); u == nil {
			in.drops[why] += good
			if why == dropLimit {
				in.left += good
			}
			return
		}
	}
	known := &p.known[u.key.Level]
	in.owns(u.entity, g, known, &u.rows) // also of what is left out for its time
	if u.early(in, newest) {
		in.drops[dropFastLane] += good
		return
	}
	u.from(in, newest)
	if !measured(u.key.Level) {
		in.cores = 0 // it may be on many machines
	}
	// Of one moment there may be two groups: cAdvisor says of a machine what it uses by its cgroup, and what it has without.
	bare := g.Entity.ID == ""
	if also := u.round == p.tree.round && newest == u.last[in.lane] && (bare || u.bare); !also && !u.advance(in, g, newest) {
		in.drops[dropOld] += good
		return
	}
	in.of = u.entity
	u.bare = bare || u.bare && u.round == p.tree.round
	u.read, u.round = max(u.read, read), p.tree.round
	if u.gap != nil && u.gap.Since.UnixMilli() <= newest && (!u.told || u.gap.Since.UnixMilli() <= read) {
		u.gap = nil
	}
	hint := 0
	for i := range g.Points {
		pt := &g.Points[i]
		if in.refuses(g.Entity, pt) != numReasons {
			continue // counted above
		}
		why := dropUnknownRow
		if known.Has(pt.ID) && len(pt.Sub) <= maxSub {
			if pt.ID == metric.Restarts {
				u.tell()
			}
			in.follow = len(g.Points) - i - 1
			hint, why = u.add(in, pt, hint)
		}
		if why != numReasons {
			in.drops[why]++
			continue
		}
		in.applied++
	}
	if in.lane == full && !u.told && identity.Restarts(u.entity) { // then those that are counted here are a row of it
		u.rows.Add(metric.Restarts)
		u.add(in, &metric.Point{ID: metric.Restarts, T: newest, V: float64(u.restarts)}, 0)
	}
	in.heard = max(in.heard, newest)
	in.measured = in.measured || u.key.Level != metric.Workload
	p.tree.changes++
}

// mostCores is how many CPUs a machine has at most: Linux knows no more.
const mostCores = 8192

// cores is how many CPUs a machine has, as it said last, else the most that one may have.
func (u *unit) cores() float64 {
	if u != nil {
		if k, ok := u.find(0, metric.CPUCapacity, ""); ok {
			if h := u.pair(&u.series[k]); h.n > 0 && h.last.v() > 0 {
				return h.last.v()
			}
		}
	}
	return mostCores
}

// intake is a batch on its way into the picture, and what became of it.
type intake struct {
	*limits
	lane    lane
	sender  string
	login   string
	source  string
	node    string
	at      int64 // the batch's time
	rolled  int64 // when the roll-ups were last given out
	began   int64 // when they first were; 0: they were not yet
	steady  int64 // see tree, of the batch's node; 0: it never was
	tree    *tree
	of      *metric.Entity // of the group at hand, as the picture knows it
	horizon int64          // the latest time that a sample may have
	past    int64          // what is not later says nothing of what there is: a queue brings it late
	present int64          // what is not later says nothing of what has sums: it may be one that a server kept, and whoever moves a history brings

	applied         int
	heard           int64 // the newest sample of the groups that were taken
	measured        bool  // one of them says what something used, not how many of it there are
	restarts, steps int
	cores           float64 // that the machine of the group at hand has at most; 0: of no machine
	follow          int     // points of the group at hand that are still to come
	evicted         int     // units that gave their place to one of this batch
	left            int     // samples for whose units there was no place
	claimed         claim   // one of those that are another machine's
	drops           drops
}

func newIntake(b *metric.Batch, l *limits) intake {
	in := intake{limits: l, sender: b.Sender, login: cmp.Or(b.Login, b.Sender), source: b.Source, node: b.Node, at: unixMilli(b.Time), horizon: endOfTime}
	if b.Fast {
		in.lane = fast
	}
	if !b.Time.IsZero() && b.Time.Year() <= 2285 {
		in.horizon, in.past, in.present = b.Time.Add(skew).UnixMilli(), max(0, in.at-l.forgetNodes), in.at-l.forget
	}
	return in
}

// refuses says why a point of an entity cannot be used; numReasons if it can.
func (in *intake) refuses(e *metric.Entity, pt *metric.Point) reason {
	switch {
	case math.IsNaN(pt.V) || math.IsInf(pt.V, 0):
		return dropNotFinite
	case pt.T > in.horizon:
		return dropFuture
	case pt.T <= in.past, pt.T <= in.present && maySum(e, pt.ID):
		return dropOld
	}
	return numReasons
}

// Full is the reason of a condition: there is no room for all that is sent.
const Full = "PictureFull"

// Claimed is the reason of a condition: one machine is said to have what another one has.
const Claimed = "NameClaimed"

// Conditions returns what is wrong with the picture: that there was no room for somebody in the last minute.
func (p *Picture) Conditions(time.Time) []condition.Condition { return p.full.List() }

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

// turns is a lock that says whether somebody waits for it.
type turns struct {
	sync.Mutex
	waiting atomic.Int32
}

// Lock waits for the lock.
func (t *turns) Lock() {
	t.waiting.Add(1)
	t.Mutex.Lock()
	t.waiting.Add(-1)
}

// unixMilli is a time in Unix milliseconds; 0 for the zero time and for those that no clock shows.
func unixMilli(t time.Time) int64 {
	if t.Year() < 1970 || t.Year() > 2285 {
		return 0
	}
	return t.UnixMilli()
}

func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
