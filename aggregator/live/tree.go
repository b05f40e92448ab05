package live

import (
	"slices"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// tree is who there is: the units by their names, their senders' pointers and their cgroups, each below its parent.
type tree struct {
	limits *limits
	meters *meters

	byPtr map[*metric.Entity]*unit
	byKey map[identity.Key]*unit
	byID  map[idKey]*unit
	alive [len(levelCounts{})]int
	own   int // units that have or had samples of their own
	root  *unit

	changes uint64  // counts what changes the picture
	dirty   []*unit // those that the plan does not show as they are
}

func newTree(l *limits, m *meters) tree {
	t := tree{limits: l, meters: m, byPtr: map[*metric.Entity]*unit{}, byKey: map[identity.Key]*unit{}, byID: map[idKey]*unit{}}
	t.root = t.place(identity.Key{Level: metric.Cluster}, &metric.Entity{Level: metric.Cluster})
	return t
}

// place makes a unit and hangs it into the tree.
func (t *tree) place(k identity.Key, e *metric.Entity) *unit {
	u := &unit{entity: e, key: k, samples: samples{subs: []string{""}}}
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

// attach hangs a unit below its parent and its node, making them where they do not exist yet.
func (t *tree) attach(u *unit) {
	if u.key.Level == metric.Cluster {
		return
	}
	parent, node := t.parentOf(u), (*unit)(nil)
	if n := u.entity.Node; n != "" && (u.key.Level == metric.Pod || u.key.Level == metric.Container && parent.key.Level != metric.Pod) {
		node = t.ensure(metric.Entity{Level: metric.Node, Node: n})
	}
	if parent == u.parent && node == u.node {
		return
	}
	oldParent, oldNode := u.parent, u.node
	t.detach(u)
	u.parent, u.node = parent, node
	parent.count++
	if parent.key.Level == metric.Pod {
		parent.members = append(parent.members, u)
	}
	if node != nil {
		node.count++
	}
	t.prune(oldParent)
	t.prune(oldNode)
}

// detach takes a unit out of the tree.
func (t *tree) detach(u *unit) {
	for _, from := range []*unit{u.parent, u.node} {
		if from != nil {
			from.count--
		}
	}
	if p := u.parent; p != nil && p.key.Level == metric.Pod {
		p.members = slices.DeleteFunc(p.members, func(m *unit) bool { return m == u })
	}
	u.parent, u.node = nil, nil
	t.touch(u)
}

// parentOf returns the unit one level up: the first that the entity names.
func (t *tree) parentOf(u *unit) *unit {
	e := u.entity
	if u.key.Level == metric.Container && e.Pod != "" {
		pod := podOf(e)
		p := t.ensure(pod)
		t.follow(p, e)
		return p
	}
	if u.key.Level < metric.Workload && e.Workload != "" {
		return t.ensure(metric.Entity{Level: metric.Workload, Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload})
	}
	if u.key.Level < metric.Namespace && e.Namespace != "" {
		return t.ensure(metric.Entity{Level: metric.Namespace, Namespace: e.Namespace})
	}
	return t.root
}

// ensure returns the unit of a roll-up, which has no cgroup, making it if it does not exist yet.
func (t *tree) ensure(e metric.Entity) *unit {
	u := t.named(&e)
	if u == nil {
		made := e
		made.ID = ""
		u = t.place(identity.KeyOf(&e), &made)
	}
	t.settle(u, &e)
	return u
}

// follow gives a pod the node and the workload of its container, unless it knows better itself.
func (t *tree) follow(pod *unit, e *metric.Entity) {
	moved := *pod.entity // never changed in place: readers hold it
	if moved.Workload == "" || !pod.owned() && e.Workload != "" {
		moved.WorkloadKind, moved.Workload = e.WorkloadKind, e.Workload
	}
	if moved.Node == "" || !pod.owned() && e.Node != "" {
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
	parent, node := u.parent, u.node
	t.detach(u)
	t.unknow(u, nil)
	t.lose(u, u.entity)
	delete(t.byKey, u.key)
	u.dead = true
	t.alive[u.key.Level]--
	t.meters.entities[u.key.Level].Dec()
	t.prune(parent)
	t.prune(node)
}

// prune removes a roll-up that lost its last member.
func (t *tree) prune(u *unit) {
	if u != nil && u != t.root && u.count == 0 && !u.owned() && !u.dead {
		t.remove(u)
	}
}

// forget drops a unit that has had no sample for too long, or turns it into a mere roll-up when it still has members.
// What a clock that was wrong has left behind is far in the future.
func (t *tree) forget(u *unit, now int64) {
	age := now - u.mentioned()
	if u.dead || !u.owned() || age <= t.patience(u) && -age <= t.limits.forget {
		return
	}
	if u.count == 0 && u != t.root {
		t.remove(u)
		return
	}
	t.unknow(u, nil)
	u.samples.forget()
	u.gap = nil
	t.changes++
}

// patience is how long a unit without samples is kept, in milliseconds.
func (t *tree) patience(u *unit) int64 {
	ln, forget := full, t.limits.forget
	if u.last[full] == 0 {
		ln = fast
	}
	if u.key.Level == metric.Node {
		forget = t.limits.forgetNodes
	}
	return max(forget, 2*u.limit(t.limits, ln))
}
