package api

import (
	"cmp"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
)

// picture is a snapshot turned into rows, once for all its readers, who change nothing in it.
type picture struct {
	sees       scope.Scope // what of the cluster is in it
	snap       *live.Snapshot
	time       time.Time
	containers []*Container // what hurts first
	node       Node         // all machines together
	podsOf     func(cluster.Target) ([]*cluster.Pod, error)
	nodes      []Node
	byKey      map[identity.Key]*Container
	pods       map[workloadKey][]live.Known // those that the inventory knows, in its order
	waits      map[workloadKey]*cluster.Gap // of those that the inventory says why they have no values, the one that has had none for longest
	unheard    map[workloadKey][]*Container // containers that wait, of which the picture has nothing any more
}

// maxPictures is how many scopes' rows of one snapshot are kept for further readers.
const maxPictures = 64

// picture returns the rows of the newest snapshot that a scope sees. Whoever waits for them waits without one: it would be an older one, and keep it
// in memory.
func (a *API) picture(now time.Time, sees scope.Scope) *picture {
	a.mu.Lock()
	defer a.mu.Unlock()
	snap := a.opts.Pictures.Snapshot(now)
	if snap == nil {
		p := emptyPicture(now, a.opts.Since)
		p.sees = sees
		return p
	}
	if a.of != snap {
		a.ooms.feed(snap)
		a.of, a.last = snap, map[scope.Scope]*picture{}
	}
	if p := a.last[sees]; p != nil {
		return p
	}
	p := newPicture(snap.Within(sees), a.ooms, a.nodes(sees)...)
	p.sees, p.podsOf = sees, a.opts.PodsOf
	switch {
	case !sees.Nodes():
		p.node = Node{Gap: &cluster.Gap{Since: a.opts.Since.UTC(), Reason: metric.GapHidden, Detail: "machines are shown to whoever has the right to them: " + scope.NodesRight}}
	case len(p.nodes) == 0:
		p.node = emptyPicture(now, a.opts.Since).node
	}
	if len(a.last) >= maxPictures {
		clear(a.last)
	}
	a.last[sees] = p
	if sees.IsWhole() {
		a.shown.Store(p)
	}
	return p
}

// likely is a picture by which to judge how much an answer will have: the last that was shown, for which nobody waits. Of a part the newest is asked for.
func (a *API) likely(sees scope.Scope) *picture {
	if p := a.shown.Load(); p != nil && sees.IsWhole() {
		return p
	}
	return a.picture(time.Now(), sees)
}

// nodes are the machines that the cluster says it has, as far as they are seen.
func (a *API) nodes(sees scope.Scope) []*cluster.Node {
	if a.opts.Nodes == nil || !sees.Nodes() {
		return nil
	}
	return a.opts.Nodes()
}

// watch feeds the memory of OOM kills without making rows that nobody asked for.
func (a *API) watch(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if snap := a.opts.Pictures.Snapshot(now); snap != nil {
		a.ooms.feed(snap)
	}
}

func emptyPicture(now, since time.Time) *picture {
	if since.IsZero() {
		since = now
	}
	return &picture{
		snap: &live.Snapshot{Time: now}, time: now.UTC(),
		node:  Node{Gap: &cluster.Gap{Since: since.UTC(), Reason: metric.GapStarting, Detail: "no machine has sent a sample yet"}},
		nodes: []Node{},
	}
}

// newPicture makes the rows of a snapshot, and of the machines that the cluster has.
func newPicture(snap *live.Snapshot, k *kills, nodes ...*cluster.Node) *picture {
	p := &picture{
		snap: snap, time: snap.Time.UTC(),
		containers: make([]*Container, 0, len(snap.Containers)),
		nodes:      make([]Node, 0, len(snap.Nodes)),
		byKey:      make(map[identity.Key]*Container, len(snap.Containers)),
		pods:       map[workloadKey][]live.Known{},
		waits:      map[workloadKey]*cluster.Gap{},
		unheard:    map[workloadKey][]*Container{},
	}
	waiting := p.know()
	ended := map[*Container]bool{}
	for _, it := range snap.Containers {
		c := containerOf(it)
		if it.Silent() {
			c.mute()
		}
		a := eventsOf(it, k, snap.Time)
		if a.ended = it.Ended; a.ended {
			ended[&c] = true
		}
		if gap := waiting[it.Parent]; gap != nil && it.Gap != nil {
			c.Gap, a.ended, a.wasStart = gap, false, false // it is between its lives
		} else if gap := it.WaitsFor(); gap != nil {
			c.Gap, a.ended = gap, false
			delete(ended, &c)
		}
		a.unheard = it.Unheard
		if a.ended {
			a.wasStart = false
			if snap.Time.Sub(it.Gap.Since) > linger {
				continue
			}
		}
		if !it.Silent() {
			c.Score, c.Why = scoreOf(&c, a)
		}
		if c.Why == "" && a.ended {
			c.Why = "ended " + ago(max(0, snap.Time.Sub(it.Gap.Since)))
		}
		if c.Why == "" && unaccounted(it, snap.Time) {
			c.Why = "its CPU is not accounted for"
		}
		p.containers = append(p.containers, &c)
		p.byKey[identity.KeyOf(it.Entity)] = &c
	}
	for _, rows := range p.unheard {
		for _, c := range rows {
			ended[c] = true
			c.Score, c.Why = scoreOf(c, events{})
			p.containers = append(p.containers, c)
		}
	}
	sortContainers(p.containers, "score")
	for _, it := range snap.Nodes {
		n := nodeOf(it)
		if it.Silent() {
			n.mute()
		}
		if len(it.Items) > 0 && !it.Own.Has(metric.CPUUsage) && !it.Own.Has(metric.MemoryWorkingSet) { // its values are its pods' sums
			on := slices.DeleteFunc(slices.Clone(snap.Known), func(k live.Known) bool { return k.Pod.Node != it.Entity.Node })
			n.Partial, n.Parts, n.Gap = p.lacks(it, on, n.CPU, n.WorkingSet, n.Gap)
		}
		p.nodes = append(p.nodes, n)
	}
	p.have(nodes)
	p.count(ended)
	return p
}

// linger is how long a row is shown after its container has ended: long enough to see it go.
const linger = 10 * time.Second

// eventsOf looks up what the row does not show. A replica that comes back under its name after the workload had
// been scaled down was not restarted; whoever runs it knows. Nor was a plain cgroup that somebody made anew.
func eventsOf(it *live.Item, k *kills, now time.Time) events {
	var a events
	a.killed, a.wasKill = k.age(it.Entity, now)
	var since time.Time
	switch pod, c := known(it); {
	case c != nil && c.Restarts > 0: // its own start; that the pod became ready, or not, is none
		if since = begun(it); since.IsZero() {
			since = pod.Status.Since
		}
	case c == nil && (it.Restarts > 0 || it.Another) && identity.Restarts(it.Entity):
		a.anew = or(restarts(it), 0) == 0
		if !a.anew || !it.Counted || it.Another { // else whoever counts has not told yet that it was restarted
			since = it.Start
		}
	}
	if !since.IsZero() {
		a.restart = max(now.Sub(since), 0)
		a.wasStart = a.restart < restartMemory
	}
	return a
}

// begun is when a container's newest life began, which may be one that no sample was taken of; zero if that is not known.
func begun(it *live.Item) time.Time {
	at := it.Start
	if _, c := known(it); c != nil {
		for _, told := range [...]time.Time{c.Started, c.Began} {
			if told.After(at) {
				at = told
			}
		}
	}
	return at
}

// count fills in what nodes show of their containers that have not ended.
func (p *picture) count(ended map[*Container]bool) {
	type tally struct {
		node       *Node
		containers int
		most       float64
	}
	by := make(map[string]*tally, len(p.nodes))
	for i := range p.nodes {
		by[p.nodes[i].Name] = &tally{node: &p.nodes[i]}
	}
	busiest, all := "", 0.0
	for _, c := range p.containers {
		t := by[c.Node]
		if t == nil || ended[c] {
			continue
		}
		t.containers++
		cpu := or(c.CPU, 0)
		if cpu > t.most {
			t.most, t.node.Busiest = cpu, c.Title
		}
		if cpu > all {
			all, busiest = cpu, c.Title
		}
	}
	for _, t := range by {
		if n := t.node; t.containers > 0 || n.Gap == nil || n.CPU != nil || n.WorkingSet != nil { // else what is on it is not known, or not any more
			n.Containers = &t.containers
		}
	}
	p.node = together(p.nodes)
	p.node.Busiest = busiest
}

// workload returns one workload's item; nil if there is none of that name.
func (p *picture) workload(namespace, kind, name string) *live.Item {
	i, ok := slices.BinarySearchFunc(p.snap.Workloads, metric.Entity{Namespace: namespace, WorkloadKind: kind, Workload: name},
		func(it *live.Item, e metric.Entity) int {
			return cmp.Or(cmp.Compare(it.Entity.Namespace, e.Namespace), cmp.Compare(it.Entity.WorkloadKind, e.WorkloadKind),
				cmp.Compare(it.Entity.Workload, e.Workload))
		})
	if !ok {
		return nil
	}
	return p.snap.Workloads[i]
}

// members returns the rows of a workload's containers, what hurts first; w is nil where it has nothing running.
func (p *picture) members(w *live.Item, k workloadKey) []Container {
	out := slices.Clone(p.unheard[k])
	if w == nil {
		return copies(out)
	}
	for _, pod := range w.Items {
		for _, it := range pod.Items {
			if c := p.byKey[identity.KeyOf(it.Entity)]; c != nil {
				out = append(out, c)
			}
		}
	}
	sortContainers(out, "score")
	return copies(out)
}
