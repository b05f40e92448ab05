package names

import (
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Pods finds the pods of a node. A pod that it hands out is never changed: another pointer is another state of it.
type Pods interface {
	// Pod returns the pod that has a UID in the names of its cgroups; nil if it is not known, or not of this node.
	Pod(uid string) *cluster.Pod
}

// ofCluster says whether an entry is a cgroup in a pod whose names somebody knows.
func (n *Names) ofCluster(e *entry) bool { return e.place.kind == pod && n.opt.Pods != nil }

// outdated says whether more may be known of an entry's pod than it was named by. Of a pod that is gone nothing more will be known; its
// cgroups keep their names for as long as they stand and nothing else takes them.
func (n *Names) outdated(e *entry) bool {
	p := n.opt.Pods.Pod(e.place.podUID)
	return p != nil && p != e.pod.Load()
}

// container names a cgroup in a pod. That is not known while the pod is not, as long as it takes: it may be another node's, on a machine that
// is several. Nor is it while no container of the pod has the id: it has just started, or is the pause container, which has no name. The caller holds mu.
func (n *Names) container(e *entry) (*metric.Entity, bool) {
	p := n.opt.Pods.Pod(e.place.podUID)
	e.pod.Store(p)
	switch {
	case e.over, !n.genuine(e):
		return nil, true
	case p == nil:
		return nil, false
	}
	c := withID(p, e.place.id)
	if c == nil {
		return nil, false
	}
	out := ofPod(n.opt.Node, e.path, e.place.runtime, p, c)
	n.take(e, identity.KeyOf(out))
	return out, true
}

// take gives an entry its names. Whoever had them before has ended, if it still stands: a container that was started again, a pod that was
// deleted by force and made anew. The caller holds mu.
func (n *Names) take(e *entry, k identity.Key) {
	if before := n.bears[k]; before != nil && before != e {
		before.over = true
		before.entity.Store(nil)
		before.waiting.Store(false)
	}
	n.bears[k] = e
}

// release gives an entry's names back. The caller holds mu.
func (n *Names) release(e *entry) {
	if have := e.entity.Load(); have != nil && n.bears[identity.KeyOf(have)] == e {
		delete(n.bears, identity.KeyOf(have))
	}
}

// withID finds a container of any kind by the runtime's id.
func withID(p *cluster.Pod, id string) *cluster.Container {
	for _, list := range [...][]cluster.Container{p.Containers, p.InitContainers, p.Ephemeral} {
		for i := range list {
			if list[i].ID == id {
				return &list[i]
			}
		}
	}
	return nil
}

// Container returns the entity of the container of a pod that has an id, as its runtime gave it; nil if it is not measured, or has ended.
func (n *Names) Container(id string) *metric.Entity {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.byID[id] {
		if ent := e.entity.Load(); ent != nil && n.ofCluster(e) && n.exists(e.path) {
			return ent
		}
	}
	return nil
}

// Last returns the entity under which a container of a pod was measured last; nil where it was not, or that was some minutes ago.
func (n *Names) Last(p *cluster.Pod, c *cluster.Container) *metric.Entity {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.bears[identity.KeyOf(n.Absent(p, c)).InCluster()]
	if e == nil || e.pod.Load() == nil || e.pod.Load().UID != p.UID {
		return nil
	}
	return e.entity.Load()
}

// Absent names a container of a pod that has no cgroup.
func (n *Names) Absent(p *cluster.Pod, c *cluster.Container) *metric.Entity {
	return ofPod(n.opt.Node, "", "", p, c)
}
