package live

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// fleet is nodes × pods containers of one row each of CPU and memory, as the live lane carries them.
func fleet(nodes, pods int) []*metric.Batch {
	out := make([]*metric.Batch, nodes)
	for n := range out {
		b := &metric.Batch{Node: fmt.Sprintf("node-%d", n), Fast: true}
		for i := range pods {
			e := &metric.Entity{Level: metric.Container, Node: b.Node, Namespace: fmt.Sprintf("team-%d", i%10), WorkloadKind: "Deployment",
				Workload: fmt.Sprintf("app-%d", (n*pods+i)%1000), Pod: fmt.Sprintf("app-%d-%d-%d", (n*pods+i)%1000, n, i), Container: "main",
				ID: fmt.Sprintf("/kubepods/burstable/pod%d-%d/c", n, i), Runtime: "containerd", Image: "example.org/app:1"}
			b.Groups = append(b.Groups, metric.Group{Entity: e, Points: make([]metric.Point, 2)})
		}
		b.Groups = append(b.Groups, metric.Group{Entity: &metric.Entity{Level: metric.Node, Node: b.Node, ID: "/"}, Points: make([]metric.Point, 2)})
		out[n] = b
	}
	return out
}

// set gives the batches the values of second i.
func set(fleet []*metric.Batch, i int) {
	at := sec(float64(i))
	for _, b := range fleet {
		b.Time = at
		for g := range b.Groups {
			b.Groups[g].Points[0] = metric.Point{ID: metric.CPUUsage, T: at.UnixMilli() + int64(g), V: float64(i) * 0.1}
			b.Groups[g].Points[1] = metric.Point{ID: metric.MemoryWorkingSet, T: at.UnixMilli() + int64(g), V: 1e7}
		}
	}
}

// cpuTime is the processor time that this process has used, which a busy machine does not stretch as it does the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkApply(b *testing.B) {
	f := fleet(1000, 30)
	p := newPicture(b, Options{})
	var used time.Duration
	i := 0
	for ; i < 90; i++ {
		set(f, i)
		for _, batch := range f {
			apply(b, p, batch)
		}
	}
	for b.Loop() {
		set(f, i)
		i++
		began := cpuTime()
		for _, batch := range f {
			apply(b, p, batch)
		}
		used += cpuTime() - began
	}
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/30000, "cpu-ns/container-sample")
}

// cluster1000 is the picture of 1,000 nodes × 30 pods after 80 s of the fast lane.
func cluster1000(b *testing.B) (*Picture, []*metric.Batch) {
	f := fleet(1000, 30)
	p := newPicture(b, Options{})
	for i := range 80 {
		set(f, i)
		for _, batch := range f {
			apply(b, p, batch)
		}
	}
	return p, f
}

// BenchmarkApplyNode is one node's fast batch in the picture of a large cluster.
func BenchmarkApplyNode(b *testing.B) {
	p, f := cluster1000(b)
	i := 0
	for b.Loop() {
		if i%len(f) == 0 {
			b.StopTimer()
			set(f, 80+i/len(f))
			b.StartTimer()
		}
		apply(b, p, f[i%len(f)])
		i++
	}
}

// BenchmarkUsage is what ten pods of one target used.
func BenchmarkUsage(b *testing.B) {
	p, _ := cluster1000(b)
	pods := podsOf(p, sec(79), "team-0", "Deployment", "app-0")[:10]
	for b.Loop() {
		if got := p.Usage(sec(79), pods, "cpu", 3*time.Second); len(got) != 10 {
			b.Fatalf("%d pods", len(got))
		}
	}
}

// BenchmarkDelay says how long an Apply of one node and a Usage of ten pods take while a snapshot or a roll-up of a large cluster is
// made beside them.
func BenchmarkDelay(b *testing.B) {
	for _, walk := range []struct {
		name string
		do   func(*Picture, time.Time)
	}{{"Snapshot", func(p *Picture, now time.Time) { p.Snapshot(now) }}, {"RollUp", func(p *Picture, now time.Time) { p.RollUp(now) }}} {
		b.Run(walk.name, func(b *testing.B) {
			p, f := cluster1000(b)
			pods := podsOf(p, sec(79), "team-0", "Deployment", "app-0")[:10]
			var applies, usages []time.Duration
			i := 0
			for b.Loop() {
				now := sec(float64(80 + i))
				set(f, 80+i)
				i++
				done := make(chan struct{})
				go func() {
					defer close(done)
					walk.do(p, now)
				}()
				for k, busy := 0, true; busy; k++ {
					began := time.Now()
					apply(b, p, f[k%len(f)])
					applied := time.Now()
					p.Usage(now, pods, "cpu", 3*time.Second)
					applies, usages = append(applies, applied.Sub(began)), append(usages, time.Since(applied))
					select {
					case <-done:
						busy = false
					case <-time.After(200 * time.Microsecond):
					}
				}
			}
			for _, x := range []struct {
				name string
				all  []time.Duration
			}{{"apply", applies}, {"usage", usages}} {
				slices.Sort(x.all)
				b.ReportMetric(float64(x.all[len(x.all)*99/100].Microseconds()), x.name+"-p99-µs")
				b.ReportMetric(float64(x.all[len(x.all)-1].Microseconds()), x.name+"-max-µs")
			}
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	for _, nodes := range []int{15, 1000} {
		b.Run(fmt.Sprint(nodes*30), func(b *testing.B) {
			f := fleet(nodes, 30)
			p := newPicture(b, Options{})
			for i := range 80 {
				set(f, i)
				for _, batch := range f {
					apply(b, p, batch)
				}
			}
			p.build(sec(79), nil)
			b.ReportAllocs()
			began := cpuTime()
			for b.Loop() {
				p.build(sec(79), nil)
			}
			b.ReportMetric(float64((cpuTime()-began).Nanoseconds())/float64(b.N)/float64(nodes*30), "cpu-ns/container")
		})
	}
}

func BenchmarkRollUp(b *testing.B) {
	f := fleet(1000, 30)
	p := newPicture(b, Options{})
	var used time.Duration
	i := 0
	for b.Loop() {
		b.StopTimer()
		set(f, i)
		i++
		for _, batch := range f {
			apply(b, p, batch)
		}
		b.StartTimer()
		began := cpuTime()
		p.RollUp(sec(float64(i)))
		used += cpuTime() - began
	}
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/30000, "cpu-ns/container")
}

// BenchmarkBytes says how much memory one container takes once its samples are all there: with the fast lane at 1 s, with full batches
// at 15 s, and with a snapshot in a reader's hands.
func BenchmarkBytes(b *testing.B) {
	for _, every := range []int{1, 15} {
		b.Run(fmt.Sprintf("every=%ds", every), func(b *testing.B) {
			for b.Loop() {
				f := fleet(1000, 30)
				before := heapBytes()
				p := newPicture(b, Options{})
				for i := 0; i < 150; i += every {
					set(f, i)
					for _, batch := range f {
						batch.Fast = every == 1
						apply(b, p, batch)
					}
				}
				s := p.Snapshot(sec(149))
				b.ReportMetric(float64(heapBytes()-before)/30000, "B/container")
				runtime.KeepAlive(p)
				runtime.KeepAlive(s)
				runtime.KeepAlive(f)
			}
		})
	}
}

// BenchmarkBytesFull is one machine of 450 containers with every row that a container can have, every 10 s, beside the fast lane.
func BenchmarkBytesFull(b *testing.B) {
	for b.Loop() {
		f := fleet(1, 450)
		before := heapBytes()
		p := newPicture(b, Options{})
		for i := range 150 {
			set(f, i)
			apply(b, p, f[0])
			if i%10 == 0 {
				apply(b, p, everything(f[0]))
				p.RollUp(f[0].Time)
			}
		}
		s := p.Snapshot(sec(149))
		b.ReportMetric(float64(heapBytes()-before)/450, "B/container")
		b.ReportMetric(float64(len(s.Containers[0].List())), "rows")
		runtime.KeepAlive(p)
		runtime.KeepAlive(s)
	}
}

// everything is the full batch beside a fast one, two interfaces and devices for each row that has them.
func everything(b *metric.Batch) *metric.Batch {
	out := &metric.Batch{Node: b.Node, Time: b.Time}
	for _, g := range b.Groups {
		n := metric.Group{Entity: g.Entity}
		for _, r := range metric.Rows() {
			if !r.Has(g.Entity.Level) {
				continue
			}
			subs := []string{""}
			if r.Sub != "" {
				subs = []string{r.Sub + "0", r.Sub + "1"}
			}
			for _, sub := range subs {
				n.Points = append(n.Points, metric.Point{ID: r.ID, Sub: sub, T: g.Points[0].T, V: g.Points[0].V})
			}
		}
		out.Groups = append(out.Groups, n)
	}
	return out
}

// BenchmarkWindows is what the autoscaler asks: seven windows of a workload of 30 pods.
func BenchmarkWindows(b *testing.B) {
	f := fleet(1000, 30)
	p := newPicture(b, Options{})
	for i := range 80 {
		set(f, i)
		for _, batch := range f {
			apply(b, p, batch)
		}
	}
	now := sec(79)
	pods := podsOf(p, now, "team-0", "Deployment", "app-0")
	for b.Loop() {
		for _, w := range []int{3, 5, 8, 12, 20, 30, 60} {
			if got := p.Usage(now, pods, "cpu", time.Duration(w)*time.Second); len(got) == 0 {
				b.Fatal("nothing seen")
			}
		}
	}
}
