package live

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/metric"
)

// TestConcurrent lets four nodes send, and readers read, all at once. It is worth most under -race.
func TestConcurrent(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	p := newPicture(t, Options{Registerer: reg})
	const nodes, pods, ticks = 4, 10, 50
	var senders, readers sync.WaitGroup
	done := make(chan struct{})
	for n, b := range fleet(nodes, pods) {
		senders.Go(func() {
			for i := range ticks {
				at := sec(float64(i))
				next := &metric.Batch{Node: b.Node, Time: at, Fast: i%10 != 0}
				for _, g := range b.Groups {
					next.Groups = append(next.Groups, cpu(g.Entity, at.Add(time.Duration(n)*time.Millisecond), float64(i), 1))
				}
				if err := p.Apply(next); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for r := range 3 {
		readers.Go(func() {
			for {
				changed := p.Changed()
				switch r {
				case 0:
					s := p.Snapshot(sec(ticks))
					for _, it := range s.Pods {
						if rate, ok := it.Rate(metric.CPUUsage); ok && rate < 0 {
							t.Errorf("%v: rate %v", it.Entity, rate)
						}
					}
				case 1:
					p.RollUp(sec(ticks))
				case 2:
					usageOf(p, sec(ticks), "team-1", "Deployment", "app-1", metric.CPUUsage, 3*time.Second)
				}
				select {
				case <-done:
					return
				case <-changed:
				}
			}
		})
	}
	senders.Wait()
	close(done)
	readers.Wait()
	s := p.Snapshot(sec(ticks))
	if len(s.Containers) != nodes*pods || len(s.Nodes) != nodes {
		t.Fatalf("%d containers, %d nodes", len(s.Containers), len(s.Nodes))
	}
	wantRate(t, s.Cluster, metric.CPUUsage, nodes)
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("own metrics: %v, %v", problems, err)
	}
	if got := testutil.ToFloat64(p.meters.entities[metric.Container]); got != nodes*pods {
		t.Errorf("%v containers by the own metrics", got)
	}
}

// TestComeAndGo lets a thousand containers come and go every few seconds: nothing is left of them.
func TestComeAndGo(t *testing.T) {
	p := newPicture(t, Options{})
	for i := range 60 {
		at := sec(float64(i) * 5)
		b := tick(at)
		for k := range 100 {
			e := web(0)
			e.Pod = fmt.Sprintf("job-%d-%d", i, k)
			e.ID = "/plimsoll/" + e.Pod
			b.Groups = append(b.Groups, cpu(e, at, 1, 1))
		}
		apply(t, p, b)
		p.Snapshot(at)
	}
	checkIndexes(t, p)
	if n := len(p.tree.byKey); n > 100*2*26+10 {
		t.Errorf("%d units are kept, more than those of two minutes", n)
	}
	p.Snapshot(sec(600))
	checkIndexes(t, p)
	if n := len(p.tree.byKey); n != 2 {
		t.Errorf("%d units are left beside the silent machine", n-2)
	}
	p.Snapshot(sec(4000))
	checkIndexes(t, p)
	if n := len(p.tree.byKey); n != 1 {
		t.Errorf("%d units are left", n-1)
	}
}

func TestOptions(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := New(Options{Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Registerer: reg}); err == nil {
		t.Error("two pictures on one registry")
	}
}
