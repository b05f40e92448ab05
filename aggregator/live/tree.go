package live

import (
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// tree is who there is: the units by their names, their senders' pointers and their cgroups, each below its parent.
type tree struct {
	limits *limits
	meters *meters

	byPtr  map[*metric.Entity]*unit
	byKey  map[identity.Key]*unit
	byID   map[idKey]*unit
	alive  [len(levelCounts{})]int
	sent   int // units that some sender knows
	shares share
	root   *unit
	none   *samples // of all units that have no samples of their own; never written
	known  bool     // a cluster says which machines and pods there are, so that what is forgotten is not lacking, and nobody has a pod by sending it
	// away are, by node, the sums whose members on it were forgotten in silence, and how many of them; lacks is what a sum lacks for that.
	away  map[*unit]map[*unit]int
	lacks map[*unit]lack
	// steady is, by node, since when neither its full batches were missing for as long as its containers are kept without samples nor one of these was forgotten that may be told of again.
	steady map[*unit]int64
	pools  map[string]string                                         // the pool of each node that is in one
	pods   func(namespace, pod string) (since time.Time, known bool) // whether the cluster has a pod; nil: nobody knows

	// owned are, by level, the rows that units had of their own which are not there: they were forgotten, or are told of in time to come.
	owned [len(levelCounts{})]map[identity.Key]metric.Set

	// emptied are the sums of which the history has points, and no end, that were removed since the last pass as what was in them went to others; so many at most.
	emptied []*metric.Entity

	round   uint32  // counts the batches
	changes uint64  // counts what changes the picture
	dirty   []*unit // those that the plan does not show as they are
}

// unit is one entity of the picture: its names, its place in the tree and its samples.
type unit struct {
	*samples // its own; the tree's none for what no sender has ever said anything of

	gap *cluster.Gap // what a batch said, until a newer sample
	// ptrs are the pointers under which senders know it: the readers of both lanes may have their own.
	ptrs   [3]*metric.Entity
	entity *metric.Entity
	rival  *metric.Entity // the other container of these names that was superseded
	key    identity.Key
	heard  [numLanes]int64 // for a node: the time of the newest sample in its newest batch
	// collected is, for a node, when a collector last sent a sample, by this machine's clock.
	collected int64
	// missed is, for a node that sent nothing of itself, the newest sample of what was on it and was forgotten in silence; 0: nothing was.
	missed int64

	parent  *unit   // nil for the cluster
	node    *unit   // where a pod, or a container without a pod, runs; of a node its pool
	members []*unit // a pod's containers, in no order; other units' are in the plan
	count   int32   // how many units have it as their parent or node

	home  *share // whose place in the table it has; nil of this machine's own
	seat  int32
	round uint32 // of the batch that brought its newest group

	sure    bool // its key's scope is known: some cgroup told it
	bare    bool // some group of that batch said nothing of its cgroup
	dead    bool // not in the picture any more
	dirty   bool // the plan shows it otherwise than it is, or not at all
	planned bool // some plan has it

	// These belong to the walks, not to the lock.
	moved  bool  // the plan is about to show it anew
	spot   int32 // its place in the plan
	lacked int64 // the time with which the last roll-up had to say that members are missing, Unix milliseconds; 0: it had not
	sum    *rollup
}

// sent says whether some sender knows the unit, that is, whether it is more than a roll-up.
func (u *unit) sent() bool { return u.ptrs[0] != nil || u.ptrs[1] != nil || u.ptrs[2] != nil }

func newTree(l *limits, m *meters) tree {
	t := tree{none: new(samples), limits: l, meters: m, byPtr: map[*metric.Entity]*unit{}, byKey: map[identity.Key]*unit{}, away: map[*unit]map[*unit]int{}, lacks: map[*unit]lack{}, steady: map[*unit]int64{}, byID: map[idKey]*unit{}}
	t.root = t.place(identity.Key{Level: metric.Cluster}, &metric.Entity{Level: metric.Cluster})
	return t
}

// place makes a unit and hangs it into the tree.
func (t *tree) place(k identity.Key, e *metric.Entity) *unit {
	u := &unit{entity: e, key: k, samples: t.none}
	if rows, ok := t.owned[k.Level][k]; ok {
		t.speaks(u)
		u.rows = rows
		delete(t.owned[k.Level], k)
	}
	t.byKey[k] = u
	t.alive[k.Level]++
	t.meters.entities[k.Level].Inc()
	t.touch(u)
	t.attach(u)
	return u
}

// touch notes that the plan has to show a unit anew.
func (t *tree) touch(u *unit) {
	t.changes++
	if u.dirty {
		return
	}
	u.dirty = true
	if t.dirty = append(t.dirty, u); len(t.dirty) > 2*len(t.byKey)+10_000 {
		// Nobody asks for a plan. What came and went meanwhile was in none, and need not be told to the next.
		t.dirty = slices.DeleteFunc(t.dirty, func(u *unit) bool { return u.dead && !u.planned })
	}
}

// attach hangs a unit below its parent and its node, making them where they do not exist yet. A node is below its pool as well, and a pool below
// nothing: what the cluster has are its nodes.
func (t *tree) attach(u *unit) {
	if u.key.Level == metric.Cluster || u.key.Level == metric.Pool {
		return
	}
	parent, node := t.parentOf(u), (*unit)(nil)
	if n := u.entity.Node; n != "" && (u.key.Level == metric.Pod || u.key.Level == metric.Container && parent.key.Level != metric.Pod) {
		node = t.ensure(&metric.Entity{Level: metric.Node, Node: n})
	} else if pool := t.pools[n]; pool != "" && u.key.Level == metric.Node {
		node = t.ensure(&metric.Entity{Level: metric.Pool, Pool: pool})
	}
	if parent != u.parent || node != u.node {
		t.hang(u, parent, node)
	}
}

// mostEmptied is of how many sums that were emptied between two passes an end is told; the lookback ends the others.
const mostEmptied = 10_000

// hang puts a unit into a place in the tree, nil for none, and removes roll-ups that lose their last member by it.
func (t *tree) hang(u *unit, parent, node *unit) {
	left := [...]*unit{u.parent, u.node}
	if p := u.parent; p != nil && p.key.Level == metric.Pod {
		p.members = slices.DeleteFunc(p.members, func(m *unit) bool { return m == u })
	}
	if parent != nil && parent.key.Level == metric.Pod {
		parent.members = append(parent.members, u)
	}
	for _, to := range [...]*unit{parent, node} {
		if to != nil {
			to.count++
		}
	}
	u.parent, u.node = parent, node
	t.touch(u)
	for _, from := range left {
		if from == nil {
			continue
		}
		if from.count--; from.count == 0 && from != t.root && !from.sent() && !from.dead && from.missed == 0 {
			if s := from.sum; s != nil && s.given != nil && !u.dead && len(t.emptied) < mostEmptied {
				t.emptied = append(t.emptied, s.given)
			}
			t.remove(from)
		}
	}
}

// group puts every node into the pool that it is of now.
func (t *tree) group(nodes []*cluster.Node) {
	pools := make(map[string]string, len(nodes))
	for _, n := range nodes {
		if n.Pool != "" {
			pools[n.Name] = n.Pool
		}
	}
	before := t.pools
	t.pools = pools
	for _, names := range [...]map[string]string{before, pools} {
		for name := range names {
			if u := t.byKey[identity.NodeKey(name)]; u != nil && before[name] != pools[name] {
				t.attach(u)
			}
		}
	}
}

// parentOf returns the unit one level up: the first that the entity names.
func (t *tree) parentOf(u *unit) *unit {
	e := u.entity
	if u.key.Level == metric.Container && e.Pod != "" {
		p := t.ensure(&metric.Entity{Level: metric.Pod, Node: e.Node, Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload, Pod: e.Pod, ID: e.ID})
		t.follow(p, e)
		return p
	}
	if u.key.Level < metric.Workload && e.Workload != "" {
		return t.ensure(&metric.Entity{Level: metric.Workload, Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload})
	}
	if u.key.Level < metric.Namespace && e.Namespace != "" {
		return t.ensure(&metric.Entity{Level: metric.Namespace, Namespace: e.Namespace})
	}
	return t.root
}

// ensure returns the unit of a roll-up, making it if it does not exist yet. It has no cgroup; the one that is given is a member's, and
// tells where its names are unique.
func (t *tree) ensure(e *metric.Entity) *unit {
	u := t.named(e)
	if u == nil {
		made := *e
		made.ID = ""
		u = t.place(t.keyOf(e), &made)
	}
	t.rekey(u, e)
	return u
}

// follow gives a pod the node and the workload of its container, unless it knows better itself.
func (t *tree) follow(pod *unit, e *metric.Entity) {
	moved := *pod.entity // never changed in place: readers hold it
	if moved.Workload == "" || !pod.sent() && e.Workload != "" {
		moved.WorkloadKind, moved.Workload = e.WorkloadKind, e.Workload
	}
	if moved.Node == "" || !pod.sent() && e.Node != "" {
		moved.Node = e.Node
	}
	if moved != *pod.entity {
		pod.entity = &moved
		t.touch(pod)
		t.attach(pod)
	}
}

// remove drops a unit, and the parents that it leaves empty.
func (t *tree) remove(u *unit) {
	u.dead = true
	t.regain(u)
	delete(t.lacks, u)
	delete(t.steady, u)
	t.unknow(u, nil)
	t.lose(u, u.entity)
	delete(t.byKey, u.key)
	t.own(u.key, u.rows)
	t.alive[u.key.Level]--
	t.meters.entities[u.key.Level].Dec()
	t.hang(u, nil, nil)
}

// drop takes a unit out of the picture, all but the roll-up that it is of its members.
func (t *tree) drop(u *unit) {
	if u.count == 0 && u != t.root {
		t.remove(u)
		return
	}
	t.regain(u)
	t.unknow(u, nil)
	u.samples.forget()
	u.gap = nil
	t.changes++
}
