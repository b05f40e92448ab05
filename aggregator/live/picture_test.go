package live

import (
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

func TestRatesAndSums(t *testing.T) {
	p := newPicture(t, Options{})
	a, b, n := web(1), web(2), node("n1")
	for i := range 4 {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(a, at, 10+0.25*float64(i), 100), cpu(b, at, 3+0.5*float64(i), 50), cpu(n, at, 1000+float64(i), 4000)))
	}
	s := p.Snapshot(sec(3.2))
	if len(s.Containers) != 2 || len(s.Pods) != 2 {
		t.Fatalf("%d containers, %d pods, want 2 and 2", len(s.Containers), len(s.Pods))
	}
	wantRate(t, s.Containers[0], metric.CPUUsage, 0.25)
	wantRate(t, s.Pods[1], metric.CPUUsage, 0.5)
	w := only(t, s.Workloads)
	wantRate(t, w, metric.CPUUsage, 0.75)
	if got, _ := w.Gauge(metric.MemoryWorkingSet); got != 150 {
		t.Errorf("working set %v, want 150", got)
	}
	wantRate(t, only(t, s.Namespaces), metric.CPUUsage, 0.75)
	wantRate(t, only(t, s.Nodes), metric.CPUUsage, 1)
	wantRate(t, s.Cluster, metric.CPUUsage, 1)
	if w.Parent != s.Namespaces[0] || s.Pods[0].Parent != w || s.Containers[0].Parent != s.Pods[0] || s.Nodes[0].Parent != s.Cluster {
		t.Error("parents are wrong")
	}
	if len(s.Nodes[0].Items) != 2 || len(w.Items) != 2 {
		t.Errorf("node has %d members, workload %d, want 2 and 2", len(s.Nodes[0].Items), len(w.Items))
	}
	if got := missing(s); len(got) != 0 {
		t.Errorf("gaps: %v %+v", got[0].Entity, got[0].Gap)
	}
	usage := usageOf(p, sec(3.2), "demo", "ProcessService", "web", metric.CPUUsage, 3e9)
	if len(usage) != 2 || usage[0].Pod != "web-1" || usage[0].Window.Seconds() != 3 || usage[1].Containers[0].Usage[0].Milli.Float() != 0.5 {
		t.Errorf("usage: %+v", usage)
	}
}

func TestStartingStaleForgotten(t *testing.T) {
	p := newPicture(t, Options{})
	a := web(1)
	apply(t, p, tick(sec(0), cpu(a, sec(0), 1, 10)))
	wantGap(t, only(t, p.Snapshot(sec(0)).Containers), "starting")
	apply(t, p, tick(sec(1), cpu(a, sec(1), 2, 10)))
	wantGap(t, only(t, p.Snapshot(sec(1)).Containers), "")
	wantGap(t, only(t, p.Snapshot(sec(6)).Containers), "")
	s := p.Snapshot(sec(7))
	wantGap(t, only(t, s.Containers), "stale")
	wantGap(t, only(t, s.Workloads), "member")
	if got := usageOf(p, sec(7), "demo", "ProcessService", "web", metric.CPUUsage, 3e9); len(got) != 0 {
		t.Errorf("usage of a stale pod: %+v", got)
	}
	if s = p.Snapshot(sec(122)); len(s.Containers)+len(s.Pods)+len(s.Workloads)+len(s.Namespaces) != 0 {
		t.Errorf("not forgotten: %v", s)
	}
	wantGap(t, only(t, s.Nodes), "silent") // a machine is remembered for longer
	if s = p.Snapshot(sec(3602)); len(s.Nodes) != 0 {
		t.Errorf("not forgotten: %v", s)
	}
	if len(p.tree.byKey) != 1 || len(p.tree.byPtr) != 0 || len(p.tree.byID) != 0 || p.tree.sent != 0 {
		t.Errorf("left over: %d keys, %d pointers, %d cgroups, own %d", len(p.tree.byKey), len(p.tree.byPtr), len(p.tree.byID), p.tree.sent)
	}
}

func TestRestart(t *testing.T) {
	p := newPicture(t, Options{})
	a := web(1)
	for i := range 3 {
		apply(t, p, tick(sec(float64(i)), cpu(a, sec(float64(i)), 100+float64(i), 10)))
	}
	apply(t, p, tick(sec(3), cpu(a, sec(3), 0.2, 10)))
	it := only(t, p.Snapshot(sec(3)).Containers)
	wantGap(t, it, "starting")
	apply(t, p, tick(sec(4), cpu(a, sec(4), 0.7, 10)))
	it = only(t, p.Snapshot(sec(4)).Containers)
	wantRate(t, it, metric.CPUUsage, 0.5)
	if it.Restarts != 1 {
		t.Errorf("restarts %d, want 1", it.Restarts)
	}
}

func TestRollUpCountersNeverDrop(t *testing.T) {
	p := newPicture(t, Options{})
	a, b := web(1), web(2)
	last := -1.0
	for i := range 40 {
		at := sec(float64(i))
		va, groups := float64(i), []metric.Group(nil)
		if i >= 20 {
			va = float64(i-20) + 0.5 // restarted
		}
		groups = append(groups, cpu(a, at, va, 100))
		if i < 15 {
			groups = append(groups, cpu(b, at, 500+2*float64(i), 10)) // and dies
		}
		apply(t, p, tick(at, groups...))
		if i%5 != 4 {
			continue
		}
		for _, g := range p.RollUp(at).Groups {
			if g.Entity.Level != metric.Workload {
				continue
			}
			for _, pt := range g.Points {
				if pt.ID == metric.CPUUsage {
					if pt.V < last {
						t.Errorf("at %d the counter dropped from %v to %v", i, last, pt.V)
					}
					last = pt.V
				}
			}
		}
	}
	if want := 14.0*2 + 19 + 19; last != want {
		t.Errorf("counted %v, want %v", last, want)
	}
}

// A machine that died is shown, silent, long after its containers are forgotten.
func TestSilentMachineIsRemembered(t *testing.T) {
	p := newPicture(t, Options{})
	for i := range 3 {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(web(1), at, float64(i), 10), cpu(node("n1"), at, float64(i), 10)))
	}
	s := p.Snapshot(sec(45 * 60))
	n := only(t, s.Nodes)
	wantGap(t, n, "silent")
	if _, ok := n.Rate(metric.CPUUsage); ok || len(s.Containers) != 0 || !n.Gap.Since.Equal(sec(2)) {
		t.Errorf("%d containers, gap %+v, values %v", len(s.Containers), n.Gap, n.List())
	}
	if s = p.Snapshot(sec(62 * 60)); len(s.Nodes) != 0 {
		t.Errorf("not forgotten: %+v", s.Nodes[0])
	}
}

// TestGapStaysGap stops a machine's collector for 14 s: what its containers had used by then does not become the machine's own value,
// which has a gap. A machine of which nobody reads the row has its containers' sum.
func TestGapStaysGap(t *testing.T) {
	for _, read := range []bool{true, false} {
		p := newPicture(t, Options{})
		points := 0
		for i := range 60 {
			at := sec(float64(i))
			if i < 26 || i >= 40 {
				groups := []metric.Group{cpu(web(1), at, float64(i), 10)}
				if read {
					groups = append(groups, cpu(node("n1"), at, 100*float64(i), 4000))
				}
				apply(t, p, tick(at, groups...))
			}
			if it := p.Snapshot(at).Nodes[0]; read {
				if got, ok := it.Rate(metric.CPUUsage); ok && got != 100 {
					t.Errorf("second %d: the machine uses %v cores", i, got)
				}
			}
			if i%10 != 2 {
				continue
			}
			for _, g := range p.RollUp(at).Groups {
				if g.Entity.Level == metric.Node {
					points += len(g.Points)
				}
			}
		}
		if read == (points > 0) {
			t.Errorf("read %v: %d points were rolled up", read, points)
		}
	}
}

// missing returns the items that have a gap, smallest level first.
func missing(s *Snapshot) []*Item {
	var out []*Item
	for _, list := range [][]*Item{s.Containers, s.Pods, s.Workloads, s.Namespaces, s.Nodes, s.Pools, {s.Cluster}} {
		for _, it := range list {
			if it.Gap != nil {
				out = append(out, it)
			}
		}
	}
	return out
}
