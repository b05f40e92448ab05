package live

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

func clone(e *metric.Entity, change func(*metric.Entity)) *metric.Entity {
	c := *e
	if change != nil {
		change(&c)
	}
	return &c
}

// feed applies n seconds of one entity, counting from value, at one core.
func feed(t *testing.T, p *Picture, e *metric.Entity, from, n int, value float64) {
	t.Helper()
	for i := range n {
		at := sec(float64(from + i))
		apply(t, p, tick(at, cpu(e, at, value+float64(i), 1)))
	}
}

func TestNewPointerSameNames(t *testing.T) {
	p := newPicture(t, Options{})
	for i := range 10 { // a new pointer each time: the series goes on and no pointer is kept for ever
		feed(t, p, clone(web(1), nil), i, 1, float64(i))
	}
	it := only(t, p.Snapshot(sec(9)).Containers)
	wantRate(t, it, metric.CPUUsage, 1)
	if it.Restarts != 0 || len(p.tree.byPtr) > 3 {
		t.Errorf("restarts %d, %d pointers", it.Restarts, len(p.tree.byPtr))
	}
}

// TestNameBecomesKnown renames a container whose cgroup stays: everything goes on under the new names.
func TestNameBecomesKnown(t *testing.T) {
	p := newPicture(t, Options{})
	raw := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "docker", Pod: "3f2a", Container: "3f2a", ID: "/docker/3f2a"}
	named := clone(raw, func(e *metric.Entity) { e.Pod, e.Container, e.Workload, e.WorkloadKind = "db", "db", "shop", "Compose" })
	feed(t, p, raw, 0, 5, 100)
	apply(t, p, whole(sec(4.5), cpu(named, sec(4.5), 104.4, 1)))
	feed(t, p, raw, 5, 1, 105) // the fast reader learns it later
	feed(t, p, named, 6, 2, 106)
	s := p.Snapshot(sec(7))
	it := only(t, s.Containers)
	wantRate(t, it, metric.CPUUsage, 1)
	if it.Entity.Container != "db" || it.Restarts != 0 || it.First != sec(0) {
		t.Errorf("%v, restarts %d, first %v", it.Entity, it.Restarts, it.First)
	}
	if only(t, s.Pods).Entity.Pod != "db" || only(t, s.Workloads).Entity.Workload != "shop" || it.Parent.Parent != s.Workloads[0] {
		t.Errorf("the tree is not that of the new names: %v", s.Pods[0].Entity)
	}
}

// TestReplaced runs docker compose up again: another cgroup under the same names, at first without them.
func TestReplaced(t *testing.T) {
	p := newPicture(t, Options{})
	db := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "docker", Pod: "db", Container: "db", ID: "/docker/old"}
	feed(t, p, db, 0, 5, 1000)
	raw := clone(db, func(e *metric.Entity) { e.Pod, e.Container, e.ID = "77aa", "77aa", "/docker/77aa" })
	feed(t, p, raw, 6, 3, 0)
	feed(t, p, clone(db, func(e *metric.Entity) { e.ID = "/docker/77aa" }), 9, 2, 3)
	it := only(t, p.Snapshot(sec(10)).Containers)
	wantRate(t, it, metric.CPUUsage, 1)
	if it.Restarts != 1 || it.Entity.ID != "/docker/77aa" || it.First != sec(0) {
		t.Errorf("restarts %d, %+v, first %v", it.Restarts, it.Entity, it.First)
	}
	// And once more, the name known at once.
	feed(t, p, clone(db, func(e *metric.Entity) { e.ID = "/docker/99" }), 12, 2, 5)
	it = only(t, p.Snapshot(sec(13)).Containers)
	wantRate(t, it, metric.CPUUsage, 1)
	if it.Restarts != 2 {
		t.Errorf("restarts %d, want 2", it.Restarts)
	}
}

// TestTwoAtOnce has the same pod on two nodes for a while, as after a forced delete: the newer start is shown,
// whichever is read first, and without starts the newcomer.
func TestTwoAtOnce(t *testing.T) {
	for _, starts := range []bool{true, false} {
		for _, newFirst := range []bool{true, false} {
			p := newPicture(t, Options{})
			old := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "prod", WorkloadKind: "StatefulSet", Workload: "db",
				Pod: "db-0", Container: "db", ID: "/kubepods/pod1/c"}
			young := clone(old, func(e *metric.Entity) { e.Node, e.ID = "n2", "/kubepods/pod2/c" })
			feed(t, p, old, 0, 3, 1000)
			for i := 3; i < 20; i++ {
				at := sec(float64(i))
				groups := []metric.Group{cpu(old, at, 1000+float64(i), 1), cpu(young, at, float64(i), 2)}
				if starts {
					groups[0].Start, groups[1].Start = sec(-1000), sec(2)
				}
				if newFirst {
					groups[0], groups[1] = groups[1], groups[0]
				}
				apply(t, p, tick(at, groups...))
			}
			s := p.Snapshot(sec(19))
			it := only(t, s.Containers)
			wantRate(t, it, metric.CPUUsage, 1)
			if it.Entity.Node != "n2" || it.Restarts != 1 {
				t.Errorf("starts %v, new first %v: shown on %q, restarts %d", starts, newFirst, it.Entity.Node, it.Restarts)
			}
			if got, _ := only(t, s.Workloads).Rate(metric.CPUUsage); got != 1 {
				t.Errorf("the workload counts %v cores, want 1", got)
			}
			// The young one ends; the old one, still running, is shown again.
			feed(t, p, old, 30, 3, 2000)
			it = only(t, p.Snapshot(sec(32)).Containers)
			wantRate(t, it, metric.CPUUsage, 1)
			if it.Entity.Node != "n1" {
				t.Errorf("after the end of the young one %q is shown", it.Entity.Node)
			}
		}
	}
}

// TestSameUnitOnTwoMachines keeps units of plain machines apart.
func TestSameUnitOnTwoMachines(t *testing.T) {
	p := newPicture(t, Options{})
	ssh := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "system", WorkloadKind: "Unit", Workload: "ssh.service",
		Pod: "ssh.service", Container: "ssh.service", ID: "/system.slice/ssh.service"}
	other := clone(ssh, func(e *metric.Entity) { e.Node = "n2" })
	for i := range 3 {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(ssh, at, float64(i), 1), cpu(other, at, float64(i), 1)))
	}
	s := p.Snapshot(sec(2))
	if len(s.Containers) != 2 || len(s.Pods) != 2 || len(s.Nodes) != 2 {
		t.Fatalf("%d containers, %d pods, %d nodes", len(s.Containers), len(s.Pods), len(s.Nodes))
	}
	wantRate(t, only(t, s.Workloads), metric.CPUUsage, 2)
	wantRate(t, s.Nodes[1], metric.CPUUsage, 1) // no value of its own: the sum
}

// TestPodOfItsOwn mixes a pod's own samples (its network) with its containers' and lets the pod not know its workload.
func TestPodOfItsOwn(t *testing.T) {
	p := newPicture(t, Options{})
	pod := &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "demo", Pod: "web-1", ID: "/kubepods/pod1"}
	c := clone(web(1), func(e *metric.Entity) { e.ID = "/kubepods/pod1/c" })
	for i := range 3 {
		at := sec(10 * float64(i))
		net := metric.Group{Entity: pod, Points: []metric.Point{{ID: metric.NetworkReceive, Sub: "eth0", T: at.UnixMilli(), V: 100 * float64(i)}}}
		apply(t, p, whole(at, net, cpu(c, at, float64(i), 1)))
	}
	s := p.Snapshot(sec(20))
	it := only(t, s.Pods)
	wantRate(t, it, metric.NetworkReceive, 10)
	wantRate(t, it, metric.CPUUsage, 0.1)
	w := only(t, s.Workloads)
	wantRate(t, w, metric.NetworkReceive, 10)
	if it.Parent != w || it.Entity.Workload != "web" {
		t.Errorf("the pod hangs below %v", it.Parent.Entity)
	}
}

func TestGaps(t *testing.T) {
	p := newPicture(t, Options{})
	a, b := web(1), web(2)
	n := node("n1")
	for i := range 4 {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(a, at, float64(i), 1), cpu(b, at, float64(i), 1), cpu(n, at, float64(i), 1)))
	}
	apply(t, p, &metric.Batch{Node: "n1", Time: sec(4), Fast: true, Groups: []metric.Group{cpu(a, sec(4), 4, 1), cpu(n, sec(4), 4, 1)},
		Gaps: []metric.Gap{{Entity: b, Reason: "permission", Detail: "cpu.stat: permission denied"}}})
	wantGap(t, p.Snapshot(sec(4)).Containers[1], "") // its last sample still stands
	for i := 5; i < 12; i++ {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(a, at, float64(i), 1), cpu(n, at, float64(i), 1)))
	}
	s := p.Snapshot(sec(11))
	wantGap(t, s.Containers[1], "permission")
	wantGap(t, only(t, s.Workloads), "member")
	wantGap(t, only(t, s.Nodes), "")
	if got := usageOf(p, sec(11), "demo", "ProcessService", "web", metric.CPUUsage, 3e9); len(got) != 1 || got[0].Pod != "web-1" {
		t.Errorf("usage: %+v", got)
	}
	// A sample ends the gap; then the container is gone, at once, and its workload is whole without it.
	apply(t, p, tick(sec(12), cpu(b, sec(12), 12, 1), cpu(a, sec(12), 12, 1)))
	wantGap(t, p.Snapshot(sec(12)).Containers[1], "")
	apply(t, p, &metric.Batch{Node: "n1", Time: sec(12.5), Fast: true, Gaps: []metric.Gap{{Entity: b, Reason: "gone"}, {Entity: web(7), Reason: "gone"}}})
	s = p.Snapshot(sec(12.6))
	wantGap(t, s.Containers[1], "gone")
	if !s.Containers[1].Ended || !s.Pods[1].Ended {
		t.Error("what is gone has not ended")
	}
	wantGap(t, s.Workloads[0], "")
	wantRate(t, s.Workloads[0], metric.CPUUsage, 1)
	if len(s.Containers) != 2 {
		t.Errorf("%d containers, want 2", len(s.Containers))
	}
	// One that is never read at all has its reason too.
	apply(t, p, &metric.Batch{Node: "n1", Time: sec(13), Gaps: []metric.Gap{{Entity: web(9), Reason: "parse", Detail: "bad line"}}})
	s = p.Snapshot(sec(13))
	wantGap(t, s.Containers[2], "parse")
	var got []string
	for _, it := range missing(s) {
		got = append(got, it.Entity.String()+": "+it.Gap.Reason)
	}
	want := []string{"container demo/web-2/web: gone", "container demo/web-9/web: parse", "pod demo/web-2: gone", "pod demo/web-9: member",
		"workload demo/ProcessService/web: member", "namespace demo: member"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("missing:\n%s", d)
	}
}

// TestScaledDown lets a replica end without a word while its node goes on: the workload is whole without it.
func TestScaledDown(t *testing.T) {
	p := newPicture(t, Options{})
	a, b := web(1), web(2)
	for i := range 20 {
		at := sec(float64(i))
		g := []metric.Group{cpu(a, at, float64(i), 1), cpu(node("n1"), at, float64(i), 1)}
		if i < 5 {
			g = append(g, cpu(b, at, float64(i), 1))
		}
		apply(t, p, tick(at, g...))
		if i == 4 {
			apply(t, p, whole(at, g...))
		}
	}
	s := p.Snapshot(sec(19))
	wantGap(t, s.Containers[1], "gone")
	wantGap(t, s.Pods[1], "gone")
	wantGap(t, only(t, s.Workloads), "")
	wantRate(t, s.Workloads[0], metric.CPUUsage, 1)
	if !s.Containers[1].Ended || !s.Pods[1].Ended || s.Containers[0].Ended || s.Workloads[0].Ended {
		t.Error("it is not the second replica alone that has ended")
	}
	for i := 19; i < 40; i++ { // its machine falls silent: nobody knows whether the other one has ended
		s = p.Snapshot(sec(float64(i)))
	}
	if wantGap(t, s.Containers[0], "silent"); s.Containers[0].Ended || s.Nodes[0].Ended || !s.Containers[1].Ended {
		t.Errorf("ended by a silent machine: %v", s.Containers[0].Entity)
	}
}

func TestChanged(t *testing.T) {
	p := newPicture(t, Options{})
	c := p.Changed()
	if c != p.Changed() {
		t.Error("two waiters got different channels")
	}
	apply(t, p, whole(sec(0)))
	select {
	case <-c:
		t.Error("an empty batch changed the picture")
	default:
	}
	apply(t, p, tick(sec(0), cpu(web(1), sec(0), 1, 1)))
	select {
	case <-c:
	default:
		t.Error("nobody was told")
	}
	s := p.Snapshot(sec(0))
	if s != p.Snapshot(sec(0.5)) || s == p.Snapshot(sec(1)) {
		t.Error("a snapshot is kept for a second")
	}
	apply(t, p, tick(sec(1), cpu(web(1), sec(1), 1, 1)))
	if p.Snapshot(sec(1)); p.snapOf != p.tree.changes {
		t.Error("a change was not shown")
	}
}

// TestScopeFromEitherSide lets one reader name a pod without its cgroup, which does not say that its names are unique on its node only, and
// another one its container with it: whoever comes first, that is one pod. One in Kubernetes and one beside it are two.
func TestScopeFromEitherSide(t *testing.T) {
	pod := &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "demo", Pod: "p2"}
	c := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", Pod: "p2", Container: "c", ID: "/demo/p2"}
	other := clone(c, func(e *metric.Entity) { e.ID = "/kubepods/p2/c" })
	f := func(pods int, order ...*metric.Entity) {
		t.Helper()
		p := newPicture(t, Options{})
		for i := range 3 {
			for _, e := range order {
				apply(t, p, tick(sec(float64(i)), cpu(e, sec(float64(i)), float64(i), 1)))
			}
		}
		s := p.Snapshot(sec(2))
		checkSnapshot(t, s)
		checkIndexes(t, p)
		if len(s.Pods) != pods {
			t.Errorf("%d pods, want %d", len(s.Pods), pods)
		}
	}
	f(1, pod, c)
	f(1, c, pod)
	f(2, c, other)
	f(2, other, c)
}

// TestOrderIsOfTheLevelsNames gives pods a container's name, which is no part of theirs, and takes it away again.
func TestOrderIsOfTheLevelsNames(t *testing.T) {
	p := newPicture(t, Options{})
	one := &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "demo", Pod: "p2", Container: "b", ID: "/demo/p2"}
	two := clone(one, func(e *metric.Entity) { e.Node, e.Container = "n2", "a" })
	apply(t, p, tick(sec(0), cpu(one, sec(0), 1, 1), cpu(two, sec(0), 1, 1)))
	checkSnapshot(t, p.Snapshot(sec(0)))
	bare := clone(one, func(e *metric.Entity) { e.Container = "" })
	also := clone(two, func(e *metric.Entity) { e.Container = "" })
	apply(t, p, tick(sec(1), cpu(bare, sec(1), 2, 1), cpu(also, sec(1), 2, 1)))
	s := p.Snapshot(sec(1))
	checkSnapshot(t, s)
	if s.Pods[0].Entity.Node != "n1" {
		t.Errorf("%v of %q comes first", s.Pods[0].Entity, s.Pods[0].Entity.Node)
	}
}

// TestOneMomentInTwoGroups: what is told of one thing at one moment with its cgroup, and without, is told of that thing, whichever comes first.
func TestOneMomentInTwoGroups(t *testing.T) {
	for _, bareFirst := range []bool{false, true} {
		p := newPicture(t, Options{})
		names := metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "k", Workload: "w", Pod: "p", Container: "c"}
		with := names
		with.ID = "/kubepods/p/c"
		machine := metric.Entity{Level: metric.Node, Node: "n1"}
		root := machine
		root.ID = "/"
		for s := 0.0; s < 40; s += 10 {
			b := &metric.Batch{Sender: "prometheus", Time: sec(s)}
			groups := []metric.Group{cpu(&with, sec(s), 10+s, 1e8), cpu(&root, sec(s), 100+s, 2e8),
				{Entity: &names, Points: []metric.Point{{ID: metric.CPURequest, T: sec(s).UnixMilli(), V: 2}}},
				{Entity: &machine, Points: []metric.Point{{ID: metric.CPUCapacity, T: sec(s).UnixMilli(), V: 4}}}}
			if bareFirst {
				slices.Reverse(groups)
			}
			b.Groups = groups
			apply(t, p, b)
		}
		snap := p.Snapshot(sec(31))
		c, n := only(t, snap.Containers), only(t, snap.Nodes)
		for _, x := range []struct {
			it   *Item
			id   metric.ID
			want float64
		}{{c, metric.CPURequest, 2}, {c, metric.MemoryWorkingSet, 1e8}, {n, metric.CPUCapacity, 4}, {n, metric.MemoryWorkingSet, 2e8}} {
			if got, ok := x.it.Gauge(x.id); !ok || got != x.want {
				t.Errorf("bare first %v: %s of %s: got %v (%v), want %v", bareFirst, metric.Get(x.id).Name, x.it.Entity, got, ok, x.want)
			}
		}
		for _, it := range []*Item{c, n} {
			if got, ok := it.Rate(metric.CPUUsage); !ok || got != 1 || it.Restarts != 0 || it.Gap != nil {
				t.Errorf("bare first %v: %s uses %v (%v), %d restarts, %v", bareFirst, it.Entity, got, ok, it.Restarts, it.Gap)
			}
		}
	}
}
