package live

import (
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Snapshot is the picture at one moment. It is immutable and shared: readers change nothing in it.
type Snapshot struct {
	Time time.Time

	Cluster    *Item
	Pools      []*Item
	Nodes      []*Item // each list sorted by name: node; namespace; namespace, kind, workload; namespace, pod; namespace, pod, container
	Namespaces []*Item
	Workloads  []*Item
	Pods       []*Item
	Containers []*Item

	// Known are the pods of the inventory, in its order; none where there is no inventory.
	Known []Known

	// NodesHidden says that the machines are not among what is seen: what is on one is not to be explained by it.
	NodesHidden bool
}

// Item is one entity at that moment, with its newest values.
type Item struct {
	Entity *metric.Entity
	Parent *Item   // container -> pod -> workload (or namespace) -> namespace -> cluster; a node's is the cluster
	Items  []*Item // the members one level below
	// Start is when the entity's counters began (for a pod, its oldest container); zero if not known.
	Start time.Time
	// First is when Plimsoll first saw it.
	First time.Time
	// Values are those of what is summed up: of workloads and all above them. List has those of every item.
	Values []Value
	own    *own       // of what has samples of its own
	asks   *claims    // of a pod that a cluster has placed
	has    metric.Set // the rows of which some sender says a current value
	// Own are the rows that some sender says of the entity itself; all others are made from its members.
	Own metric.Set
	// Source says whose figures these are where no collector has read them: metric.FromKubelet; of a pod, some of its containers'.
	Source string
	// Pod is the pod as the inventory knows it; nil where it does not, and of what is no pod.
	Pod *cluster.Pod
	// Gap says why the entity (or one of its members) has no current values; nil when it has.
	Gap *cluster.Gap
	// Lacks are the rows that are not whole: of a sum, those that lack a member's part, which is silent, stale or, of a counter, has no
	// rate yet; of a row of its own, those that have no value now, or no rate. What has ended lacks nothing.
	Lacks metric.Set
	// Missing is how many of the members lack CPU or memory, in whole or in part, that the sums would have.
	Missing int
	// Away is how many of those are on machines of which nothing is heard, and were forgotten: they are not among Items.
	Away int
	// Ended says that the entity is no more: a batch said so, or it is silent while its node's batches go on. A roll-up has ended when
	// all its members have.
	Ended bool
	// Unheard says that it is stale with its machine, of which nothing was heard since either.
	Unheard bool
	// Counted says that whoever runs it counts restarts, and Count how many it has told last, however long ago.
	Counted bool
	// Another says that another thing took the names, and has not begun anew since.
	Another bool
	Count   int32
	// Restarts counts the times the counters began anew under the same names while Plimsoll was watching; where somebody counts, by how much that count grew.
	Restarts int
}

// Value is the newest value of one row of an item. A roll-up's value is the sum of its members', its T the
// oldest of theirs.
type Value struct {
	ID   metric.ID
	Sub  string
	T    time.Time // when it was measured
	V    float64   // the gauge, or the counter itself (0 for roll-ups: counters are not summed)
	Rate float64   // counters only: per second between the last two samples
	// Window is how much time Rate covers; zero when there is no rate yet (one sample, or a reset just now).
	Window time.Duration
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

// build makes the snapshot of now. also, if there is one, is called for each unit that is read, with the lock held:
// then it is for the history.
func (p *Picture) build(now time.Time, also func(*spot)) (*builder, *Snapshot) {
	ms := now.UnixMilli()
	p.snapOf = p.plan.update(p)
	if d := ms - p.forgot; d < 0 || d >= 1000 {
		p.forgot = ms
		p.plan.each(p, func(_ int, s *spot) { p.tree.forget(s.u, ms) })
		p.snapOf = p.plan.update(p)
	}
	n := len(p.plan.spots)
	b := &builder{plan: &p.plan, known: &p.known, now: ms, keeps: also != nil, inventory: p.inventory, cluster: p.inventory != nil && p.nodes != nil, items: make([]Item, n), notes: make([]note, n)}
	p.plan.each(p, func(i int, s *spot) {
		b.read(&p.tree, i, s)
		if also != nil {
			also(s)
		}
	})
	p.snap = b.snapshot(now)
	return b, p.snap
}

// Silent says whether nothing has been heard of the machine that the item is, or is on, for so long that its last values are not the present.
func (it *Item) Silent() bool { return it.Gap != nil && it.Gap.Reason == metric.GapSilent }

// Waits says whether the item does not run at present, while whoever runs it has it still.
func (it *Item) Waits() bool { return it.Gap != nil && it.Gap.Reason == metric.GapWaiting }

// Any says whether there is a current value of the item that some sender says: that something asks is not that anything was heard.
func (it *Item) Any() bool {
	return it.has != metric.Set{} || slices.ContainsFunc(it.Values, func(v Value) bool { return !requests.Has(v.ID) })
}

// Get returns the value of a row, summed over Sub (interfaces, devices). ok is false where there is none.
func (it *Item) Get(id metric.ID) (sum Value, ok bool) {
	var room [4]Value
	values := it.append(room[:0], id)
	for i := range values {
		v := &values[i]
		if !ok {
			sum, ok = *v, true
			sum.Sub = ""
			continue
		}
		sum.V += v.V
		sum.Rate += v.Rate
		if v.T.Before(sum.T) {
			sum.T = v.T
		}
		if v.Window < sum.Window {
			sum.Window = v.Window
		}
	}
	return sum, ok
}

// Gauge returns the current value of a gauge row.
func (it *Item) Gauge(id metric.ID) (float64, bool) {
	v, ok := it.Get(id)
	return v.V, ok
}

// Rate returns the current rate of a counter row, per second; ok is false until there are two samples.
func (it *Item) Rate(id metric.ID) (float64, bool) {
	v, ok := it.Get(id)
	return v.Rate, ok && v.Window > 0
}
