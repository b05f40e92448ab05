package live

import (
	"fmt"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// t0 is the first second of every test.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func sec(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func newPicture(t testing.TB, o Options) *Picture {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// web is the i-th container of workload demo/web on node n1.
func web(i int) *metric.Entity {
	return &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "ProcessService", Workload: "web",
		Pod: fmt.Sprintf("web-%d", i), Container: "web", ID: fmt.Sprintf("/plimsoll/web-%d", i), Runtime: "process"}
}

func node(name string) *metric.Entity { return &metric.Entity{Level: metric.Node, Node: name, ID: "/"} }

// cpu is a group with a CPU counter and a working set.
func cpu(e *metric.Entity, at time.Time, cpu, mem float64) metric.Group {
	return metric.Group{Entity: e, Points: []metric.Point{
		{ID: metric.CPUUsage, T: at.UnixMilli(), V: cpu}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: mem}}}
}

// tick is a fast batch of node n1.
func tick(at time.Time, groups ...metric.Group) *metric.Batch {
	return &metric.Batch{Node: "n1", Time: at, Fast: true, Groups: groups}
}

func apply(t testing.TB, p *Picture, b *metric.Batch) {
	t.Helper()
	if err := p.Apply(b); err != nil {
		t.Fatal(err)
	}
}

func only(t testing.TB, items []*Item) *Item {
	t.Helper()
	if len(items) != 1 {
		t.Fatalf("got %d items, want 1", len(items))
	}
	return items[0]
}

func wantRate(t testing.TB, it *Item, id metric.ID, want float64) {
	t.Helper()
	got, ok := it.Rate(id)
	if !ok || got < want-1e-9 || got > want+1e-9 {
		t.Errorf("%v: rate of %s is %v (%v), want %v; gap %+v", it.Entity, metric.Get(id).Name, got, ok, want, it.Gap)
	}
}

func wantGap(t testing.TB, it *Item, reason string) {
	t.Helper()
	got := ""
	if it.Gap != nil {
		got = it.Gap.Reason
	}
	if got != reason {
		t.Errorf("%v: gap %q (%+v), want %q", it.Entity, got, it.Gap, reason)
	}
}

// podsOf are the pods of a workload, as an inventory would have them.
func podsOf(p *Picture, now time.Time, namespace, kind, name string) (pods []*cluster.Pod) {
	for _, w := range p.Snapshot(now).Workloads {
		if e := w.Entity; e.Namespace != namespace || e.WorkloadKind != kind || e.Workload != name {
			continue
		}
		for _, it := range w.Items {
			pods = append(pods, &cluster.Pod{Node: it.Entity.Node, Namespace: it.Entity.Namespace, Name: it.Entity.Pod})
		}
	}
	return pods
}

// usageOf is what the pods of a workload use.
func usageOf(p *Picture, now time.Time, namespace, kind, name string, id metric.ID, w time.Duration) []cluster.PodUsage {
	resource := cluster.ResourceName("cpu")
	if id == metric.MemoryWorkingSet {
		resource = "memory"
	}
	return p.Usage(now, podsOf(p, now, namespace, kind, name), resource, w)
}
