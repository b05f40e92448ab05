package live

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// admit returns the unit of the group's entity, making it if it is new; nil with the reason when the group
// is not to be used.
func (p *Picture) admit(g *metric.Group, ln lane, t int64) (*unit, reason) {
	if u := p.byPtr[g.Entity]; u != nil {
		return u, 0
	}
	e := g.Entity
	if e == nil || !usable(e) {
		return nil, dropEntity
	}
	u, same := p.named(e), p.sameID(e)
	switch {
	case u == nil && same != nil:
		u = same
		p.rename(u, e)
	case u != nil && same != nil && same != u:
		// A container became known by the name of one that it replaces.
		same.restarts += u.restarts + 1
		same.first = min(same.first, u.first)
		p.remove(u)
		u = same
		p.rename(u, e)
	case u != nil && u.owned() && e.Level <= metric.Pod && u.entity.ID != e.ID && u.entity.ID != "" && e.ID != "":
		return p.contend(u, g, ln, t)
	case u == nil || !u.owned():
		if p.own >= p.opts.MaxEntities {
			return nil, dropLimit
		}
		if u == nil {
			u = p.place(keyOf(e), e)
		}
		u.base, u.first = t-3600_000, t
	}
	p.know(u, e, t)
	return u, 0
}

// named returns the unit of the entity's names.
func (p *Picture) named(e *metric.Entity) *unit {
	u := p.byKey[keyOf(e)]
	if u == nil && e.Level <= metric.Pod && e.ID == "" && e.Node != "" {
		k := keyOf(e) // the unit's containers said that its names are unique on their node only
		k.node = e.Node
		u = p.byKey[k]
	}
	return u
}

// sameID returns the container unit of the same node and cgroup.
func (p *Picture) sameID(e *metric.Entity) *unit {
	if e.Level != metric.Container || e.ID == "" {
		return nil
	}
	return p.byID[idKey{e.Node, e.ID}]
}

// know remembers a pointer under which the unit is known, dropping the oldest of more than three, and shows
// the newest names.
func (p *Picture) know(u *unit, e *metric.Entity, t int64) {
	if !u.owned() {
		p.own++
		if u.first == 0 {
			u.first = t
		}
	}
	if old := u.ptrs[2]; old != nil {
		delete(p.byPtr, old)
	}
	copy(u.ptrs[1:], u.ptrs[:2])
	u.ptrs[0] = e
	p.byPtr[e] = u
	was := u.entity
	u.entity = e
	if u.key.level == metric.Container {
		if was.ID != e.ID || was.Node != e.Node {
			p.lose(u, was)
		}
		if e.ID != "" {
			p.byID[idKey{e.Node, e.ID}] = u
		}
	}
	if was.Node != e.Node || was.WorkloadKind != e.WorkloadKind || was.Workload != e.Workload {
		p.attach(u)
	}
}

// lose takes the unit out of the index of cgroups.
func (p *Picture) lose(u *unit, was *metric.Entity) {
	if id := (idKey{was.Node, was.ID}); p.byID[id] == u {
		delete(p.byID, id)
	}
}

// unknow forgets the pointers under which the unit is known, all or those that are not of the given cgroup.
func (p *Picture) unknow(u *unit, but func(*metric.Entity) bool) {
	if !u.owned() {
		return
	}
	for i, ptr := range u.ptrs {
		if ptr != nil && (but == nil || !but(ptr)) {
			delete(p.byPtr, ptr)
			u.ptrs[i] = nil
		}
	}
	if !u.owned() {
		p.own--
	}
}

// contend decides between two containers of the same names with different IDs. The newer start counts; where starts are not
// known, the newcomer. It returns the unit if the group is the one to show.
func (p *Picture) contend(u *unit, g *metric.Group, ln lane, t int64) (*unit, reason) {
	e := g.Entity
	quiet := t-u.newestSample() > p.limit(u, ln)
	if !quiet {
		start, have := unixMilli(g.Start), max(u.start[full], u.start[fast])
		older := start != 0 && have != 0 && start < have
		if older || (start == have || start == 0 || have == 0) && u.rival == e.ID {
			return nil, dropDuplicate
		}
	}
	rival, had := u.entity.ID, u.newestSample() != 0
	p.unknow(u, func(ptr *metric.Entity) bool { return ptr.ID == e.ID })
	if p.byPtr[e] != u {
		p.know(u, e, t)
	}
	if had {
		p.restart(u, t)
		u.restarted = 0
		u.last, u.interval = [numLanes]int64{}, [numLanes]int32{}
	}
	u.rival = rival
	return u, 0
}

// rename moves a unit to the names that became known.
func (p *Picture) rename(u *unit, e *metric.Entity) {
	delete(p.byKey, u.key)
	u.key = keyOf(e)
	p.byKey[u.key] = u
	parent, node := u.parent, u.node
	p.detach(u)
	p.lose(u, u.entity)
	u.entity = e
	p.attach(u)
	p.prune(parent)
	p.prune(node)
}

// prune removes a roll-up that lost its last member.
func (p *Picture) prune(u *unit) {
	if u != nil && u != p.cluster && len(u.members) == 0 && !u.owned() && p.byKey[u.key] == u {
		p.remove(u)
	}
}

// place makes a unit and hangs it into the tree.
func (p *Picture) place(k key, e *metric.Entity) *unit {
	u := &unit{entity: e, key: k, subs: []string{""}}
	p.byKey[k] = u
	p.level[k.level] = append(p.level[k.level], u)
	p.tidied = false
	p.meters.entities[k.level].Inc()
	if k.level != metric.Cluster {
		p.attach(u)
	}
	return u
}

// attach hangs a unit below its parent and its node, making them where they do not exist yet.
func (p *Picture) attach(u *unit) {
	parent, node := p.parentOf(u), (*unit)(nil)
	if u.key.level == metric.Pod || u.key.level == metric.Container && parent.key.level != metric.Pod {
		if n := u.entity.Node; n != "" {
			node = p.ensure(key{level: metric.Node, node: n}, metric.Entity{Level: metric.Node, Node: n})
		}
	}
	if parent == u.parent && node == u.node {
		return
	}
	p.detach(u)
	u.parent, u.node = parent, node
	p.tidied = false
	parent.members = append(parent.members, u)
	if node != nil {
		node.members = append(node.members, u)
	}
}

// parentOf returns the unit one level up: the first that the entity names.
func (p *Picture) parentOf(u *unit) *unit {
	e := u.entity
	if u.key.level == metric.Container && e.Pod != "" {
		k := key{metric.Pod, u.key.node, e.Namespace, e.Pod, ""}
		pod := p.ensure(k, metric.Entity{Level: metric.Pod, Node: e.Node, Namespace: e.Namespace,
			WorkloadKind: e.WorkloadKind, Workload: e.Workload, Pod: e.Pod})
		if own := pod.ptrs[0] != nil; !own && (pod.entity.Workload != e.Workload || pod.entity.WorkloadKind != e.WorkloadKind || pod.entity.Node != e.Node) {
			moved := *pod.entity // never changed in place: readers hold it
			moved.Node, moved.WorkloadKind, moved.Workload = e.Node, e.WorkloadKind, e.Workload
			pod.entity = &moved
			p.attach(pod)
		}
		return pod
	}
	if u.key.level < metric.Workload && e.Workload != "" {
		return p.ensure(key{metric.Workload, "", e.Namespace, e.WorkloadKind, e.Workload},
			metric.Entity{Level: metric.Workload, Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload})
	}
	if u.key.level < metric.Namespace && e.Namespace != "" {
		return p.ensure(key{metric.Namespace, "", e.Namespace, "", ""}, metric.Entity{Level: metric.Namespace, Namespace: e.Namespace})
	}
	return p.cluster
}

func (p *Picture) ensure(k key, e metric.Entity) *unit {
	if u := p.byKey[k]; u != nil {
		return u
	}
	return p.place(k, &e)
}

// detach takes a unit out of its parent's and its node's members.
func (p *Picture) detach(u *unit) {
	for _, from := range []*unit{u.parent, u.node} {
		if from == nil {
			continue
		}
		if i := slices.Index(from.members, u); i >= 0 {
			last := len(from.members) - 1
			from.members[i] = from.members[last]
			from.members[last] = nil
			from.members = from.members[:last]
		}
	}
	u.parent, u.node = nil, nil
	p.tidied = false
}

// remove drops a unit, and the parents that it leaves empty.
func (p *Picture) remove(u *unit) {
	parent, node := u.parent, u.node
	p.detach(u)
	p.unknow(u, nil)
	p.lose(u, u.entity)
	delete(p.byKey, u.key)
	l := u.key.level
	if i := slices.Index(p.level[l], u); i >= 0 {
		p.level[l] = slices.Delete(p.level[l], i, i+1)
	}
	p.meters.entities[l].Dec()
	p.prune(parent)
	p.prune(node)
}

// forget drops the units that have had no sample for too long; a roll-up goes with its last member.
func (p *Picture) forget(now int64) {
	if d := now - p.forgot; d >= 0 && d < 1000 {
		return
	}
	p.forgot = now
	var out []*unit
	for l := range p.level {
		for _, u := range p.level[l] {
			if u.owned() && now-u.mentioned() > p.patience(u) {
				out = append(out, u)
			}
		}
	}
	for _, u := range out {
		p.drop(u)
	}
}

// mentioned is when the unit was last heard of, in Unix milliseconds.
func (u *unit) mentioned() int64 {
	t := max(u.newestSample(), u.first)
	if u.gap != nil {
		t = max(t, unixMilli(u.gap.Since))
	}
	return t
}

// patience is how long a unit without samples is kept, in milliseconds.
func (p *Picture) patience(u *unit) int64 {
	ln := full
	if u.last[full] == 0 {
		ln = fast
	}
	return max(p.opts.Forget.Milliseconds(), 2*p.limit(u, ln))
}

// drop removes a unit, or turns it into a mere roll-up when it still has members.
func (p *Picture) drop(u *unit) {
	if p.byKey[u.key] != u {
		return // it went with a member
	}
	if len(u.members) == 0 && u != p.cluster {
		p.remove(u)
		return
	}
	p.unknow(u, nil)
	u.series, u.subs, u.gap = nil, []string{""}, nil
	u.last, u.interval = [numLanes]int64{}, [numLanes]int32{}
}

// tidy puts the levels and all members in order of their names, if the tree has changed.
func (p *Picture) tidy() {
	if p.tidied {
		return
	}
	for l := range p.level {
		slices.SortFunc(p.level[l], compareNames)
		for _, u := range p.level[l] {
			u.members = u.members[:0]
		}
	}
	for l := range p.level {
		for _, u := range p.level[l] {
			if u.parent != nil {
				u.parent.members = append(u.parent.members, u)
			}
			if u.node != nil {
				u.node.members = append(u.node.members, u)
			}
		}
	}
	p.tidied = true
}

func compareNames(a, b *unit) int {
	x, y := a.entity, b.entity
	if a.key.level == metric.Workload {
		return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.WorkloadKind, y.WorkloadKind), strings.Compare(x.Workload, y.Workload))
	}
	if a.key.level == metric.Node {
		return strings.Compare(x.Node, y.Node)
	}
	return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Pod, y.Pod), strings.Compare(x.Container, y.Container),
		strings.Compare(x.Node, y.Node), strings.Compare(x.ID, y.ID))
}
