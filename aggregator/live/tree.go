package live

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// place makes a unit and hangs it into the tree.
func (p *Picture) place(k key, e *metric.Entity) *unit {
	u := &unit{entity: e, key: k, subs: []string{""}}
	p.byKey[k] = u
	p.level[k.level] = append(p.level[k.level], u)
	p.tidied = false
	p.meters.entities[k.level].Inc()
	p.changes++
	p.attach(u)
	return u
}

// attach hangs a unit below its parent and its node, making them where they do not exist yet.
func (p *Picture) attach(u *unit) {
	if u.key.level == metric.Cluster {
		return
	}
	parent, node := p.parentOf(u), (*unit)(nil)
	if u.key.level == metric.Pod || u.key.level == metric.Container && parent.key.level != metric.Pod {
		if n := u.entity.Node; n != "" {
			node = p.ensure(key{level: metric.Node, node: n}, metric.Entity{Level: metric.Node, Node: n})
		}
	}
	if parent == u.parent && node == u.node {
		return
	}
	oldParent, oldNode := u.parent, u.node
	p.detach(u)
	u.parent, u.node = parent, node
	p.tidied = false
	parent.count++
	if node != nil {
		node.count++
	}
	p.prune(oldParent)
	p.prune(oldNode)
}

// parentOf returns the unit one level up: the first that the entity names.
func (p *Picture) parentOf(u *unit) *unit {
	e := u.entity
	if u.key.level == metric.Container && e.Pod != "" {
		k := key{metric.Pod, u.key.node, e.Namespace, e.Pod, ""}
		pod := p.ensure(k, metric.Entity{Level: metric.Pod, Node: e.Node, Namespace: e.Namespace,
			WorkloadKind: e.WorkloadKind, Workload: e.Workload, Pod: e.Pod})
		p.follow(pod, e)
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

// follow gives a pod the node and the workload of its container, unless it knows better itself.
func (p *Picture) follow(pod *unit, e *metric.Entity) {
	moved := *pod.entity // never changed in place: readers hold it
	if moved.Workload == "" || !pod.owned() && e.Workload != "" {
		moved.WorkloadKind, moved.Workload = e.WorkloadKind, e.Workload
	}
	if moved.Node == "" || !pod.owned() && e.Node != "" {
		moved.Node = e.Node
	}
	if moved != *pod.entity {
		pod.entity = &moved
		p.tidied = false
		p.attach(pod)
	}
}

func (p *Picture) ensure(k key, e metric.Entity) *unit {
	if u := p.byKey[k]; u != nil {
		return u
	}
	return p.place(k, &e)
}

// detach takes a unit out of the tree.
func (p *Picture) detach(u *unit) {
	for _, from := range []*unit{u.parent, u.node} {
		if from != nil {
			from.count--
		}
	}
	u.parent, u.node = nil, nil
	p.tidied = false
}

// tidy puts the levels and all members in order of their names, if the tree has changed. Until then members may be out of date; count
// is not.
func (p *Picture) tidy() {
	if p.tidied {
		return
	}
	for l := range p.level {
		p.level[l] = slices.DeleteFunc(p.level[l], func(u *unit) bool { return u.dead })
		slices.SortFunc(p.level[l], compareNames)
		for _, u := range p.level[l] {
			clear(u.members)
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
	p.tidied, p.dead = true, 0
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
