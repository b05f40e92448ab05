package cadvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"syscall"
	"testing"

	"github.com/google/cadvisor/lib/model"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

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
	f(syscall.EIO, "io")
}

func TestParseStat(t *testing.T) {
	f := func(in string, want cpuTicks, ok bool) {
		t.Helper()
		got, gotOK := parseStat([]byte(in))
		if got != want || gotOK != ok {
			t.Errorf("parseStat(%q) = %+v, %v, want %+v, %v", in, got, gotOK, want, ok)
		}
	}
	f("cpu  10 1 20 1000 50 2 3 4 9 9\ncpu0 1\n", cpuTicks{all: 40, user: 11, system: 25}, true)
	f("cpu  10 1 20 1000\n", cpuTicks{all: 31, user: 11, system: 20}, true)
	f("cpu0 1 2 3 4\n", cpuTicks{}, false)
	f("cpu x 1 2 3 4\n", cpuTicks{}, false)
	f("", cpuTicks{}, false)
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"some avg10=0.00 avg60=0.00 avg300=0.00 total=123\nfull avg10=0 total=4\n", "0.20 0.18 0.12 1/80 11206",
		"cpu  1 2 3 4 5 6 7 8", "MemTotal: 12 kB\nMemFree: 99999999999999999999 kB\n", "total=", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if some, full, ok := parsePressure(in); !ok && full == 0 && some != 0 {
			t.Errorf("parsePressure(%q) = %v without ok", in, some)
		}
		if load, _, ok := parseLoad(string(in)); ok && bad(metric.LoadAverage1m, load) == "" && load < 0 {
			t.Errorf("parseLoad(%q) = %v", in, load)
		}
		parseStat(in)
		b := &builder{drop: func(string) {}}
		b.meminfo(parseFields(in, 1024))
		b.vmstat(parseFields(in, 1))
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
	f(Options{Namer: &leaves{}, Root: "/host"}, `"/host"`)
	reg := prometheus.NewRegistry()
	if _, err := New(Options{Namer: &leaves{}, Registerer: reg}); err != nil {
		t.Errorf("New: %v", err)
	}
	f(Options{Namer: &leaves{}, Registerer: reg}, "register")
}
