package live

import (
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// TestScaledWorkloadGap: what an autoscaler says of a workload comes and goes, and makes no gap beside good values. When its only
// replica has ended the workload has that replica's gap, which does not move with the clock.
func TestScaledWorkloadGap(t *testing.T) {
	p := newPicture(t, Options{})
	service := &metric.Entity{Level: metric.Workload, Node: "n1", Namespace: "demo", WorkloadKind: "ProcessService", Workload: "web"}
	for i := range 60 {
		at := sec(float64(i))
		ms := at.UnixMilli()
		said := metric.Group{Entity: service, Points: []metric.Point{{ID: metric.Replicas, T: ms, V: 1}}}
		if i < 5 {
			said.Points = append(said.Points, metric.Point{ID: metric.ScaleLoad, Sub: "cpu", T: ms, V: 1})
		}
		groups := []metric.Group{cpu(node("n1"), at, float64(i), 1000)}
		if i <= 20 {
			groups = append(groups, cpu(web(1), at, float64(i), 100))
		}
		apply(t, p, tick(at, groups...))
		apply(t, p, tick(at, said))
		s := p.Snapshot(at)
		checkSnapshot(t, s)
		w := only(t, s.Workloads)
		switch _, used := w.Rate(metric.CPUUsage); {
		case i >= 1 && i <= 25 && (!used || w.Gap != nil):
			t.Fatalf("second %d: it used %v, gap %+v", i, used, w.Gap)
		case i > 25 && (used || w.Gap == nil || !w.Gap.Since.Equal(sec(20))):
			t.Fatalf("second %d: it used %v, gap %+v", i, used, w.Gap)
		}
	}
}
