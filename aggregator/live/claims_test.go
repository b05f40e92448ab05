package live

import (
	"math"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// asking is what a pod's container asks for: so many millicores and bytes.
func asking(name string, millicores, bytes cluster.Milli) cluster.Container {
	return cluster.Container{Name: name, Requests: cluster.Resources{{Name: "cpu", Milli: millicores}, {Name: "memory", Milli: bytes * 1000}}}
}

// TestAsks: on a node is asked for what the scheduler counts there, be it that nothing of a pod ran yet, or not all, and each pod once. What is done, or not placed,
// asks for nothing; and what is asked for stays so while nothing is heard of the machine.
func TestAsks(t *testing.T) {
	of := func(node, name string, phase string, containers ...cluster.Container) *cluster.Pod {
		p := &cluster.Pod{Node: node, Namespace: "demo", Name: name, Owner: cluster.Target{Kind: "ProcessService", Name: "web"}, Containers: containers}
		p.Phase = "Running"
		if phase != "" {
			p.Phase = "Succeeded"
		}
		return p
	}
	leaving := of("n1", "web-7", "", asking("c", 20, 20))
	leaving.Deleting = true
	costs := of("n1", "web-3", "", asking("c", 1, 1))
	costs.Overhead = cluster.Resources{{Name: "cpu", Milli: 7}}
	pods := inventory{
		of("n1", "web-1", "", asking("c", 10, 8), asking("bad", 90, 64)), // of one container nothing ran yet
		of("n1", "web-2", "", asking("c", 70, 70)),                       // nor anything of this pod
		costs,
		of("n1", "web-4", "done", asking("c", 500, 500)),
		of("n1", "web-5", "", cluster.Container{Name: "c"}), // it asks for nothing
		of("", "web-6", "", asking("c", 3000, 3000)),
		leaving,
		of("n2", "web-8", "", asking("c", 1000, 1000)), // of whose machine nothing was ever heard
	}
	nodes := func() []*cluster.Node { return []*cluster.Node{{Name: "n1", Pool: "blue"}, {Name: "n2", Pool: "blue"}} }
	run := func(p *Picture, from, to int) {
		for s := from; s < to; s++ {
			at := sec(float64(s))
			asks := func(e *metric.Entity, cores, bytes float64) metric.Group {
				g := cpu(e, at, float64(s), 100)
				g.Points = append(g.Points, metric.Point{ID: metric.CPURequest, T: at.UnixMilli(), V: cores}, metric.Point{ID: metric.MemoryRequest, T: at.UnixMilli(), V: bytes})
				return g
			}
			own := &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "demo", WorkloadKind: "ProcessService", Workload: "web", Pod: "web-3"}
			b := whole(at, cpu(node("n1"), at, float64(s), 1000), asks(web(1), 0.01, 8), asks(web(3), 0.001, 1), metric.Group{Entity: own, Points: []metric.Point{{ID: metric.CPURequest, T: at.UnixMilli(), V: 0.008}}})
			b.Groups = append(b.Groups, asks(web(4), 0.5, 500), asks(web(9), 2, 2000))
			if s > 20 {
				b.Groups = append(b.Groups[:len(b.Groups)-2], b.Groups[len(b.Groups)-1]) // web-4 has ended
			}
			apply(t, p, b)
		}
	}
	p := newPicture(t, Options{Inventory: pods, Nodes: nodes, Pods: func(string, string) (time.Time, bool) { return time.Time{}, true }})
	p.pool()
	run(p, 0, 90)
	f := func(what string, it *Item, cores, bytes float64) {
		t.Helper()
		c, _ := it.Gauge(metric.CPURequest)
		m, _ := it.Gauge(metric.MemoryRequest)
		if math.Abs(c-cores) > 1e-9 || m != bytes {
			t.Errorf("%s: %s asks for %v cores and %v bytes, want %v and %v", what, it.Entity, c, m, cores, bytes)
		}
	}
	s := p.Snapshot(sec(89.5))
	checkSnapshot(t, s)
	byName := map[string]*Item{}
	for _, it := range s.Pods {
		byName[it.Entity.Pod] = it
	}
	f("half of it runs", byName["web-1"], 0.1, 72)
	f("a row of its own", byName["web-3"], 0.008, 1)
	f("it is gone, and its collector has not noticed", byName["web-9"], 0, 0)
	f("the container itself", byName["web-1"].Items[0], 0.01, 8)
	const cores, bytes = 0.1 + 0.07 + 0.008 + 0.02, 8 + 64 + 70 + 1 + 20
	f("the machine", s.Nodes[0], cores, bytes)
	f("its pool", s.Pools[0], cores, bytes)
	f("the cluster", s.Cluster, cores, bytes)
	f("all of a namespace, wherever it is", s.Namespaces[0], cores+1, bytes+1000)
	f("all of a workload", s.Workloads[0], cores+1, bytes+1000)
	told := map[string]float64{}
	for _, g := range p.RollUp(sec(89.6)).Groups {
		for _, x := range g.Points {
			if x.ID == metric.CPURequest {
				told[g.Entity.String()] += x.V
			}
		}
	}
	for what, want := range map[string]float64{"node n1": cores, "pod demo/web-1": 0.1, "cluster": cores} {
		if got := told[what]; math.Abs(got-want) > 1e-9 {
			t.Errorf("the history has of %s %v, want %v of %v", what, got, want, told)
		}
	}
	s = p.Snapshot(sec(150))
	if !s.Nodes[0].Silent() {
		t.Fatalf("the machine is not silent: %+v", s.Nodes[0].Gap)
	}
	f("a silent machine", s.Nodes[0], cores, bytes)
	f("the cluster, of what is heard", s.Cluster, 0, 0)
	f("the namespace", s.Namespaces[0], cores+1, bytes+1000)
	if s.Namespaces[0].Any() || p.Heard(sec(150)) == nil {
		t.Errorf("what pods ask for is taken for something that was heard: %+v", s.Namespaces[0])
	}

	alone := newPicture(t, Options{Inventory: pods}) // pods that no cluster places
	run(alone, 0, 90)
	f("without a cluster", alone.Snapshot(sec(89.5)).Nodes[0], 2.018, 2009)
}
