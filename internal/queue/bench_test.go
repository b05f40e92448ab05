package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// tickLines are the lines of one tick: so many containers with 20 fields each, some 400 bytes a line, where counters grow and the rest
// is noisy, as line protocol of real containers is.
type tickLines struct {
	rng  *rand.Rand
	vals [][]float64
	n    int64
}

func newTickLines(containers int) *tickLines {
	l := &tickLines{rng: rand.New(rand.NewPCG(1, 2))}
	for range containers {
		l.vals = append(l.vals, make([]float64, 20))
	}
	return l
}

func (l *tickLines) next(dst []byte) []byte {
	names := [20]string{"cpu_usage_s", "cpu_user_s", "cpu_sys_s", "cpu_cores", "mem_ws", "mem_rss", "mem_cache", "mem_usage", "rx_bytes", "tx_bytes",
		"rx_pkts", "tx_pkts", "rd_bytes", "wr_bytes", "psi_cpu_s", "psi_io_s", "thr_s", "thr_n", "procs", "threads"}
	l.n++
	for c, v := range l.vals {
		dst = append(dst, "container,cluster=c1,namespace=shop,node=node-1,pod=cart-6d5f-"...)
		dst = strconv.AppendInt(dst, int64(c), 10)
		dst = append(dst, ",container=cart "...)
		for f, name := range names {
			switch {
			case f < 3 || f == 14 || f == 15 || f == 16:
				v[f] += float64(l.rng.IntN(1000)) / 1000
			case f == 3:
				v[f] = l.rng.Float64()
			default:
				v[f] += float64(l.rng.IntN(5000))
			}
			dst = append(dst, name...)
			dst = append(dst, '=')
			dst = strconv.AppendFloat(dst, v[f], 'g', -1, 64)
			dst = append(dst, ',')
		}
		dst[len(dst)-1] = ' '
		dst = strconv.AppendInt(dst, 1_780_000_000_000+l.n*10_000, 10)
		dst = append(dst, '\n')
	}
	return dst
}

// BenchmarkAppend queues records of 450 lines (a tick of a large node), checksum and compression included. A point is a
// line of 20 fields.
func BenchmarkAppend(b *testing.B) {
	for _, every := range []time.Duration{DefaultSyncEvery, 0} {
		b.Run(fmt.Sprintf("sync=%s", every), func(b *testing.B) {
			const containers = 450
			q := mustOpen(b, Options{Dir: b.TempDir(), SyncEvery: every})
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- q.Run(ctx) }()
			l := newTickLines(containers)
			var ticks [][]byte
			for range 20 {
				ticks = append(ticks, l.next(nil))
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(ticks[0])))
			cpu := cpuSeconds()
			for i := 0; b.Loop(); i++ {
				if err := q.Append(ctx, ticks[i%len(ticks)], Meta{Points: containers}); err != nil {
					b.Fatal(err)
				}
			}
			cpu = cpuSeconds() - cpu
			points := float64(b.N) * containers
			b.ReportMetric(points/b.Elapsed().Minutes(), "points/min")
			b.ReportMetric(points/cpu*60, "points/min/core")
			s := q.Stats()
			b.ReportMetric(float64(s.WrittenBytes)/float64(s.Appended.Points), "disk-B/point")
			b.ReportMetric(float64(s.RawBytes)/float64(s.Appended.Points), "raw-B/point")
			cancel()
			<-ended
		})
	}
}

// BenchmarkDeliver reads a backlog back: read, check, unpack, acknowledge.
func BenchmarkDeliver(b *testing.B) {
	const containers = 450
	q := mustOpen(b, Options{Dir: b.TempDir(), SyncEvery: DefaultSyncEvery})
	l := newTickLines(containers)
	tick := l.next(nil)
	points := 0
	b.SetBytes(int64(len(tick)))
	for range b.N {
		if err := q.Append(context.Background(), tick, Meta{Points: containers}); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for x := try(q, &q.backlog); x != nil; x = try(q, &q.backlog) {
		points += x.Points()
		x.Ack()
	}
	b.ReportMetric(float64(points)/b.Elapsed().Minutes(), "points/min")
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// TestMemory fills a queue of 64 MiB (or PLIMSOLL_QUEUE_BACKLOG bytes), with small records as the worst case, reads on both
// lanes, and looks at the memory that the process has on top of what it had before.
func TestMemory(t *testing.T) {
	if raceDetector {
		t.Skip("needs a build without the race detector: it measures memory")
	}
	for _, c := range []struct {
		name    string
		record  int
		packing bool
	}{{"large", 200 << 10, false}, {"tick", 12 << 10, true}, {"small", 60, false}} {
		t.Run(c.name, func(t *testing.T) { memoryAt(t, c.record, c.packing) })
	}
}

func memoryAt(t *testing.T, record int, packing bool) {
	backlog := int64(64 << 20)
	if n, err := strconv.ParseInt(os.Getenv("PLIMSOLL_QUEUE_BACKLOG"), 10, 64); err == nil {
		backlog = n
	}
	debug.FreeOSMemory()
	before := heldBytes()
	var peak atomic.Uint64
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				peak.Store(max(peak.Load(), heldBytes()))
			}
		}
	}()
	o := Options{Dir: t.TempDir(), MaxBytes: max(backlog, 64<<20), SyncEvery: time.Hour}
	q := mustOpen(t, o)
	text := []byte(strings.Repeat("memory_working_set_bytes=123456789,", record/35+2))
	b := make([]byte, record)
	rng := rand.New(rand.NewPCG(3, 4))
	for n := 0; q.Stats().Bytes < backlog-record64(record); n++ {
		for i := 0; i+8 <= len(b); i += 8 {
			if packing && i%64 != 0 {
				copy(b[i:i+8], text[i:])
				continue
			}
			for k, v := 0, rng.Uint64(); k < 8; k, v = k+1, v>>8 {
				b[i+k] = byte(v)
			}
		}
		if err := q.Append(context.Background(), b, Meta{Points: 1}); err != nil {
			t.Fatal(err)
		}
	}
	full := q.Stats()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	q = mustOpen(t, o)
	opened := time.Since(began)
	if got := q.Stats().Records; got != full.Records {
		t.Errorf("got %d records after opening, want %d", got, full.Records)
	}
	var held []*Batch // both lanes at their bound
	for x := try(q, &q.backlog); x != nil && len(held) < 1000; x = try(q, &q.backlog) {
		held = append(held, x)
	}
	for range 200 {
		if err := q.Append(context.Background(), b, Meta{Points: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for x := try(q, &q.fresh); x != nil; x = try(q, &q.fresh) {
		held = append(held, x)
	}
	for len(held) > 0 {
		held[0].Ack()
		held = held[1:]
	}
	for x := try(q, &q.backlog); x != nil; x = try(q, &q.backlog) {
		x.Ack()
	}
	close(stop)
	<-stopped
	most := int64(peak.Load()) - int64(before)
	t.Logf("%d records, %d MiB in %d segments: %.1f MiB of memory at most; opened in %s", full.Records, full.Bytes>>20, full.Segments, float64(most)/(1<<20), opened.Round(time.Millisecond))
	if most > 32<<20 {
		t.Errorf("the queue took %.1f MiB of memory, more than 32 MiB", float64(most)/(1<<20))
	}
}

func record64(n int) int64 { return int64(n) + 16<<10 }

// heldBytes is what the runtime has from the system and did not give back.
func heldBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

// TestIdleWrites measures what 30 containers at a tick every ten seconds make the disk write, with Run at its default of a
// second, as the kernel counts it for this process. PLIMSOLL_QUEUE_IDLE says how long, for instance 60s.
func TestIdleWrites(t *testing.T) {
	lasts, err := time.ParseDuration(os.Getenv("PLIMSOLL_QUEUE_IDLE"))
	if err != nil {
		t.Skip("needs PLIMSOLL_QUEUE_IDLE: it takes as long as that says")
	}
	dir := t.TempDir()
	q := mustOpen(t, Options{Dir: dir, SyncEvery: DefaultSyncEvery})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- q.Run(ctx) }()
	go func() {
		for {
			b, err := q.Fresh(ctx)
			if err != nil {
				ended <- nil
				return
			}
			b.Ack()
		}
	}()
	l := newTickLines(30)
	process, disk := writtenBytes(t), diskBytes(dir)
	began := time.Now()
	for time.Since(began) < lasts {
		if err := q.Append(ctx, l.next(nil), Meta{Points: 30}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
	}
	cancel()
	<-ended
	<-ended
	minutes := time.Since(began).Minutes()
	s := q.Stats()
	t.Logf("a minute: %.1f KiB of records, %.1f KiB by the queue, %.1f KiB by the process (write_bytes), %.1f KiB by the whole disk",
		float64(s.RawBytes)/minutes/1024, float64(s.WrittenBytes)/minutes/1024, float64(writtenBytes(t)-process)/minutes/1024, float64(diskBytes(dir)-disk)/minutes/1024)
	if perMinute := float64(writtenBytes(t)-process) / minutes; perMinute > 2<<20 {
		t.Errorf("%.0f bytes are written a minute, more than 2 MiB", perMinute)
	}
}

// writtenBytes is what this process made the disks write.
func writtenBytes(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skipf("needs /proc/self/io: %v", err)
	}
	_, rest, _ := strings.Cut(string(b), "\nwrite_bytes: ")
	n, err := strconv.ParseInt(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// diskBytes is what the folder's whole disk was written, by everybody; zero if it cannot be told.
func diskBytes(dir string) int64 {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return 0
	}
	b, err := os.ReadFile(filepath.Join("/sys/dev/block", fmt.Sprintf("%d:%d", st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&^0xff), "stat"))
	if f := strings.Fields(string(b)); err == nil && len(f) > 6 {
		n, _ := strconv.ParseInt(f[6], 10, 64)
		return n * 512
	}
	return 0
}
