package live

import (
	"fmt"
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// held is how many bytes a picture holds of 100 nodes × 30 pods of so many containers, after 80 s: CPU and memory each second, and with full everything
// that a collector says of a container every ten seconds.
func held(b *testing.B, containers int, full bool) float64 {
	before := heapBytes()
	p := newPicture(b, Options{})
	rows := metric.At(metric.Container)
	fleet := make([][]metric.Group, 100)
	for s := range 80 {
		at := sec(float64(s))
		for n := range fleet {
			node := fmt.Sprint("node-", n)
			for i := len(fleet[n]); i < 30*containers; i++ {
				pod := fmt.Sprintf("app-%d-%d-%d", i/containers%100, n, i/containers)
				fleet[n] = append(fleet[n], metric.Group{Entity: &metric.Entity{Level: metric.Container, Node: node, Namespace: "team-1", WorkloadKind: "Deployment", Workload: fmt.Sprint("app-", i/containers%100),
					Pod: pod, Container: fmt.Sprint("c", i%containers), ID: fmt.Sprintf("/kubepods/burstable/pod%s/%d", pod, i), Runtime: "containerd", Image: "example.org/app:1"}})
			}
			batch := &metric.Batch{Node: node, Time: at, Fast: !full || s%10 != 0}
			for _, g := range fleet[n] {
				g.Points = []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: float64(s)}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1e7}}
				for id := metric.CPUUsage + 1; !batch.Fast && int(id) < len(metric.Rows()); id++ {
					if rows.Has(id) && id != metric.MemoryWorkingSet && id != metric.ContainersWaiting {
						g.Points = append(g.Points, metric.Point{ID: id, T: at.UnixMilli(), V: float64(s)})
					}
				}
				batch.Groups = append(batch.Groups, g)
			}
			apply(b, p, batch)
		}
	}
	held := float64(heapBytes() - before)
	_, _ = p.Snapshot(sec(80)), fleet
	return held / 3000
}

// BenchmarkHeld says what the picture holds of a pod of one container, and of each further container.
func BenchmarkHeld(b *testing.B) {
	for name, full := range map[string]bool{"fast": false, "both lanes": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				one, three := held(b, 1, full), held(b, 3, full)
				b.ReportMetric(one, "B/pod")
				b.ReportMetric((three-one)/2, "B/container")
			}
		})
	}
}
