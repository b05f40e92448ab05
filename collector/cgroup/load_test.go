package cgroup

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/vmtest"
)

// testLoad runs one process at full speed: its rate must be that of a whole CPU, as the process's own time says.
func testLoad(t *testing.T) {
	l := realLayout(t)
	top := newGroup(t, l, "load")
	busy, idle := top.leaf(t, "busy"), top.leaf(t, "idle")
	r := newReader(t, top.path)
	cmd := busy.run(t, "sh -c 'while :; do :; done'")
	has := func(b *metric.Batch) bool {
		p, ok := value(find(b, busy.path), metric.CPUUsage)
		return ok && p.V > 0.2
	}
	eventually(t, r, time.Minute, "load", has)
	// Everything goes on while the kernel's other accounts are read before and after: what was used lies between.
	look := func() (b *metric.Batch, own, all [2]float64) {
		own[0], all[0] = processSeconds(t, cmd.Process.Pid), machineSeconds(t)
		b = r.Read(time.Now())
		own[1], all[1] = processSeconds(t, cmd.Process.Pid), machineSeconds(t)
		return b, own, all
	}
	begun := time.Now()
	first, own1, all1 := look()
	time.Sleep(2 * time.Second)
	last, own2, all2 := look()
	a, _ := value(find(first, busy.path), metric.CPUUsage)
	b, _ := value(find(last, busy.path), metric.CPUUsage)
	got := b.V - a.V
	if least, most := own2[0]-own1[1]-0.25, own2[1]-own1[0]+0.25; got < least || got > most {
		t.Errorf("CPU time used: got %.3f s, want between %.3f and %.3f s as /proc/PID/stat has it", got, least, most)
	}
	if elapsed := float64(b.T-a.T) / 1000; elapsed < 1.9 || elapsed > time.Since(begun).Seconds()+0.1 {
		t.Errorf("time between the points: got %.3f s", elapsed)
	}
	t.Logf("%.3f CPU seconds in %.3f s", got, float64(b.T-a.T)/1000)
	if p, ok := value(find(last, idle.path), metric.CPUUsage); !ok || p.V != 0 {
		t.Errorf("idle cgroup: got %v, %v, want 0", p, ok)
	}
	node := find(last, "/")
	na, _ := value(find(first, "/"), metric.CPUUsage)
	nb, ok := value(node, metric.CPUUsage)
	if least, most := all2[0]-all1[1]-0.02, all2[1]-all1[0]+0.02; !ok || nb.V-na.V < least || nb.V-na.V > most {
		t.Errorf("node's CPU time: got %.3f s, want between %.3f and %.3f s as /proc/stat has it", nb.V-na.V, least, most)
	}
	// The machine's own account counts clock ticks, of which an emulated machine on a busy host misses most.
	if os.Getenv(vmtest.Env) == "" && nb.V-na.V < got/3-0.1 {
		t.Errorf("node's CPU time: got %.3f s, want about the container's %.3f s or more", nb.V-na.V, got)
	}
	if node.Start.IsZero() || time.Since(node.Start) < 0 {
		t.Errorf("node's start: got %v", node.Start)
	}
	if _, ok := value(node, metric.CPUWaiting); !ok && r.Info().PSI {
		t.Error("node has no CPU pressure though the kernel accounts it")
	}
}

// processSeconds is a process's CPU time as /proc/PID/stat has it (fields 14 and 15 of proc(5)).
func processSeconds(t *testing.T, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

// machineSeconds is the machine's CPU time as /proc/stat has it: user, nice, system, irq, softirq and steal of proc(5).
func machineSeconds(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, f := range strings.Fields(string(b))[1:9] {
		if v, _ := strconv.ParseFloat(f, 64); i != 3 && i != 4 { // idle, iowait
			sum += v
		}
	}
	return sum / 100
}

// testThrottled gives a busy process a tenth of a CPU.
func testThrottled(t *testing.T) {
	l := realLayout(t)
	top := newGroup(t, l, "throttled")
	g := top.leaf(t, "g")
	if l.info.Version == V2 {
		g.set(t, "cpu.max", "10000 100000")
	} else {
		g.set(t, "cpu.cfs_period_us", "100000")
		g.set(t, "cpu.cfs_quota_us", "10000")
	}
	r := newReader(t, top.path)
	g.run(t, "sh -c 'while :; do :; done'")
	got := func(b *metric.Batch) (periods, throttled, seconds float64) {
		c := find(b, g.path)
		x, _ := value(c, metric.CPUPeriods)
		y, _ := value(c, metric.CPUThrottledPeriods)
		z, _ := value(c, metric.CPUThrottled)
		return x.V, y.V, z.V
	}
	begun := time.Now()
	b := eventually(t, r, time.Minute, "ten throttled periods and 0.3 s of throttled time", func(b *metric.Batch) bool {
		_, n, s := got(b)
		return n >= 10 && s >= 0.3
	})
	periods, throttled, seconds := got(b)
	if periods < throttled {
		t.Errorf("got %v throttled periods of %v", throttled, periods)
	}
	if most := (time.Since(begun).Seconds() + 1) * float64(runtime.NumCPU()); seconds > most { // each CPU's queue is throttled for itself
		t.Errorf("throttled time: got %v s, want at most %v s", seconds, most)
	}
	t.Logf("%v of %v periods throttled, %.3f s", throttled, periods, seconds)
}

// testOOM fills a cgroup with a memory limit until the kernel kills for it. The memory rises up to the limit and
// the reader goes on.
func testOOM(t *testing.T) {
	l := realLayout(t)
	top := newGroup(t, l, "oom")
	g := top.leaf(t, "g")
	const limit = 32 << 20
	if l.info.Version == V2 {
		g.set(t, "memory.max", strconv.Itoa(limit))
		if _, err := os.Stat(l.info.Memory + g.path + "/memory.swap.max"); err == nil {
			g.set(t, "memory.swap.max", "0")
		}
	} else {
		g.set(t, "memory.limit_in_bytes", strconv.Itoa(limit))
	}
	r := newReader(t, top.path)
	// The hog doubles a string to half of the limit, waits until that was seen, and goes on until it is killed.
	seen := filepath.Join(t.TempDir(), "seen")
	cmd := g.run(t, `sh -c 'x=0123456789abcdef; while [ ${#x} -lt 8388608 ]; do x=$x$x; done; while [ ! -e `+seen+` ]; do sleep 0.01; done; while :; do x=$x$x; done'`)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var most float64
	eventually(t, r, time.Minute, "a quarter of the limit is used", func(b *metric.Batch) bool {
		p, _ := value(find(b, g.path), metric.MemoryUsage)
		most = max(most, p.V)
		return p.V >= limit/4
	})
	if err := os.WriteFile(seen, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for killed := false; !killed; {
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("the hog ended with %v, want killed", err)
			}
			killed = true
		case <-time.After(time.Millisecond):
		}
		p, ok := value(find(r.Read(time.Now()), g.path), metric.MemoryUsage)
		if !ok {
			t.Fatal("no memory usage")
		}
		most = max(most, p.V)
	}
	// The kernel lets a process that it is about to kill go over its limit a little (memory.max in cgroup-v2.rst).
	if most > limit*1.1 {
		t.Errorf("most memory seen: got %v, want up to %v", most, limit)
	}
	b := r.Read(time.Now())
	after, ok := value(find(b, g.path), metric.MemoryWorkingSet)
	if !ok || after.V > most {
		t.Errorf("working set after the kill: got %v, %v", after, ok)
	}
	t.Logf("most %v MiB, after the kill %v MiB", most/(1<<20), after.V/(1<<20))
}
