package live

import (
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// admit returns the unit of the group's entity, making it if it is new; nil with the reason when the group, whose newest sample is of
// time at, is not to be used.
func (t *tree) admit(in *intake, g *metric.Group, at int64) (*unit, reason) {
	if u := t.byPtr[g.Entity]; u != nil {
		return u, 0
	}
	e := g.Entity
	if e == nil || !usable(e) {
		return nil, dropEntity
	}
	u, same := t.named(e), t.sameID(e)
	switch {
	case u == nil && same != nil:
		u = same
		t.rename(u, e)
	case u != nil && same != nil && same != u:
		// A container became known by the name of one that it replaces.
		same.restarts += u.restarts + 1
		same.first = min(same.first, u.first)
		t.remove(u)
		u = same
		t.rename(u, e)
	case u != nil && u.owned() && e.Level <= metric.Pod && !identity.Same(u.entity, e):
		return t.contend(u, in, g, at)
	case u == nil || !u.owned():
		if t.own >= t.limits.entities {
			return nil, dropLimit
		}
		if u == nil {
			u = t.place(identity.KeyOf(e), e)
		}
		u.base, u.first = at-3600_000, at
	}
	t.know(u, e, at)
	return u, 0
}

// named returns the unit of the entity's names. One side that has no cgroup does not say where its names are unique; then the other does.
func (t *tree) named(e *metric.Entity) *unit {
	if u := t.byKey[identity.KeyOf(e)]; u != nil {
		return u
	}
	k, ok := otherScope(e)
	if u := t.byKey[k]; ok && u != nil && u.entity.Node == e.Node && (e.ID == "" || !u.sure) {
		return u
	}
	return nil
}

// settle gives the unit the scope that an entity of its names has.
func (t *tree) settle(u *unit, e *metric.Entity) {
	if e.ID == "" || u.sure {
		return
	}
	u.sure = true
	if s := identity.KeyOf(e).Node; s != u.key.Node && u.key.Level <= metric.Pod {
		delete(t.byKey, u.key)
		u.key.Node = s
		t.byKey[u.key] = u
	}
}

// sameID returns the container unit of the same node and cgroup.
func (t *tree) sameID(e *metric.Entity) *unit {
	if e.Level != metric.Container || e.ID == "" {
		return nil
	}
	return t.byID[idKey{e.Node, e.ID}]
}

// know remembers a pointer under which the unit is known, dropping the oldest of more than three, and shows
// the newest names.
func (t *tree) know(u *unit, e *metric.Entity, at int64) {
	if !u.owned() {
		t.own++
		if u.first == 0 {
			u.first = at
		}
	}
	if old := u.ptrs[2]; old != nil {
		delete(t.byPtr, old)
	}
	copy(u.ptrs[1:], u.ptrs[:2])
	u.ptrs[0] = e
	t.byPtr[e] = u
	t.settle(u, e)
	t.show(u, e)
}

// show makes e the unit's entity. What e does not say and is known of the same thing stays: the readers of the
// two lanes, or of a pod and its containers, do not all know its workload or its image.
func (t *tree) show(u *unit, e *metric.Entity) {
	was := u.entity
	if identity.Same(was, e) {
		e = filled(e, was)
	}
	u.entity = e
	t.touch(u)
	if u.key.Level == metric.Container {
		if was.ID != e.ID || was.Node != e.Node {
			t.lose(u, was)
		}
		if e.ID != "" {
			t.byID[idKey{e.Node, e.ID}] = u
		}
	}
	if was.Node != e.Node || was.WorkloadKind != e.WorkloadKind || was.Workload != e.Workload {
		t.attach(u)
	}
}

// lose takes the unit out of the index of cgroups.
func (t *tree) lose(u *unit, was *metric.Entity) {
	if id := (idKey{was.Node, was.ID}); t.byID[id] == u {
		delete(t.byID, id)
	}
}

// unknow forgets the pointers under which the unit is known, all or those for which but is false.
func (t *tree) unknow(u *unit, but func(*metric.Entity) bool) {
	if !u.owned() {
		return
	}
	for i, ptr := range u.ptrs {
		if ptr != nil && (but == nil || !but(ptr)) {
			delete(t.byPtr, ptr)
			u.ptrs[i] = nil
		}
	}
	if !u.owned() {
		t.own--
	}
}

// contend decides between two containers of the same names with different IDs. The newer start counts; where starts are not
// known, the newcomer. It returns the unit if the group is the one to show.
func (t *tree) contend(u *unit, in *intake, g *metric.Group, at int64) (*unit, reason) {
	e := g.Entity
	if quiet := at-u.newest() > u.limit(t.limits, in.lane); !quiet {
		if order := identity.Follows(millis(u.began()), g.Start); order < 0 || order == 0 && u.rival != nil && u.rival.ID == e.ID {
			return nil, dropDuplicate
		}
	}
	rival, had := u.entity, u.newest() != 0
	t.unknow(u, func(ptr *metric.Entity) bool { return ptr.ID == e.ID })
	t.know(u, e, at)
	if had {
		u.restart(in, at)
		u.restarted = 0
		u.last, u.interval = [numLanes]int64{}, [numLanes]int32{}
	}
	u.rival = rival
	return u, 0
}

// rename moves a unit to the names that became known.
func (t *tree) rename(u *unit, e *metric.Entity) {
	delete(t.byKey, u.key)
	u.key = identity.KeyOf(e)
	t.byKey[u.key] = u
	parent, node, was := u.parent, u.node, u.entity
	t.detach(u)
	t.lose(u, was)
	u.entity = filled(e, was)
	t.attach(u)
	t.prune(parent)
	t.prune(node)
}
