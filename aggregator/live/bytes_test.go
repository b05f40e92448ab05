package live

import (
	"fmt"
	"runtime"
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// held is how many bytes a picture holds of a pod, of nodes × 30 of so many containers, after 80 s, and how many a snapshot of it has beside: CPU and memory
// each second, and with full everything that a collector says of a container every ten seconds. What the snapshot has beside it when it is new has grown to aged
// once everything has come anew.
func held(b testing.TB, nodes, containers int, full bool) (picture, snapshot, aged float64) {
	before := heapBytes()
	p := newPicture(b, Options{})
	rows := metric.At(metric.Container)
	fleet := make([][]metric.Group, nodes)
	bring := func(s int) {
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
	for s := range 81 {
		bring(s)
	}
	after, pods := heapBytes(), float64(nodes*30)
	snap := p.Snapshot(sec(80))
	more := heapBytes()
	for s := range 10 {
		bring(81 + s)
	}
	most := heapBytes()
	runtime.KeepAlive(fleet)
	runtime.KeepAlive(p)
	runtime.KeepAlive(snap)
	return float64(after-before) / pods, float64(more-after) / pods, (float64(most) - float64(after)) / pods
}

// TestHeld holds what 30,000 pods cost: a pod of one container in the picture, each further one, and the same of one snapshot.
func TestHeld(t *testing.T) {
	for _, c := range []struct {
		name                                                 string
		full                                                 bool
		pod, container, podSnapshot, containerSnapshot, aged float64
	}{
		{"fast", false, 4000, 3600, 860, 410, 930},
		{"both lanes", true, 5900, 5300, 1030, 410, 2600},
	} {
		one, oneSnap, aged := held(t, 20, 1, c.full)
		three, threeSnap, _ := held(t, 20, 3, c.full)
		f := func(what string, got, most float64) {
			t.Helper()
			if got > most {
				t.Errorf("%s, %s: got %.0f bytes, want at most %.0f", c.name, what, got, most)
			}
			t.Logf("%s, %s: %.0f bytes", c.name, what, got)
		}
		f("a pod of one container in the picture", one, c.pod)
		f("a further container", (three-one)/2, c.container)
		f("a pod of one container in a snapshot", oneSnap, c.podSnapshot)
		f("a further container in a snapshot", (threeSnap-oneSnap)/2, c.containerSnapshot)
		f("a pod of one container in a snapshot, when all has come anew", aged, c.aged)
	}
}

// BenchmarkHeld says what the picture holds of a pod of one container, and of each further container, and a snapshot.
func BenchmarkHeld(b *testing.B) {
	for name, full := range map[string]bool{"fast": false, "both lanes": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				one, oneSnap, aged := held(b, 100, 1, full)
				three, threeSnap, _ := held(b, 100, 3, full)
				b.ReportMetric(one, "B/pod")
				b.ReportMetric((three-one)/2, "B/container")
				b.ReportMetric(oneSnap, "B/pod-in-snapshot")
				b.ReportMetric((threeSnap-oneSnap)/2, "B/container-in-snapshot")
				b.ReportMetric(aged, "B/pod-in-aged-snapshot")
			}
		})
	}
}

// BenchmarkHeldRollUps says what roll-ups keep of a pod of one container with everything that a collector says, of two interfaces and devices, beside the picture, and how large the batch of
// one pass is: a standby holds two.
func BenchmarkHeldRollUps(b *testing.B) {
	for b.Loop() {
		f := fleet(20, 30)
		for _, batch := range f {
			for i := range batch.Groups {
				batch.Groups[i].Entity.Workload = fmt.Sprint("app-", i%10) // of sixty pods each
			}
		}
		p := newPicture(b, Options{})
		bring := func(i int) {
			set(f, i)
			for _, batch := range f {
				apply(b, p, everything(batch))
			}
		}
		bring(0)
		bring(10)
		p.Snapshot(sec(10))
		before := heapBytes()
		with := func() uint64 {
			batch := p.RollUp(sec(10))
			defer runtime.KeepAlive(batch)
			return heapBytes()
		}()
		kept := heapBytes()
		b.ReportMetric((float64(kept)-float64(before))/600, "B/pod")
		b.ReportMetric(float64(with-kept)/600, "B/pod-in-batch")
		runtime.KeepAlive(p)
		runtime.KeepAlive(f)
	}
}
