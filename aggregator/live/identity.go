package live

import "plimsoll.dev/plimsoll/internal/metric"

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
	p.show(u, e)
}

// show makes e the unit's entity. What e does not say and is known of the same thing stays: the readers of the
// two lanes, or of a pod and its containers, do not all know its workload or its image.
func (p *Picture) show(u *unit, e *metric.Entity) {
	was := u.entity
	if was.ID == "" || e.ID == "" || was.ID == e.ID {
		e = filled(e, was)
	}
	u.entity = e
	p.changes++
	if was.Node != e.Node || was.ID != e.ID {
		p.tidied = false // they are part of the order
	}
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

// filled returns e, or a copy of it in which fields that are empty are taken from was.
func filled(e, was *metric.Entity) *metric.Entity {
	c := *e
	if c.Workload == "" {
		c.WorkloadKind, c.Workload = was.WorkloadKind, was.Workload
	}
	for _, f := range [...]struct {
		to   *string
		from string
	}{{&c.Node, was.Node}, {&c.ID, was.ID}, {&c.Runtime, was.Runtime}, {&c.Image, was.Image}} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	switch c {
	case *e:
		return e
	case *was:
		return was
	}
	return &c
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
	was := u.entity
	p.lose(u, was)
	u.entity = filled(e, was)
	p.attach(u)
	p.prune(parent)
	p.prune(node)
}
