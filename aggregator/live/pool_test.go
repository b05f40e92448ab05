package live

import (
	"fmt"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// nodeUses is what a node says of itself after so many seconds: so many cores since it began, and so much memory.
func nodeUses(name string, at time.Time, seconds, cores, memory float64) metric.Group {
	t := at.UnixMilli()
	return metric.Group{Entity: &metric.Entity{Level: metric.Node, Node: name, ID: "/"}, Points: []metric.Point{
		{ID: metric.CPUUsage, T: t, V: 1000 + seconds*cores}, {ID: metric.MemoryWorkingSet, T: t, V: memory}, {ID: metric.CPUAllocatable, T: t, V: 4}}}
}

// TestPools: a pool is the sum of its nodes, its counters never fall, and a node that comes to be of another pool counts there from then on.
func TestPools(t *testing.T) {
	pools := map[string]string{"n1": "blue", "n2": "blue", "n3": "green"}
	p := newPicture(t, Options{Nodes: func() (out []*cluster.Node) {
		for _, name := range []string{"n1", "n2", "n3", "n4"} {
			out = append(out, &cluster.Node{Name: name, Pool: pools[name]})
		}
		return out
	}})
	sums := map[string]float64{}
	run := func(from, to int) {
		for s := from; s < to; s++ {
			now := t0.Add(time.Duration(s) * time.Second)
			for i := range 4 {
				name := fmt.Sprint("n", i+1)
				apply(t, p, &metric.Batch{Node: name, Time: now, Groups: []metric.Group{nodeUses(name, now, float64(s), float64(i+1), float64(i+1)*1e9)}})
			}
			if s%10 != 9 {
				continue
			}
			for _, g := range p.RollUp(now).Groups {
				for _, x := range g.Points {
					if g.Entity.Level != metric.Pool {
						continue
					}
					k := fmt.Sprint(g.Entity, " ", metric.Get(x.ID).Field)
					if metric.Get(x.ID).Kind == metric.Counter && x.V < sums[k] {
						t.Errorf("%s fell from %v to %v", k, sums[k], x.V)
					}
					sums[k] = x.V
				}
			}
		}
	}
	f := func(k string, want float64) {
		t.Helper()
		if got := sums[k]; !near(got, want) {
			t.Errorf("%s: got %v, want %v", k, got, want)
		}
	}
	run(0, 20)
	f("pool blue cpu_allocatable_cores", 8)
	f("pool blue memory_working_set_bytes", 3e9)
	f("pool green memory_working_set_bytes", 3e9)
	f("pool blue cpu_usage_seconds_total", 3*19)
	f("pool green cpu_usage_seconds_total", 3*19)
	if s := p.Snapshot(t0.Add(19 * time.Second)); len(s.Pools) != 2 || len(s.Cluster.Items) != 4 || len(s.Pools[0].Items) != 2 {
		t.Errorf("got %d pools, %d machines in the cluster", len(s.Pools), len(s.Cluster.Items))
	}
	pools["n2"], pools["n4"] = "green", "green"
	run(20, 40)
	f("pool blue memory_working_set_bytes", 1e9)
	f("pool green memory_working_set_bytes", 9e9)
	f("pool green cpu_allocatable_cores", 12)
	if blue := sums["pool blue cpu_usage_seconds_total"]; blue < 3*19+1*19 || blue > 3*20+1*20+20 {
		t.Errorf("blue used %v", blue)
	}
	if v, ok := p.Snapshot(t0.Add(39 * time.Second)).Cluster.Rate(metric.CPUUsage); !ok || !near(v, 10) {
		t.Errorf("the cluster uses %v, want 10", v)
	}
	pools["n1"] = ""
	run(40, 50)
	if s := p.Snapshot(t0.Add(49 * time.Second)); len(s.Pools) != 1 {
		t.Errorf("got %d pools, want 1: a pool without nodes is gone", len(s.Pools))
	}
	checkIndexes(t, p)
}
