package heapster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
)

// total finds a value by its kind, names and metric.
func total(vs []model.Value, t model.Thing, name string) (float64, bool) {
	for _, v := range vs {
		if v.Thing == t && v.Metric.Name == name {
			return v.V, true
		}
	}
	return 0, false
}

// TestTotals: what is made of pods is without system containers and is not what the machine says of itself.
func TestTotals(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	vs := newPicture(snapshotOf(machine(), began, began.Add(time.Minute))).totals(model.New())
	f := func(thing model.Thing, name string, want float64) {
		t.Helper()
		if got, ok := total(vs, thing, name); !ok || got != want {
			t.Errorf("%v %s: got %v, %v, want %v", thing, name, got, ok, want)
		}
	}
	f(model.Thing{Kind: model.Cluster}, "memory/usage", (41+51+1300)*mib)
	f(model.Thing{Kind: model.Cluster}, "cpu/usage_rate", 1090)
	f(model.Thing{Kind: model.Namespace, Namespace: "demo"}, "memory/usage", (41+51)*mib)
	f(model.Thing{Kind: model.Namespace, Namespace: "demo"}, "cpu/request", 500)
	f(model.Thing{Kind: model.Node, Node: "n1"}, "cpu/node_reservation", .25)
	f(model.Thing{Kind: model.Node, Node: "n1"}, "memory/request", 64*mib)
	f(model.Thing{Kind: model.Pod, Node: "n1", Namespace: "docker", Pod: "postgres"}, "network/tx_rate", 2500.5)
	for _, v := range vs {
		switch k := v.Thing.Kind; {
		case k == model.SystemContainer, k == model.Namespace && v.Thing.Namespace != "demo" && v.Thing.Namespace != "docker",
			k == model.Node && !v.Metric.OfPods, k == model.PodContainer && (!v.Metric.OfPods || v.V != 0), !v.Metric.Has(k):
			t.Errorf("%v %s: nobody asks for it", v.Thing, v.Metric.Name)
		}
	}
}

// TestPace: a rate is that between two passes; there is none after a reset, and the same one while no sample came.
func TestPace(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	e := &metric.Entity{Level: metric.Container, Namespace: "d", Pod: "p", Container: "c"}
	p := pace{}
	f := func(t1 time.Duration, v float64, start time.Time, want float64, window time.Duration) {
		t.Helper()
		it := &live.Item{Entity: e, Start: start, Values: []live.Value{{ID: metric.CPUUsage, T: at.Add(t1), V: v, Rate: 99, Window: time.Second}}}
		got := p.over(&live.Snapshot{Containers: []*live.Item{it}}).Containers[0].Values[0]
		if got.Rate != want || got.Window != window {
			t.Errorf("after %v: got %v over %v, want %v over %v", t1, got.Rate, got.Window, want, window)
		}
		if it.Values[0].Rate != 99 {
			t.Error("the snapshot was changed")
		}
	}
	f(0, 100, at, 0, 0)
	f(10*time.Second, 105, at, .5, 10*time.Second)
	f(10*time.Second, 105, at, .5, 10*time.Second)
	f(20*time.Second, 106, at, .1, 10*time.Second)
	f(30*time.Second, 1, at, 0, 0)
	f(40*time.Second, 3, at, .2, 10*time.Second)
	f(50*time.Second, 4, at.Add(45*time.Second), 0, 0)
	if p.over(nil) != nil {
		t.Error("of no snapshot there is one")
	}
	if p.over(&live.Snapshot{}); len(p) != 0 {
		t.Errorf("remembers %d of what is gone", len(p))
	}
}

type sinkFunc func(vs []model.Value) error

func (f sinkFunc) AppendModel(_ context.Context, vs []model.Value) error { return f(vs) }

type gate struct{ open bool }

func (g *gate) MayWrite() error {
	if g.open {
		return nil
	}
	return context.Canceled
}

// TestTotalsRun: one value of each each time, while the gate is open, until the end.
func TestTotalsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		passes, g := 0, &gate{open: true}
		var _ cluster.Gate = g
		end := make(chan error)
		snapshot := snapshotOf(machine(), time.Now(), time.Now())
		go func() {
			end <- Totals{Pictures: fixed{snapshot}, Gate: g, Every: 10 * time.Second, To: sinkFunc(func(vs []model.Value) error {
				if passes++; len(vs) == 0 {
					t.Error("no values")
				}
				return nil
			})}.Run(ctx)
		}()
		time.Sleep(25 * time.Second)
		synctest.Wait()
		g.open = false
		time.Sleep(20 * time.Second)
		cancel()
		if err := <-end; err != nil || passes != 2 {
			t.Errorf("%d passes, %v", passes, err)
		}
	})
}

// asked is pictures that are asked for a moment, which may not be past.
type asked struct {
	fixed
	t *testing.T
}

func (a asked) Snapshot(at time.Time) *live.Snapshot {
	if late := time.Since(at); late > 0 {
		a.t.Errorf("asked for what was %v ago", late)
	}
	return a.s
}

// TestTotalsAreOfThePresent: a pass that comes late, as when the process was stopped, is of when it is made.
func TestTotalsAreOfThePresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
		defer cancel()
		passes := 0
		err := Totals{Pictures: asked{fixed{snapshotOf(machine(), time.Now(), time.Now())}, t}, Gate: &gate{open: true}, Every: 10 * time.Second, To: sinkFunc(func([]model.Value) error {
			if passes++; passes == 1 {
				time.Sleep(14 * time.Second)
			}
			return nil
		})}.Run(ctx)
		if err != nil || passes != 4 {
			t.Errorf("%d passes, %v", passes, err)
		}
	})
}
