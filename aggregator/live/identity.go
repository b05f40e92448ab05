package live

import (
	"cmp"
	"strings"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// idKey identifies a container by its node and cgroup: its names may become known later.
type idKey struct{ node, id string }

// otherScope returns the key that an entity has if its names are unique elsewhere than its own key says.
func otherScope(e *metric.Entity) (k identity.Key, ok bool) {
	if k = identity.KeyOf(e); e.Level > metric.Pod || e.Node == "" {
		return k, false
	}
	if k.Node == "" {
		k.Node = e.Node
	} else {
		k.Node = ""
	}
	return k, true
}

// podOf is the pod of a container. Its ID is only there to tell its scope.
func podOf(e *metric.Entity) metric.Entity {
	return metric.Entity{Level: metric.Pod, Node: e.Node, Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload, Pod: e.Pod, ID: e.ID}
}

// usable says whether the entity has the names that its level needs, and not too long ones.
func usable(e *metric.Entity) bool {
	const limit = 4096
	if len(e.Node)+len(e.Namespace)+len(e.WorkloadKind)+len(e.Workload)+len(e.Pod)+len(e.Container)+len(e.ID)+len(e.Runtime)+len(e.Image) > limit {
		return false
	}
	return identity.Usable(e)
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

// compareNames is the order of snapshots: level by level, and there by the names that the level has.
func compareNames(a, b *metric.Entity) int {
	switch {
	case a.Level != b.Level:
		return int(a.Level) - int(b.Level)
	case a.Level == metric.Node:
		return strings.Compare(a.Node, b.Node)
	case a.Level == metric.Workload:
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.WorkloadKind, b.WorkloadKind), strings.Compare(a.Workload, b.Workload))
	}
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 || a.Level > metric.Pod {
		return c
	}
	if c := strings.Compare(a.Pod, b.Pod); c != 0 {
		return c
	}
	if c := strings.Compare(a.Container, b.Container); c != 0 && a.Level == metric.Container {
		return c
	}
	return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.ID, b.ID))
}
