package capacity

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// BenchmarkReports makes both reports of 1,000 containers of 250 workloads over fourteen days, a sample each 30 s, from the embedded store.
// Filling it takes minutes. What it prints is wall time and CPU time.
func BenchmarkReports(b *testing.B) {
	const containers, interval, days = 1000, 30 * time.Second, 14
	end := time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC)
	db, err := tsdb.Open(tsdb.Options{Dir: b.TempDir(), Retention: 60 * day, MaxBytes: 64 << 30, Now: func() time.Time { return end }})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	p, err := live.New(live.Options{})
	if err != nil {
		b.Fatal(err)
	}
	node := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}
	entities, seconds := make([]*metric.Entity, containers), make([]float64, containers)
	for i := range entities {
		entities[i] = &metric.Entity{Level: metric.Container, Node: "n1", Namespace: fmt.Sprint("ns", i/100), WorkloadKind: "Deployment", Workload: fmt.Sprint("w", i/4), Pod: fmt.Sprint("w", i/4, "-", i%4),
			Container: "app", ID: fmt.Sprint("/kubepods/", i), Runtime: "containerd"}
	}
	rng, whole := rand.New(rand.NewPCG(1, 2)), 0.0
	for t := end.Add(-days * day); !t.After(end); t = t.Add(interval) {
		batch := &metric.Batch{Node: "n1", Time: t}
		ms := t.UnixMilli()
		for i, e := range entities {
			used := rng.Float64() * 0.2 * interval.Seconds()
			seconds[i], whole = seconds[i]+used, whole+used
			batch.Groups = append(batch.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.CPUUsage, T: ms + int64(i%1000), V: seconds[i]},
				{ID: metric.MemoryWorkingSet, T: ms + int64(i%1000), V: float64(50<<20 + 4096*rng.IntN(1000))}, {ID: metric.OOMKills, T: ms + int64(i%1000)}}})
		}
		batch.Groups = append(batch.Groups, metric.Group{Entity: node, Points: []metric.Point{{ID: metric.CPUUsage, T: ms, V: whole}, {ID: metric.MemoryWorkingSet, T: ms, V: 60 * gi},
			{ID: metric.CPUCapacity, T: ms, V: 128}, {ID: metric.MemoryCapacity, T: ms, V: 256 * gi}}})
		batches := []*metric.Batch{batch}
		if end.Sub(t) < time.Minute {
			if err := p.Apply(batch); err != nil {
				b.Fatal(err)
			}
			batches = append(batches, p.RollUp(t))
		}
		for _, x := range batches {
			if err := db.Append(context.Background(), x); err != nil {
				b.Fatal(err)
			}
		}
	}
	s := p.Snapshot(end)
	b.Run("rightsize", func(b *testing.B) {
		measured(b, func() {
			r, err := Rightsize(context.Background(), db, s, nil, RightsizeOptions{})
			if err != nil || len(r.Rows) != containers/4 || r.Rows[0].Confidence != High {
				b.Fatalf("%d rows, %v", len(r.Rows), err)
			}
		})
	})
	b.Run("capacity", func(b *testing.B) {
		measured(b, func() {
			r, err := Capacity(context.Background(), db, s, CapacityOptions{})
			if err != nil || scope(r, NodeLevel, "n1").CPU.P95 == nil {
				b.Fatalf("%v, %v", r, err)
			}
		})
	})
}

// measured runs f and reports the CPU time of the process beside the wall time.
func measured(b *testing.B, f func()) {
	cpu := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	before := cpu()
	b.ResetTimer()
	for range b.N {
		f()
	}
	b.ReportMetric((cpu()-before)/float64(b.N), "cpu-s/op")
}
