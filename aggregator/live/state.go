package live

import (
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// States says for the history what a cluster says of its pods and nodes beside what they use: phases, readiness, what containers wait for, the
// nodes' conditions and pools, and of how many that is so, up to the cluster. What was so and is not any more is said to be 0 once, and then not
// spoken of: a pod's series end with it. It has one user at a time.
type States struct {
	nodes   func() []*cluster.Node
	synced  func() error
	lines   map[identity.Line]*stated
	reasons map[string]bool
	pass    uint64
	up      []*stated // scratch space
}

// NewStates makes States of the nodes that there are, and of the pods that snapshots know; synced fails until all are known.
func NewStates(nodes func() []*cluster.Node, synced func() error) *States {
	return &States{nodes: nodes, synced: synced, lines: map[identity.Line]*stated{}, reasons: map[string]bool{}}
}

// stated is what was said of one thing.
type stated struct {
	entity *metric.Entity
	cells  []saying
}

// saying is one value of it.
type saying struct {
	id   metric.ID
	sub  string
	v    float64
	pass uint64 // in which it was said last
}

// Of returns what is to be said at a moment.
func (s *States) Of(snap *Snapshot, now time.Time) []metric.Group {
	if s.synced() != nil {
		return nil // owners are not known, so a workload would have another name for a moment
	}
	s.pass++
	pools := map[string]string{}
	for _, n := range s.nodes() {
		pools[n.Name] = n.Pool
		s.node(n)
	}
	for i := range snap.Known {
		s.pod(&snap.Known[i], pools)
	}
	return s.groups(now.UnixMilli())
}

// groups are all that was said in this pass, and a last 0 of what was said in the one before alone.
func (s *States) groups(t int64) []metric.Group {
	out := make([]metric.Group, 0, len(s.lines))
	for line, x := range s.lines {
		g, kept := metric.Group{Entity: x.entity}, x.cells[:0]
		for _, c := range x.cells {
			switch {
			case c.pass == s.pass:
				kept = append(kept, c)
			case c.v == 0:
				continue
			default:
				c.v = 0
			}
			g.Points = append(g.Points, metric.Point{ID: c.id, Sub: c.sub, T: t, V: c.v})
		}
		if x.cells = kept; len(kept) == 0 {
			delete(s.lines, line)
		}
		if len(g.Points) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// of is what is said of an entity, made if nobody of its names was spoken of before.
func (s *States) of(e metric.Entity) *stated {
	if x := s.lines[identity.LineOf(&e)]; x != nil {
		return x
	}
	kept := e // e itself stays where it costs nothing
	return s.ofItem(&kept)
}

// ofItem is of of an entity that others keep too: 30,000 pods' are some megabytes.
func (s *States) ofItem(e *metric.Entity) *stated {
	line := identity.LineOf(e)
	x := s.lines[line]
	if x == nil {
		x = &stated{entity: e}
		s.lines[line] = x
	}
	return x
}

// say adds to a value.
func (x *stated) say(pass uint64, id metric.ID, sub string, v float64) {
	for i := range x.cells {
		if c := &x.cells[i]; c.id == id && c.sub == sub {
			if c.pass != pass {
				c.v, c.pass = 0, pass
			}
			c.v += v
			return
		}
	}
	x.cells = append(x.cells, saying{id, sub, v, pass})
}

// each adds to a value of several things, as far as they have such a one.
func (s *States) each(of []*stated, id metric.ID, sub string, v float64) {
	for _, x := range of {
		if metric.Get(id).Has(x.entity.Level) {
			x.say(s.pass, id, sub, v)
		}
	}
}

// phases are the rows of a pod's phases.
var phases = map[string]metric.ID{"Pending": metric.PodsPending, "Running": metric.PodsRunning, "Succeeded": metric.PodsSucceeded, "Failed": metric.PodsFailed, "Unknown": metric.PodsUnknown}

// pod says how a pod is, under the names that the picture has of it.
func (s *States) pod(k *Known, pools map[string]string) {
	p := k.Pod
	e := metric.Entity{Level: metric.Pod, Node: p.Node, Namespace: p.Namespace, WorkloadKind: p.Owner.Kind, Workload: p.Owner.Name, Pod: p.Name}
	var pod *stated
	if k.Item != nil {
		e, pod = *k.Item.Entity, s.ofItem(k.Item.Entity)
	} else {
		pod = s.of(e)
	}
	s.up = append(s.up[:0], pod)
	s.above(&e, pools[p.Node])
	if id, ok := phases[string(p.Phase)]; ok {
		s.each(s.up, id, "", 1)
	}
	if p.Ready != "" && !p.Finished() {
		s.each(s.up, metric.PodsReady, "", whether(p.Ready == "True"))
	}
	for _, list := range [...][]cluster.Container{p.Containers, p.InitContainers, p.Ephemeral} {
		for i := range list {
			if list[i].Waiting != "" {
				s.waits(e, &list[i])
			}
		}
	}
}

func whether(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// above adds the things that a pod is counted in.
func (s *States) above(e *metric.Entity, pool string) {
	s.up = append(s.up, s.of(metric.Entity{Level: metric.Namespace, Namespace: e.Namespace}), s.of(metric.Entity{Level: metric.Cluster}))
	if e.Workload != "" {
		s.up = append(s.up, s.of(metric.Entity{Level: metric.Workload, Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload}))
	}
	if e.Node != "" {
		s.up = append(s.up, s.of(metric.Entity{Level: metric.Node, Node: e.Node}))
	}
	if pool != "" {
		s.up = append(s.up, s.of(metric.Entity{Level: metric.Pool, Pool: pool}))
	}
}

// waits says what a container of the pod at hand waits for.
func (s *States) waits(pod metric.Entity, c *cluster.Container) {
	reason := s.reason(c.Waiting)
	pod.Level, pod.Container, pod.ID = metric.Container, c.Name, ""
	s.of(pod).say(s.pass, metric.ContainersWaiting, reason, 1)
	s.each(s.up, metric.ContainersWaiting, reason, 1)
}

// reason is what a container waits for as a label. Kubelets and runtimes may call it what they like: each is a series of its own, so of long
// names, and of more than some tens, there are no more.
func (s *States) reason(word string) string {
	const longest, most, other = 64, 40, "Other"
	if s.reasons[word] {
		return word
	}
	if len(word) > longest || len(s.reasons) >= most {
		return other
	}
	s.reasons[word] = true
	return word
}

// conditions are the rows of a node's conditions other than Ready.
var conditions = map[string]metric.ID{"MemoryPressure": metric.NodesMemoryPressure, "DiskPressure": metric.NodesDiskPressure, "PIDPressure": metric.NodesPIDPressure,
	"NetworkUnavailable": metric.NodesNetworkUnavailable}

// node says how a node is, and in which pool.
func (s *States) node(n *cluster.Node) {
	node, up := s.of(metric.Entity{Level: metric.Node, Node: n.Name}), []*stated{s.of(metric.Entity{Level: metric.Cluster})}
	if n.Pool != "" {
		up = append(up, s.of(metric.Entity{Level: metric.Pool, Pool: n.Pool}))
	}
	node.say(s.pass, metric.Nodes, n.Pool, 1)
	s.each(up, metric.Nodes, "", 1)
	up = append(up, node)
	s.each(up, metric.NodesReady, "", whether(n.Ready == "True"))
	s.each(up, metric.NodesUnschedulable, "", whether(n.Unschedulable))
	for _, id := range conditions {
		s.each(up, id, "", 0)
	}
	for _, kind := range n.Pressure {
		if id, ok := conditions[kind]; ok {
			s.each(up, id, "", 1)
		}
	}
}
