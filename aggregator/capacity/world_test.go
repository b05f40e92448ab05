package capacity

import (
	"context"
	"fmt"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

const (
	mi = float64(1 << 20)
	gi = float64(1 << 30)
)

// world is a made cluster whose past is known: it is fed tick by tick to a real picture and a real store.
type world struct {
	t       *testing.T
	db      *tsdb.DB
	picture *live.Picture
	start   time.Time
	tick    time.Duration
	things  []*thing
}

// thing is a node or a container of the world.
type thing struct {
	entity *metric.Entity
	born   time.Duration
	dies   time.Duration // zero: never
	cpu    func(at time.Duration) float64
	memory func(at time.Duration) float64
	more   func(at time.Duration) []metric.Point // further values
	resets time.Duration                         // when its counters begin again
	used   float64                               // CPU seconds
	since  time.Duration
}

func steady(v float64) func(time.Duration) float64 { return func(time.Duration) float64 { return v } }

func newWorld(t *testing.T, start time.Time, tick, length time.Duration) *world {
	t.Helper()
	end := start.Add(length)
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), Retention: 60 * day, Now: func() time.Time { return end }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	p, err := live.New(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, db: db, picture: p, start: start, tick: tick}
}

func (w *world) node(name string, cores, memory float64, allocatable bool, cpu, use func(time.Duration) float64) *thing {
	n := &thing{entity: &metric.Entity{Level: metric.Node, Node: name, ID: "/"}, cpu: cpu, memory: use}
	n.more = func(time.Duration) []metric.Point {
		out := []metric.Point{{ID: metric.CPUCapacity, V: cores}, {ID: metric.MemoryCapacity, V: memory}}
		if allocatable {
			out = append(out, metric.Point{ID: metric.CPUAllocatable, V: cores - 0.2}, metric.Point{ID: metric.MemoryAllocatable, V: memory - gi/2})
		}
		return out
	}
	w.things = append(w.things, n)
	return n
}

// size is what a container asks for; zero: nothing.
type size struct{ cpu, cpuLimit, memory, memoryLimit float64 }

func (w *world) container(node, namespace, kind, workload, pod, name string, s size, cpu, memory func(time.Duration) float64) *thing {
	c := &thing{entity: &metric.Entity{Level: metric.Container, Node: node, Namespace: namespace, WorkloadKind: kind, Workload: workload, Pod: pod, Container: name,
		ID: "/kubepods/" + namespace + "/" + pod + "/" + name, Runtime: "containerd"}, cpu: cpu, memory: memory}
	c.more = func(time.Duration) []metric.Point {
		out := []metric.Point{{ID: metric.OOMKills}}
		for _, x := range []metric.Point{{ID: metric.CPURequest, V: s.cpu}, {ID: metric.CPULimit, V: s.cpuLimit}, {ID: metric.MemoryRequest, V: s.memory}, {ID: metric.MemoryLimit, V: s.memoryLimit}} {
			if x.V > 0 {
				out = append(out, x)
			}
		}
		return out
	}
	w.things = append(w.things, c)
	return c
}

// run lets the world live until the given age. silent says when nothing is measured; clock is how far the clocks of the machines are off.
func (w *world) run(length time.Duration, silent func(at time.Duration) bool, clock func(at time.Duration) time.Duration) {
	w.t.Helper()
	for at := w.tick; at <= length; at += w.tick {
		b := &metric.Batch{Time: w.start.Add(at)}
		now := b.Time.Add(clock(at))
		for _, x := range w.things {
			if at < x.born || x.dies > 0 && at > x.dies {
				continue
			}
			x.used += x.cpu(at) * w.tick.Seconds()
			if x.resets > 0 && at >= x.resets && x.since < x.resets {
				x.used, x.since = x.cpu(at), x.resets
			}
			if silent(at) {
				continue
			}
			points := append([]metric.Point{{ID: metric.CPUUsage, V: x.used}, {ID: metric.MemoryWorkingSet, V: x.memory(at)}}, x.more(at)...)
			for i := range points {
				points[i].T = now.UnixMilli()
			}
			b.Groups = append(b.Groups, metric.Group{Entity: x.entity, Start: w.start.Add(max(x.born, x.since)), Points: points})
		}
		if len(b.Groups) == 0 {
			continue
		}
		b.Time = now
		if err := w.picture.Apply(b); err != nil {
			w.t.Fatal(err)
		}
		for _, x := range []*metric.Batch{b, w.picture.RollUp(now)} {
			if err := w.db.Append(context.Background(), x); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func never(time.Duration) bool          { return false }
func right(time.Duration) time.Duration { return 0 }
func dayOf(at time.Duration) int        { return int((at - 1) / day) }
func inDay(at time.Duration) float64    { return float64((at-1)%day) / float64(day) }
func name(stem string, n int) string    { return fmt.Sprintf("%s-%d", stem, n) }
func value(p *float64) float64          { return or(p, -1) }
func scope(r *CapacityReport, level, name string) *Scope {
	for i := range r.Scopes {
		if r.Scopes[i].Level == level && r.Scopes[i].Name == name {
			return &r.Scopes[i]
		}
	}
	return &Scope{}
}

func row(r *RightsizeReport, workload, container string) *Advice {
	for i := range r.Rows {
		if r.Rows[i].Workload == workload && r.Rows[i].Container == container {
			return &r.Rows[i]
		}
	}
	return &Advice{}
}
