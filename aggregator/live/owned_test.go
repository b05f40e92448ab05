package live

import (
	"math"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// What ever had a row of its own has no sum in it: whether the row was told of just now, of a machine long ago, in a request of its own or before a machine was forgotten.
func TestNoSumsInRowsOfItsOwn(t *testing.T) {
	n := &metric.Entity{Level: metric.Node, Node: "n1"}
	pod := &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "demo", WorkloadKind: "k", Workload: "w", Pod: "p"}
	c := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "k", Workload: "w", Pod: "p", Container: "c"}
	space := &metric.Entity{Level: metric.Namespace, Namespace: "demo"}
	send := func(p *Picture, at, now float64, of ...*metric.Entity) {
		b := &metric.Batch{Node: "n1", Sender: "s", Time: sec(now)}
		for _, e := range of {
			b.Groups = append(b.Groups, cpu(e, sec(at), 5000+at, 1e8))
		}
		apply(t, p, b)
	}
	for name, before := range map[string]func(p *Picture, of *metric.Entity){
		"at once":                     func(p *Picture, of *metric.Entity) { send(p, -1, -1, of, c) },
		"minutes old":                 func(p *Picture, of *metric.Entity) { send(p, -600, -1, of) },
		"hours old":                   func(p *Picture, of *metric.Entity) { send(p, -9000, -1, of) },
		"hours old, of what is there": func(p *Picture, of *metric.Entity) { send(p, -1, -1, c); send(p, -9000, -1, of) },
		"forgotten": func(p *Picture, of *metric.Entity) {
			send(p, -9000, -9000, of, c)
			p.RollUp(sec(-9000))
			p.RollUp(sec(-1))
			if len(p.Snapshot(sec(-1)).Nodes) != 0 {
				t.Fatal("it is not forgotten")
			}
		},
		"in another request": func(p *Picture, of *metric.Entity) {
			send(p, -8, -8, c)
			p.RollUp(sec(-5))
			send(p, -8, -4, of)
		},
		"a row at a time": func(p *Picture, of *metric.Entity) {
			for _, id := range []metric.ID{metric.MemoryWorkingSet, metric.CPUUsage} { // the second is not newer than the first
				apply(t, p, &metric.Batch{Node: "n1", Time: sec(-8), Groups: []metric.Group{{Entity: of, Points: []metric.Point{{ID: id, T: sec(-9).UnixMilli(), V: 5}}}}})
			}
		},
	} {
		for _, of := range []*metric.Entity{n, pod, space} {
			if of != n && strings.Contains(name, "old") { // it may be a sum that somebody kept
				continue
			}
			t.Run(name+" "+of.Level.String(), func(t *testing.T) {
				p := newPicture(t, Options{})
				before(p, of)
				sums := 0
				for s := 0.0; s < 100; s += 10 {
					send(p, s, s, c)
					for _, g := range p.RollUp(sec(s + 3)).Groups {
						for _, x := range g.Points {
							if x.ID != metric.CPUUsage && x.ID != metric.MemoryWorkingSet {
								continue
							}
							sums++
							if g.Entity.Level == of.Level {
								t.Errorf("second %v: %s is %v of its parts, though it has that row itself", s, metric.Get(x.ID).Name, x.V)
							}
						}
					}
				}
				if sums < 20 && of != pod { // of which all others are sums
					t.Errorf("there are %d sums of all others", sums)
				}
			})
		}
	}
}

// Sums of the last minutes that somebody brings late are shown by nobody: where samples come every two minutes they would still be present, beside the sums of their own members.
func TestSumsBroughtLate(t *testing.T) {
	p := newPicture(t, Options{})
	c := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "k", Workload: "w", Pod: "p", Container: "c"}
	asked := func(e *metric.Entity, at float64) metric.Group {
		g := cpu(e, sec(at), 5000+at, 1e8)
		g.Points = append(g.Points, metric.Point{ID: metric.CPURequest, T: sec(at).UnixMilli(), V: 1})
		return g
	}
	above := []*metric.Entity{
		{Level: metric.Pod, Node: "n1", Namespace: "demo", WorkloadKind: "k", Workload: "w", Pod: "p"},
		{Level: metric.Workload, Namespace: "demo", WorkloadKind: "k", Workload: "w"},
		{Level: metric.Namespace, Namespace: "demo"}, {Level: metric.Cluster},
	}
	for at := -605.0; at < -120; at += 120 {
		b := &metric.Batch{Sender: "mover", Time: sec(-1), Groups: []metric.Group{asked(c, at)}}
		for _, e := range above {
			b.Groups = append(b.Groups, asked(e, at))
		}
		apply(t, p, b)
	}
	for s := 0.0; s < 150; s++ {
		apply(t, p, &metric.Batch{Sender: "collector", Time: sec(s), Groups: []metric.Group{asked(c, s)}})
		if s < 10 {
			continue
		}
		snap := p.Snapshot(sec(s))
		for _, it := range []*Item{only(t, snap.Pods), only(t, snap.Workloads), only(t, snap.Namespaces), snap.Cluster} {
			if got, ok := it.Gauge(metric.CPURequest); !ok || got != 1 {
				t.Fatalf("second %v: %s asks for %v (%v), want its container's 1", s, it.Entity, got, ok)
			}
			if got, ok := it.Rate(metric.CPUUsage); !ok || math.Abs(got-1) > 1e-6 {
				t.Fatalf("second %v: %s uses %v (%v), want its container's 1", s, it.Entity, got, ok)
			}
		}
	}
}
