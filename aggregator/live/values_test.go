package live

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

// TestSnapshotStays: a snapshot has the picture's own series, and yet nothing that comes later is to be seen in it: samples of both lanes, rows that are new,
// a restart, a clock that is set back and one far ahead.
func TestSnapshotStays(t *testing.T) {
	p := newPicture(t, Options{})
	var all []*metric.Entity
	for i := range 6 {
		e := web(i / 2)
		e.Container, e.ID = fmt.Sprint("c", i%2), fmt.Sprint(e.ID, "-", i)
		all = append(all, e)
	}
	rows := metric.At(metric.Container)
	r := rand.New(rand.NewPCG(1, 2))
	bring := func(s float64, full bool) {
		b := tick(sec(s))
		b.Fast = !full
		for _, e := range all {
			g := cpu(e, sec(s), s+r.Float64(), 1e6*r.Float64())
			for id := metric.CPUUsage + 1; full && int(id) < len(metric.Rows()); id++ {
				if rows.Has(id) && id != metric.MemoryWorkingSet && r.IntN(4) > 0 {
					g.Points = append(g.Points, metric.Point{ID: id, Sub: []string{"", "a", "b"}[r.IntN(3)], T: sec(s).UnixMilli(), V: s + r.Float64()})
				}
			}
			if r.IntN(20) == 0 {
				g.Points[0].V = 0
			}
			b.Groups = append(b.Groups, g)
		}
		apply(t, p, b)
	}
	list := func(s *Snapshot) (out [][]Value) {
		for _, items := range [...][]*Item{s.Containers, s.Pods, s.Workloads, s.Namespaces, s.Nodes} {
			for _, it := range items {
				out = append(out, it.List())
			}
		}
		return out
	}
	var snaps []*Snapshot
	var were [][][]Value
	for i := range 100 {
		bring(float64(i), i%10 == 0)
		if i%7 == 3 {
			_, s := p.build(sec(float64(i)), nil)
			snaps, were = append(snaps, s), append(were, list(s))
		}
	}
	for i := range 20 {
		bring(50+float64(i), i%3 == 0)
	}
	bring(4_000_000, true) // beyond what times after the base can be
	for i := range snaps {
		if d := cmp.Diff(were[i], list(snaps[i])); d != "" {
			t.Fatalf("the snapshot of pass %d has changed:\n%s", i, d)
		}
	}
	if n := len(were[0][0]); n < 10 {
		t.Errorf("the first container has %d values", n)
	}
}

// TestValuesOfPods: what a pod has of its containers is the same by row as in the list, and what the sum above it is made of.
func TestValuesOfPods(t *testing.T) {
	p := newPicture(t, Options{})
	at := sec(0)
	of := func(c string, v float64) metric.Group {
		e := web(1)
		e.Container, e.ID = c, e.ID+c
		g := cpu(e, at, v, v)
		g.Points = append(g.Points, metric.Point{ID: metric.DiskRead, Sub: "a" + c, T: at.UnixMilli(), V: v}, metric.Point{ID: metric.DiskRead, Sub: "all", T: at.UnixMilli() - 5, V: v})
		return g
	}
	for i := range 3 {
		at = sec(float64(i))
		apply(t, p, &metric.Batch{Node: "n1", Time: at, Groups: []metric.Group{of("x", float64(i)), of("y", 2*float64(i))}})
	}
	s := p.Snapshot(at)
	pod := only(t, s.Pods)
	var got []string
	for _, v := range pod.List() {
		got = append(got, fmt.Sprintf("%s %q %v %v %v", metric.Get(v.ID).Name, v.Sub, v.V, v.Rate, at.Sub(v.T)))
	}
	name := func(id metric.ID) string { return metric.Get(id).Name }
	want := []string{
		name(metric.CPUUsage) + ` "" 0 3 0s`, name(metric.MemoryWorkingSet) + ` "" 6 0 0s`,
		name(metric.DiskRead) + ` "all" 0 3 5ms`, name(metric.DiskRead) + ` "ax" 0 1 0s`, name(metric.DiskRead) + ` "ay" 0 2 0s`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(pod.List()[2:], pod.Row(metric.DiskRead)); d != "" {
		t.Error(d)
	}
	wantRate(t, pod, metric.DiskRead, 6)
	wantRate(t, only(t, s.Workloads), metric.DiskRead, 6)
	wantRate(t, only(t, s.Containers[:1]), metric.DiskRead, 2)
	if !pod.Any() || len(pod.Row(metric.CPUUser)) > 0 {
		t.Errorf("%v has %v", pod.Entity, pod.Row(metric.CPUUser))
	}
}
