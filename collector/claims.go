package collector

import (
	"cmp"
	"iter"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Node knows one node of a cluster and the pods on it. What it hands out is never changed.
type Node interface {
	All() []*cluster.Pod
	// Nodes returns the node alone, once it is known.
	Nodes() []*cluster.Node
}

// Containers names the containers of pods.
type Containers interface {
	// Container returns the one that is measured, by the runtime's id; nil: it is not.
	Container(id string) *metric.Entity
	// Last returns one under which a container was measured last, be it between two readings; nil: it was not, or long ago.
	Last(p *cluster.Pod, c *cluster.Container) *metric.Entity
	// Absent names one that has no cgroup.
	Absent(p *cluster.Pod, c *cluster.Container) *metric.Entity
}

// Claims is an Extra of the full lane: what a node of a cluster has, what its pods ask of it and may use, and how often their containers were
// started again. What pods say goes before what their cgroups show, and the node before the machine.
type Claims struct {
	node       *metric.Entity
	known      Node
	containers Containers

	mu   sync.Mutex
	last map[claimant]*metric.Entity       // under which a container was last spoken of, and a pod
	ends map[*metric.Entity][]cluster.Kill // of the last reading, see Killed
}

// claimant is a container of a pod, or with "" the pod itself.
type claimant struct{ uid, container string }

// NewClaims makes the Claims of the node that an entity stands for.
func NewClaims(node *metric.Entity, known Node, containers Containers) *Claims {
	return &Claims{node: node, known: known, containers: containers}
}

// Read implements Extra.
func (c *Claims) Read(now time.Time) ([]metric.Group, []metric.Gap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := claims{t: now.UnixMilli(), last: map[claimant]*metric.Entity{}, ends: map[*metric.Entity][]cluster.Kill{}, of: c}
	for _, n := range c.known.Nodes() {
		r.say(c.node, r.points(n.Capacity, metric.CPUCapacity, metric.MemoryCapacity), r.points(n.Allocatable, metric.CPUAllocatable, metric.MemoryAllocatable))
	}
	for _, p := range c.known.All() {
		r.pod(p)
	}
	gone := r.gone()
	c.last, c.ends = r.last, r.ends
	return r.out, gone
}

// Killed implements Killer, by what the kubelet says of how containers have ended.
func (c *Claims) Killed() iter.Seq2[*metric.Entity, cluster.Kill] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cluster.EachKill(c.ends)
}

// claims are those of one reading.
type claims struct {
	of   *Claims
	t    int64
	last map[claimant]*metric.Entity
	ends map[*metric.Entity][]cluster.Kill
	out  []metric.Group
}

// points are the amounts of CPU and memory, as far as they are known; of no other resource is there a row.
func (r *claims) points(of cluster.Resources, cpu, memory metric.ID) []metric.Point {
	var out []metric.Point
	if v, ok := of.Get("cpu"); ok {
		out = append(out, metric.Point{ID: cpu, T: r.t, V: v.Float()})
	}
	if v, ok := of.Get("memory"); ok {
		out = append(out, metric.Point{ID: memory, T: r.t, V: v.Float()})
	}
	return out
}

func (r *claims) say(e *metric.Entity, points ...[]metric.Point) {
	g := metric.Group{Entity: e}
	for _, p := range points {
		g.Points = append(g.Points, p...)
	}
	if len(g.Points) > 0 {
		r.out = append(r.out, g)
	}
}

// pod adds a pod's containers: those that are measured, and those that do not run because they wait to be started again. An init container
// that ends asks for nothing beside the others: what is set aside for it is the pod's.
func (r *claims) pod(p *cluster.Pod) {
	if p.Finished() {
		return
	}
	before := len(r.out)
	for i := range p.Containers {
		r.container(p, &p.Containers[i], true)
	}
	for i := range p.InitContainers {
		r.container(p, &p.InitContainers[i], p.InitContainers[i].Always)
	}
	for i := range p.Ephemeral {
		r.container(p, &p.Ephemeral[i], true)
	}
	if len(r.out) > before {
		r.whole(p, r.out[before].Entity)
	}
}

func (r *claims) container(p *cluster.Pod, c *cluster.Container, asks bool) {
	k := claimant{p.UID, c.Name}
	if e := r.of.last[k]; e != nil {
		r.last[k] = e // however often it is out of sight
	}
	if c.ID == "" {
		return
	}
	e := r.of.containers.Container(c.ID)
	switch {
	case e != nil:
	case c.Rests() == "" || p.Deleting:
		return
	default:
		if e = cmp.Or(r.of.containers.Last(p, c), r.of.last[k]); e == nil {
			e = r.of.containers.Absent(p, c)
		}
	}
	r.last[k] = e
	if len(c.Kills) > 0 {
		r.ends[e] = c.Kills
	}
	requests := c.Held()
	if !asks {
		requests = nil
	}
	r.say(e, []metric.Point{{ID: metric.Restarts, T: r.t, V: float64(c.Restarts)}}, r.points(requests, metric.CPURequest, metric.MemoryRequest), r.points(c.Limits, metric.CPULimit, metric.MemoryLimit))
}

// whole adds what the pod asks for as a whole, where that may be another amount than the sum of its containers: it may say so itself, to run it may
// cost something beside them, and an init container may need more than they do after it. Whether it is added does not change in the pod's life: once it was, it stands for
// the containers' sum. one is a container of it.
func (r *claims) whole(p *cluster.Pod, one *metric.Entity) {
	requests, limits := p.HeldApart("cpu", "memory"), cluster.Resources{}
	for _, name := range []cluster.ResourceName{"cpu", "memory"} {
		if limit, ok := p.Limits.Get(name); ok {
			overhead, _ := p.Overhead.Get(name)
			limits = append(limits, cluster.Resource{Name: name, Milli: limit + overhead})
		}
	}
	if len(requests)+len(limits) == 0 {
		return
	}
	k := claimant{uid: p.UID}
	want := metric.Entity{Level: metric.Pod, Node: one.Node, Namespace: one.Namespace, WorkloadKind: one.WorkloadKind, Workload: one.Workload, Pod: one.Pod}
	e := r.of.last[k]
	if e == nil || *e != want { // else the pointer stays
		e = &want
	}
	r.last[k] = e
	r.say(e, r.points(requests, metric.CPURequest, metric.MemoryRequest), r.points(limits, metric.CPULimit, metric.MemoryLimit))
}

// gone are the pods with amounts of their own that are not there any more, or have done what they were for, and the containers of those that are not there, which may have had
// no cgroup for long; none that has another under its name.
func (r *claims) gone() (out []metric.Gap) {
	there, done, names := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, p := range r.of.known.All() {
		if p.Finished() {
			done[p.UID] = true
			continue
		}
		there[p.UID], names[p.Namespace+"/"+p.Name] = true, true
	}
	for k, e := range r.of.last {
		if !there[k.uid] && !(done[k.uid] && k.container != "") && !names[e.Namespace+"/"+e.Pod] {
			out = append(out, metric.Gap{Entity: e, Reason: metric.GapGone, Detail: "its pod is not on the node any more"})
		}
	}
	return out
}
