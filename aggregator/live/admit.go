package live

import (
	"cmp"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// idKey identifies a container by its node and cgroup: its names may become known later.
type idKey struct{ node, id string }

// admit returns the unit of a group whose pointer is not known yet, making it if it is new; nil with the reason when the group, whose
// newest sample is of time at, is not to be used.
func (t *tree) admit(in *intake, g *metric.Group, at int64) (*unit, reason) {
	e := g.Entity
	if e == nil || !identity.Usable(e) {
		return nil, dropEntity
	}
	u, same := t.named(e), (*unit)(nil)
	if e.Level == metric.Container && e.ID != "" {
		same = t.byID[idKey{e.Node, e.ID}]
	}
	switch {
	case same != nil && same != u: // its names became known
		if u != nil { // and it replaces what had them
			same.restarts += u.restarts + 1
			same.another = true
			same.first = min(same.first, u.first)
			t.remove(u)
		}
		u = same
	case u != nil && u.sent() && e.Level <= metric.Pod && !identity.Same(u.entity, e):
		return t.contend(u, in, g, at)
	case u == nil || !u.sent():
		if t.sent >= t.limits.entities || in.sender != "" && t.shares.count >= t.limits.foreign {
			from := t.shares.yields(in.sender, in.node, in.sender == "")
			if from == nil {
				return nil, dropLimit
			}
			in.evicted++
			t.drop(from)
			u = t.named(e) // it may have gone with its last member
		}
		if u == nil {
			u = t.place(t.keyOf(e), e)
		}
		t.speaks(u)
		u.base, u.first = at-3600_000, at
	}
	t.know(in, u, e, at)
	return u, 0
}

// speaks gives a unit samples of its own.
func (t *tree) speaks(u *unit) {
	if u.samples == t.none {
		u.samples = &samples{subs: []string{""}}
	}
}

// keyOf is the key of an entity. What has no cgroup does not say where its names are unique: they are so on its node, but for those of pods that
// the cluster has.
func (t *tree) keyOf(e *metric.Entity) identity.Key {
	k := identity.KeyOf(e)
	if e.ID == "" && e.Level <= metric.Pod && t.pods != nil {
		if _, known := t.pods(e.Namespace, e.Pod); known {
			return k.InCluster()
		}
	}
	return k
}

// named returns the unit of the entity's names. One side that has no cgroup does not say where its names are unique; then the other does, if it
// is of the same node.
func (t *tree) named(e *metric.Entity) *unit {
	k := t.keyOf(e)
	if u := t.byKey[k]; u != nil {
		return u
	}
	if e.Level > metric.Pod || e.Node == "" {
		return nil
	}
	if k.Node == "" {
		k.Node = e.Node
	} else {
		k = k.InCluster()
	}
	if u := t.byKey[k]; u != nil && u.on(e.Node) && (e.ID == "" || !u.sure) {
		return u
	}
	return nil
}

// on says whether a unit is of a node. A pod that moved is where its containers are.
func (u *unit) on(node string) bool {
	return u.entity.Node == node || slices.ContainsFunc(u.members, func(m *unit) bool { return m.entity.Node == node })
}

// contend decides between two containers of the same names with different IDs. The newer start counts; where starts are not
// known, the newcomer. Where no cluster says which pods there are, another sender's machine has what is sent of one machine only once that is silent,
// however new it says that its own is. It returns the unit if the group is the one to show.
func (t *tree) contend(u *unit, in *intake, g *metric.Group, at int64) (*unit, reason) {
	e := g.Entity
	if quiet := at-u.newest() > u.limit(t.limits, in.lane); !quiet {
		if !t.known && e.Node != u.entity.Node && u.sender() != in.sender {
			in.claimed = claim{e, u.entity}
			return nil, dropDuplicate
		}
		if order := identity.Follows(millis(u.began()), g.Start); order < 0 || order == 0 && u.rival != nil && u.rival.ID == e.ID {
			return nil, dropDuplicate
		}
	}
	rival, had := u.entity, u.newest() != 0
	t.unknow(u, func(ptr *metric.Entity) bool { return ptr.ID == e.ID })
	t.know(in, u, e, at)
	if had {
		u.restart(in, at)
		u.restarted, u.read = 0, 0
		if u.another = !identity.SamePod(rival.ID, e.ID); u.another {
			u.forgetLives(t.born(e))
		}
		u.last, u.interval = [numLanes]int64{}, [numLanes]int32{}
	}
	u.rival = rival
	return u, 0
}

// claim is what a sender says of a thing that another one's machine has.
type claim struct{ by, of *metric.Entity }

// sender is who has sent a unit; "" is this machine.
func (u *unit) sender() string {
	if u.home == nil {
		return ""
	}
	return u.home.of.name
}

// know remembers a pointer under which a unit is known, dropping the oldest of more than three, and shows the unit under the newest
// names, where they put it. What e does not say and is known of the same thing stays: the readers of the two lanes, or of a pod and its
// containers, do not all know its workload or its image.
func (t *tree) know(in *intake, u *unit, e *metric.Entity, at int64) {
	if !u.sent() {
		t.speaks(u)
		t.sent++
		if in.sender != "" {
			from := t.shares.part(in.sender)
			from.login = in.login
			from.part(in.node).enter(u)
		}
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
	t.rekey(u, e)
	was := u.entity
	if identity.Same(was, e) {
		e = filled(e, was)
	}
	u.entity = e
	t.touch(u)
	if e.Level == metric.Container {
		t.lose(u, was)
		if e.ID != "" {
			t.byID[idKey{e.Node, e.ID}] = u
		}
	}
	if was.Node != e.Node || was.WorkloadKind != e.WorkloadKind || was.Workload != e.Workload || was.Namespace != e.Namespace || was.Pod != e.Pod {
		t.attach(u)
	}
}

// rekey finds a unit by the names of an entity from now on. A cgroup says where they are unique.
func (t *tree) rekey(u *unit, e *metric.Entity) {
	k := identity.KeyOf(e)
	if e.ID == "" {
		k.Node = u.key.Node
	} else {
		u.sure = true
	}
	if k != u.key {
		delete(t.byKey, u.key)
		u.key = k
		t.byKey[k] = u
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
	if !u.sent() {
		return
	}
	for i, ptr := range u.ptrs {
		if ptr != nil && (but == nil || !but(ptr)) {
			delete(t.byPtr, ptr)
			u.ptrs[i] = nil
		}
	}
	if !u.sent() {
		t.sent--
		u.leave()
	}
}

// note keeps what a batch says of an entity that could not be read.
func (t *tree) note(in *intake, g *metric.Gap, at time.Time) {
	if g.Entity == nil || at.Year() < 1970 || at.Year() > 2285 || !identity.Usable(g.Entity) || len(g.Reason) > 64 || len(g.Detail) > 1024 {
		return
	}
	u := t.byPtr[g.Entity]
	if u == nil {
		u = t.named(g.Entity)
	}
	switch {
	case u == nil && g.Reason == metric.GapGone:
		return
	case u == nil:
		u, _ = t.admit(in, &metric.Group{Entity: g.Entity}, in.at)
	case u.entity.ID != g.Entity.ID || u.entity.Node != g.Entity.Node:
		return // of a container that another one of its names has replaced, here or elsewhere
	}
	if u == nil || in.at <= u.measured() {
		return
	}
	if u.gap != nil && u.gap.Reason == g.Reason {
		if u.unread() && u.kept() && u.round != t.round { // nor does whoever runs it tell of it any more
			u.gap = &cluster.Gap{Since: at, Reason: g.Reason, Detail: g.Detail}
			t.changes++
		}
		return
	}
	since := at
	if u.told && u.round == t.round && u.newest() < in.at { // whoever runs it tells of it all the same
		since = millis(u.newest())
	}
	if u.gap != nil {
		since = u.gap.Since
	}
	u.gap = &cluster.Gap{Since: since, Reason: g.Reason, Detail: g.Detail}
	t.changes++
}

// filled returns e, or a copy of it in which fields that are empty are taken from was.
func filled(e, was *metric.Entity) *metric.Entity {
	c := *e
	if c.Workload == "" {
		c.WorkloadKind, c.Workload = was.WorkloadKind, was.Workload
	}
	c.Node, c.ID = cmp.Or(c.Node, was.Node), cmp.Or(c.ID, was.ID)
	c.Runtime, c.Image = cmp.Or(c.Runtime, was.Runtime), cmp.Or(c.Image, was.Image)
	switch c {
	case *e:
		return e
	case *was:
		return was
	}
	return &c
}
