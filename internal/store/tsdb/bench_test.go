package tsdb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// fleet makes a machine with so many containers of twenty series each, and a function that gives the batch of a tick.
func fleet(containers int) func(t time.Time) *metric.Batch {
	rows := []metric.ID{metric.CPUUsage, metric.CPUUser, metric.CPUSystem, metric.CPUPeriods, metric.CPUThrottledPeriods, metric.CPUThrottled,
		metric.MemoryWorkingSet, metric.MemoryUsage, metric.MemoryRSS, metric.MemoryCache, metric.MemoryPageFaults, metric.MemoryMajorPageFaults,
		metric.NetworkReceive, metric.NetworkTransmit, metric.DiskRead, metric.DiskWrite, metric.Processes, metric.Threads, metric.OOMKills, metric.StartTime}
	entities := make([]*metric.Entity, containers)
	values := make([][]float64, containers)
	for i := range entities {
		entities[i] = &metric.Entity{Level: metric.Container, Node: "node-1", Namespace: "docker", WorkloadKind: "Compose", Workload: fmt.Sprint("app", i/10),
			Pod: fmt.Sprint("app", i/10, "-", i%10), Container: fmt.Sprint("app", i/10, "-", i%10), ID: fmt.Sprintf("/docker/%064x", i), Runtime: "docker", Image: "registry.example/app:1.2.3"}
		values[i] = make([]float64, len(rows))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	return func(t time.Time) *metric.Batch {
		b := &metric.Batch{Node: "node-1", Time: t, Groups: make([]metric.Group, len(entities))}
		for i, e := range entities {
			points := make([]metric.Point, len(rows))
			at := t.UnixMilli() + int64(i%1000)
			for j, id := range rows {
				switch row := metric.Get(id); {
				case id == metric.StartTime:
					values[i][j] = 1.7e9
				case row.Kind == metric.Counter && row.Unit == metric.Seconds:
					values[i][j] += float64(rng.IntN(5_000_000)) / 1e6
				case row.Kind == metric.Counter && j%2 == 0:
					values[i][j] += float64(rng.IntN(100_000))
				case row.Unit == metric.Bytes && rng.IntN(4) == 0:
					values[i][j] = float64(50<<20 + 4096*rng.IntN(1000))
				}
				sub := ""
				if metric.Get(id).Sub != "" {
					sub = "eth0"
				}
				points[j] = metric.Point{ID: id, Sub: sub, T: at, V: values[i][j]}
			}
			b.Groups[i] = metric.Group{Entity: e, Points: points}
		}
		return b
	}
}

// fleetRow is a row that every container of the fleet has.
const fleetRow = metric.Processes

// cpuSeconds is the CPU time of this process, user and system, over all its threads: garbage collection,
// and compaction included.
func cpuSeconds() float64 { return rusage(syscall.RUSAGE_SELF) }

// threadSeconds is the CPU time of this thread, which the caller has locked.
func threadSeconds() float64 { return rusage(1) } // RUSAGE_THREAD

func rusage(who int) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// rss reads a line of /proc/self/status in MiB: VmRSS, RssAnon or VmHWM.
func rss(line string) float64 {
	data, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(data), "\n") {
		if f := strings.Fields(l); len(f) > 1 && f[0] == line+":" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1024
		}
	}
	return 0
}

// BenchmarkIngest appends ticks of 10,000 series every 10 s of simulated time, blocks being written on the way.
func BenchmarkIngest(b *testing.B) {
	start := time.Now().Add(-24 * time.Hour).Truncate(time.Hour)
	for _, containers := range []int{500} {
		b.Run(fmt.Sprint(20*containers, " series"), func(b *testing.B) {
			db := mustOpen(b, Options{})
			tick := fleet(containers)
			samples := 0
			made := 0.0
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.ResetTimer()
			before := cpuSeconds()
			for i := range b.N {
				m := threadSeconds()
				batch := tick(start.Add(time.Duration(i) * 10 * time.Second))
				made += threadSeconds() - m
				samples += batch.Samples()
				if err := db.Append(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				if h := db.gen.tsdb.Head(); h.MaxTime()-h.MinTime() > blockRange.Milliseconds()/2*3 {
					db.compact(context.Background()) // in real time it would have done this long before the next tick
				}
			}
			cpu := cpuSeconds() - before - made
			b.StopTimer()
			if got := testutil.ToFloat64(db.met.appended); got != float64(samples) {
				b.Fatalf("%g of %d samples were appended", got, samples)
			}
			db.measure()
			b.ReportMetric(float64(samples)/cpu, "samples/cpu-s")
			b.ReportMetric(float64(db.Stats().Bytes)/float64(samples), "B/sample")
			b.ReportMetric(rss("VmRSS"), "MiB-rss")
			b.ReportMetric(rss("RssAnon"), "MiB-anon")
			b.ReportMetric(rss("VmHWM"), "MiB-peak")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkOpen opens and closes an empty folder.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		db, err := Open(Options{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// threeHours is a store with as much in its log as it ever has: three hours of 10,000 series, every 10 s.
func threeHours(b *testing.B, dir string) (*DB, time.Time) {
	start := time.Now().Add(-3 * time.Hour)
	db, err := Open(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	tick := fleet(500)
	for i := range 1079 {
		if err := db.Append(context.Background(), tick(start.Add(time.Duration(i)*10*time.Second))); err != nil {
			b.Fatal(err)
		}
	}
	return db, start.Add(3 * time.Hour)
}

// BenchmarkReplay opens a store that was killed, and one that was closed.
func BenchmarkReplay(b *testing.B) {
	dir := b.TempDir()
	db, _ := threeHours(b, dir)
	killed := filepath.Join(b.TempDir(), "killed")
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	for name, dir := range map[string]string{"killed": killed, "closed": dir} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if name == "killed" {
					_ = os.Remove(filepath.Join(dir, "tsdb", cleanFile))
				}
				db, err := Open(Options{Dir: dir})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkQuery asks what the page asks, of three hours of 10,000 series.
func BenchmarkQuery(b *testing.B) {
	db, end := threeHours(b, b.TempDir())
	defer db.Close()
	one := []store.Matcher{{Name: "container", Op: store.Equal, Value: "app3-3"}}
	for name, q := range map[string]store.Query{
		"one container 15m":        {Row: metric.CPUUsage, Func: store.Rate, Matchers: one, Start: end.Add(-15 * time.Minute), Step: 10 * time.Second, Window: time.Minute},
		"one container 3h":         {Row: metric.CPUUsage, Func: store.Rate, Matchers: one, Start: end.Add(-3 * time.Hour), Step: time.Minute, Window: 2 * time.Minute},
		"500 containers now":       {Row: metric.CPUUsage, Func: store.Rate, Start: end, Window: time.Minute},
		"500 by workload 1h":       {Row: metric.CPUUsage, Func: store.Rate, By: []string{"workload"}, Start: end.Add(-time.Hour), Step: 30 * time.Second, Window: time.Minute},
		"500 p95 of the rate 3h":   {Row: metric.CPUUsage, Func: store.Quantile, Q: 0.95, RateOver: time.Minute, Start: end.Add(-3 * time.Hour)},
		"500 maximum of memory 3h": {Row: metric.MemoryWorkingSet, Func: store.Max, Start: end.Add(-3 * time.Hour)},
	} {
		q.End = end
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				got, err := db.Query(context.Background(), q)
				if err != nil || len(got) == 0 {
					b.Fatalf("got %d series, %v", len(got), err)
				}
			}
		})
	}
}

// BenchmarkSums asks for sums over six hours of 500 containers, a tenth of which is replaced each hour.
func BenchmarkSums(b *testing.B) {
	db := mustOpen(b, Options{})
	const hours = 6
	start := time.Now().Add(-(hours + 1) * time.Hour).Truncate(time.Hour)
	for tick := range hours * 360 {
		at := start.Add(time.Duration(tick) * 10 * time.Second)
		batch := &metric.Batch{Node: "n", Time: at}
		for i := range 500 {
			life := 0
			if i%10 == 0 {
				life = tick / 360
			}
			pod := fmt.Sprint("p", i, "-", life)
			batch.Groups = append(batch.Groups, metric.Group{Entity: &metric.Entity{Level: metric.Container, Node: "n", Namespace: fmt.Sprint("d", i%20), Pod: pod, Container: "c", Workload: fmt.Sprint("w", i%100), WorkloadKind: "Deployment"},
				Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli() + int64(i), V: float64(i) * 4096}, {ID: metric.CPUUsage, T: at.UnixMilli() + int64(i), V: float64(tick)}}})
		}
		if err := db.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	for _, f := range []store.Func{store.Avg, store.Max, store.Last, store.Rate} {
		b.Run(string(f), func(b *testing.B) {
			q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: start, End: start.Add(hours * time.Hour), Step: 5 * time.Minute, Func: f, By: []string{"namespace"}}
			if f == store.Rate {
				q.Row = metric.CPUUsage
			}
			for range b.N {
				if got, err := db.Query(context.Background(), q); err != nil || len(got) != 20 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}
