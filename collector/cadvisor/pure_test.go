package cadvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/cadvisor/lib/model"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"

	"plimsoll.dev/plimsoll/internal/metric"
)

func TestBadValues(t *testing.T) {
	under := uint64(100)
	f := func(id metric.ID, v float64, want string) {
		t.Helper()
		if got := bad(id, v); got != want {
			t.Errorf("bad(%s, %v) = %q, want %q", metric.Get(id).Name, v, got, want)
		}
	}
	f(metric.CPUUsage, 1.5, "")
	f(metric.CPUUsage, math.NaN(), "nan")
	f(metric.CPUUsage, math.Inf(1), "inf")
	f(metric.CPUUsage, math.Inf(-1), "inf")
	f(metric.CPUUsage, -0.1, "negative")
	f(metric.MemorySwap, float64(under-101), "absurd") // usage taken from a smaller total
	f(metric.MemoryUsage, 1<<50, "")
	f(metric.Processes, float64(under-101), "absurd")
	f(metric.StartTime, 4e9, "")
}

func TestBadValuesAreDroppedAndCounted(t *testing.T) {
	got := map[string]int{}
	b := &builder{drop: func(reason string) { got[reason]++ }}
	b.memory(&model.MemoryStats{Usage: 5, Swap: math.MaxUint64})
	b.add(metric.CPUUsage, "", math.NaN())
	if d := cmp.Diff(got, map[string]int{"absurd": 1, "nan": 1}); d != "" {
		t.Errorf("counted (-got +want):\n%s", d)
	}
	for _, p := range b.points {
		if p.ID == metric.MemorySwap || p.ID == metric.CPUUsage {
			t.Errorf("the bad value %v of %q was taken", p.V, metric.Get(p.ID).Name)
		}
	}
}

func TestLimits(t *testing.T) {
	f := func(s model.ContainerSpec, want string) {
		t.Helper()
		b := &builder{}
		b.limits(&s)
		var got []string
		for _, p := range b.points {
			got = append(got, fmt.Sprint(metric.Get(p.ID).Field, "=", p.V))
		}
		if x := strings.Join(got, " "); x != want {
			t.Errorf("limits of %+v: %q, want %q", s, x, want)
		}
	}
	cpu := func(quota, period uint64) model.ContainerSpec {
		return model.ContainerSpec{HasCpu: true, Cpu: model.CpuSpec{Quota: quota, Period: period}}
	}
	mem := func(limit uint64) model.ContainerSpec {
		return model.ContainerSpec{HasMemory: true, Memory: model.MemorySpec{Limit: limit}}
	}
	f(cpu(50000, 100000), "cpu_limit_cores=0.5")
	f(cpu(0, 100000), "")
	f(cpu(math.MaxUint64, 100000), "")
	f(cpu(50000, 0), "")
	f(mem(1<<30), "memory_limit_bytes=1.073741824e+09")
	f(mem(9223372036854771712), "")
	f(mem(math.MaxUint64), "")
	f(mem(0), "")
}

func TestReasons(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if got := reasonOf(err); got != want {
			t.Errorf("reasonOf(%v) = %q, want %q", err, got, want)
		}
	}
	f(fmt.Errorf("x: %w", fs.ErrNotExist), "gone")
	f(&fs.PathError{Op: "read", Path: "memory.stat", Err: syscall.ENODEV}, "gone")
	f(errGone, "gone")
	f(errors.New("error while statting cgroup v2: [open x: no such device]"), "gone")
	f(&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "permission")
	f(errors.New(`unable to parse "a": malformed line`), "parse")
	f(&fs.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}, "descriptors")
	f(errors.New("error while statting cgroup v2: [open x: too many open files]"), "descriptors")
	f(syscall.EIO, "io")
}

func TestCPUTime(t *testing.T) {
	f := func(stat string, all, user, system float64, dropped ...string) {
		t.Helper()
		got, reasons := rowsOf(t, map[string]string{"stat": stat}, func(b *builder, host procfs.FS) { b.usage(host, t.TempDir()) })
		want := map[metric.ID]float64{metric.CPUUsage: all / 100, metric.CPUUser: user / 100, metric.CPUSystem: system / 100}
		for id, v := range want {
			if got[id] != v && len(dropped) == 0 {
				t.Errorf("%q: %s is %v, want %v", stat, metric.Get(id).Name, got[id], v)
			} else if _, ok := got[id]; ok && len(dropped) > 0 {
				t.Errorf("%q: %s is %v, want none", stat, metric.Get(id).Name, got[id])
			}
		}
		if want := append(dropped, "gone"); !slices.Equal(reasons, want) { // there is no meminfo
			t.Errorf("%q: dropped %q, want %q", stat, reasons, want)
		}
	}
	f("cpu  10 1 20 1000 50 2 3 4 9 9\ncpu0 1 2 3 4\n", 40, 11, 25)
	f("cpu  10 1 20 1000\ncpu0 1 2 3 4\n", 31, 11, 20)
	f("cpu  7 1 13 1000 50 1 1 11 9 9\ncpu0 1 2 3 4\n", 34, 8, 15) // as fractions they do not add up to this
	f("cpu  4757812345678 9204 1039067890123 73135 411 0 288 73 0 0\ncpu0 1 2 3 4\n", 4757812345678+9204+1039067890123+288+73,
		4757812345678+9204, 1039067890123+288)
	f("cpu x 1 2 3 4\ncpu0 1 2 3 4\n", 0, 0, 0, "parse")
	f("btime 1\n", 0, 0, 0, "parse")
	f("", 0, 0, 0, "parse")
}

func TestMeminfo(t *testing.T) {
	f := func(meminfo string, want map[metric.ID]float64, dropped ...string) {
		t.Helper()
		got, reasons := rowsOf(t, map[string]string{"meminfo": meminfo}, func(b *builder, host procfs.FS) {
			if m, err := host.Meminfo(); err == nil {
				b.meminfo(&m)
			}
		})
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%q (-got +want):\n%s", meminfo, d)
		}
		if !slices.Equal(reasons, dropped) {
			t.Errorf("%q: dropped %q, want %q", meminfo, reasons, dropped)
		}
	}
	f("MemTotal: 100 kB\nMemFree: 40 kB\nBuffers: 3 kB\nCached: 5 kB\nInactive(file): 10 kB\nAnonPages: 7 kB\nSwapTotal: 9 kB\nSwapFree: 1 kB\n",
		map[metric.ID]float64{metric.MemoryUsage: 60 << 10, metric.MemoryWorkingSet: 50 << 10, metric.MemoryRSS: 7 << 10,
			metric.MemoryCache: 8 << 10, metric.MemorySwap: 8 << 10})
	f("MemTotal: 100 kB\nMemFree: 40 kB\nInactive(file): 70 kB\n", map[metric.ID]float64{metric.MemoryUsage: 60 << 10,
		metric.MemoryWorkingSet: 0, metric.MemoryRSS: 0, metric.MemoryCache: 0, metric.MemorySwap: 0})
	f("MemTotal: 100 kB\nMemFree: 101 kB\n", map[metric.ID]float64{}, "parse")
	f("MemFree: 1 kB\n", map[metric.ID]float64{}, "parse")
}

// rowsOf gives what is read of a /proc with these files, and the reasons of what is dropped.
func rowsOf(t *testing.T, files map[string]string, read func(*builder, procfs.FS)) (rows map[metric.ID]float64, reasons []string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, err := procfs.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{drop: func(reason string) { reasons = append(reasons, reason) }}
	read(b, host)
	rows = map[metric.ID]float64{}
	for _, p := range b.points {
		rows[p.ID] = p.V
	}
	return rows, reasons
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"0.20 0.18 0.12 1/80 11206", "NaN Inf -1 1/80", "pgfault 12\noom_kill 99999999999999999999\n", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := &builder{drop: func(string) {}}
		if load, threads, ok := parseLoad(string(in)); ok {
			b.add(metric.LoadAverage1m, "", load)
			b.count(metric.Threads, "", threads)
		}
		b.vmstat(in)
		for _, p := range b.points {
			if bad(p.ID, p.V) != "" {
				t.Errorf("%q gave %v", in, p)
			}
		}
	})
}

func TestOptions(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want an error with %q", err, want)
		}
	}
	f(Options{}, "namer")
	f(Options{Namer: &leaves{}, Interval: -1}, "negative")
	reg := prometheus.NewRegistry()
	if _, err := New(Options{Namer: &leaves{}, Registerer: reg}); err != nil {
		t.Errorf("New: %v", err)
	}
	f(Options{Namer: &leaves{}, Registerer: reg}, "register")
}

// inNode are the cgroups of pods that are in their node's network.
type inNode map[string]bool

func (n inNode) HostNetwork(path string) bool { return n[path] }

// A network is told once, by the first container in it, and the node's by none: be it that of process 1, or of a node that is a container itself.
func TestWhoseNetwork(t *testing.T) {
	own := os.Getpid()
	r := &Reader{opt: Options{Networks: inNode{"/host": true}}, netOwner: map[uint64]string{}, proc: procs{netOwn: 1}}
	f := func(what, path string, pids []int, want int) {
		t.Helper()
		if got := r.network(&target{path: path}, pids); got != want {
			t.Errorf("%s: got process %d, want %d", what, got, want)
		}
	}
	f("of a pod in the node's network", "/host", []int{own}, 0)
	f("the first in another network", "/a", []int{own, 1}, own)
	f("the same again", "/a", []int{own}, own)
	f("another in it", "/b", []int{own}, 0)
	f("nobody in it", "/c", nil, 0)
	r.netOwner = map[uint64]string{12345: "/a"}
	f("in another one since it was restarted", "/a", []int{own}, own)
	if _, there := r.netOwner[12345]; there { // the kernel gives the number to somebody else
		t.Errorf("it has two networks: %v", r.netOwner)
	}
	r.opt.Networks, r.netOwner = nil, map[uint64]string{}
	f("nobody knows of pods", "/host", []int{own}, own)
	r.proc.netOwn = netns(own)
	f("in process 1's", "/a", []int{own}, 0)
}
