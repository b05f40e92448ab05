package cgroup

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/metric"
)

// The fake trees in this file stand for what a real kernel cannot be made to write: garbage. Everything else is
// tested on real cgroups.

func counted(t *testing.T, r *Reader, why reason) float64 {
	t.Helper()
	return testutil.ToFloat64(r.own.byReason[why])
}

func gathered(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	return testutil.ToFloat64(c)
}

// fake is a made-up machine with one container, /app/c.
type fake struct{ root, proc string }

func newFake(t *testing.T, files map[string]string) fake {
	t.Helper()
	f := fake{filepath.Join(t.TempDir(), "cgroup"), filepath.Join(t.TempDir(), "proc")}
	f.write(t, f.proc, "stat", "cpu  100 0 50 1000 10 0 0 0 0 0\nbtime 1700000000\n")
	f.write(t, f.proc, "meminfo", "MemTotal:  1000 kB\nMemFree:  400 kB\nInactive(file):  100 kB\n")
	f.write(t, f.proc, "pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\n")
	for name, text := range files {
		f.write(t, f.root, name, text)
	}
	return f
}

func (f fake) write(t *testing.T, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f fake) reader(t *testing.T) *Reader {
	t.Helper()
	return newReader(t, "/app", func(o *Options) { o.Host.Cgroups, o.Host.Proc = f.root, f.proc })
}

func v2Tree() map[string]string {
	return map[string]string{
		"cgroup.controllers":   "cpu memory\n",
		"app/c/cpu.stat":       cpuStatV2,
		"app/c/memory.current": "1000\n",
		"app/c/memory.stat":    "anon 1\ninactive_file 300\n",
	}
}

func v1Tree() map[string]string {
	return map[string]string{
		"cpuacct/app/c/cpuacct.usage":        "2500000000\n",
		"cpu/app/c/cpu.stat":                 "nr_periods 4\nnr_throttled 2\nthrottled_time 500000000\n",
		"memory/app/c/memory.usage_in_bytes": "1000\n",
		"memory/app/c/memory.stat":           "cache 1\ninactive_file 1\ntotal_inactive_file 300\n",
	}
}

func values(g *metric.Group) map[string]float64 {
	if g == nil {
		return nil
	}
	out := map[string]float64{}
	for _, p := range g.Points {
		out[metric.Get(p.ID).Field] = p.V
	}
	return out
}

func TestValues(t *testing.T) {
	f := func(name string, tree map[string]string, want map[string]float64) {
		t.Helper()
		r := newFake(t, tree).reader(t)
		b := r.Read(time.Now())
		if d := cmp.Diff(want, values(find(b, "/app/c"))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		node := map[string]float64{"cpu_usage_seconds_total": 1.5, "memory_usage_bytes": 600 << 10, "memory_working_set_bytes": 500 << 10,
			"pressure_cpu_waiting_seconds_total": 2}
		if d := cmp.Diff(node, values(find(b, "/"))); d != "" {
			t.Errorf("%s, node: %s", name, d)
		}
		if !b.Fast || b.Node != "n" || len(b.Gaps) != 0 || !find(b, "/").Start.Equal(time.Unix(1700000000, 0)) {
			t.Errorf("%s: got %+v", name, b)
		}
	}
	memory := func(m map[string]float64) map[string]float64 {
		m["memory_usage_bytes"], m["memory_working_set_bytes"] = 1000, 700
		return m
	}
	f("v2", v2Tree(), memory(map[string]float64{"cpu_usage_seconds_total": 5.130419, "cpu_cfs_periods_total": 12,
		"cpu_cfs_throttled_periods_total": 11, "cpu_cfs_throttled_seconds_total": 0.853}))
	f("v1", v1Tree(), memory(map[string]float64{"cpu_usage_seconds_total": 2.5, "cpu_cfs_periods_total": 4,
		"cpu_cfs_throttled_periods_total": 2, "cpu_cfs_throttled_seconds_total": 0.5}))
	unlimited := v1Tree()
	unlimited["cpu/app/c/cpu.stat"] = "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"
	f("v1 without a limit", unlimited, memory(map[string]float64{"cpu_usage_seconds_total": 2.5}))
	bare := v2Tree()
	delete(bare, "app/c/memory.current")
	delete(bare, "app/c/memory.stat")
	bare["app/c/cpu.stat"] = "usage_usec 7000000\nuser_usec 1\nsystem_usec 1\n"
	f("v2 without controllers", bare, map[string]float64{"cpu_usage_seconds_total": 7})
	more := v2Tree()
	more["app/c/memory.stat"] = "inactive_file 5000\n"
	f("more inactive than used", more, map[string]float64{"cpu_usage_seconds_total": 5.130419, "cpu_cfs_periods_total": 12,
		"cpu_cfs_throttled_periods_total": 11, "cpu_cfs_throttled_seconds_total": 0.853, "memory_usage_bytes": 1000, "memory_working_set_bytes": 0})
}

// A wrong value costs that one sample, is counted, and is a gap when nothing is left.
func TestWrongValues(t *testing.T) {
	f := func(file, text string, why reason, count int, gap bool, left ...string) {
		t.Helper()
		tree := v2Tree()
		tree[file] = text
		r := newFake(t, tree).reader(t)
		b := r.Read(time.Now())
		got := values(find(b, "/app/c"))
		for _, field := range left {
			if _, ok := got[field]; !ok {
				t.Errorf("%s %q: %s is missing", file, text, field)
			}
		}
		if len(got) != len(left) {
			t.Errorf("%s %q: got %v, want %v", file, text, got, left)
		}
		if n := counted(t, r, why); n != float64(count) {
			t.Errorf("%s %q: got %v counted as %q, want %d", file, text, n, why, count)
		}
		if (len(b.Gaps) == 1) != gap || gap && b.Gaps[0].Reason != why.String() {
			t.Errorf("%s %q: got gaps %v", file, text, b.Gaps)
		}
		if find(b, "/") == nil {
			t.Errorf("%s %q: the node is missing", file, text)
		}
		if u := r.Unreadable(); len(u) != 1 || u[0].Reason != why.String() || u[0].Count != 1 || !strings.HasSuffix(u[0].Example, file) {
			t.Errorf("%s %q: got %+v", file, text, u)
		}
	}
	const cpu, periods, throttled, seconds = "cpu_usage_seconds_total", "cpu_cfs_periods_total", "cpu_cfs_throttled_periods_total", "cpu_cfs_throttled_seconds_total"
	const usage, set = "memory_usage_bytes", "memory_working_set_bytes"
	f("app/c/cpu.stat", "", parse, 1, false, usage, set)
	f("app/c/cpu.stat", "usage_usec x\n", parse, 1, false, usage, set)
	f("app/c/cpu.stat", "usage_usec 5\nnr_periods 1\nnr_throttled y\n", parse, 1, false, usage, set, cpu)
	f("app/c/cpu.stat", "usage_usec 18446744073709551615\n", overflow, 1, false, usage, set)
	f("app/c/memory.current", "\x00\xff", parse, 1, false, cpu, periods, throttled, seconds)
	f("app/c/memory.current", "-4096\n", overflow, 1, false, cpu, periods, throttled, seconds)
	f("app/c/memory.stat", "nothing\n", parse, 1, false, cpu, periods, throttled, seconds, usage)
	f("app/c/memory.stat", strings.Repeat("x 1\n", 10000), parse, 1, false, cpu, periods, throttled, seconds, usage)
}

func TestNothingLeftIsAGap(t *testing.T) {
	f := newFake(t, map[string]string{"cgroup.controllers": "cpu\n", "app/c/cpu.stat": "garbage\n"})
	r := f.reader(t)
	b := r.Read(time.Now())
	if len(b.Gaps) != 1 || b.Gaps[0].Reason != "parse" || b.Gaps[0].Entity.ID != "/app/c" || find(b, "/app/c") != nil {
		t.Errorf("got gaps %v", b.Gaps)
	}
	f.write(t, f.root, "app/c/cpu.stat", "usage_usec 1000000\n")
	if b = r.Read(time.Now()); len(b.Gaps) != 0 || find(b, "/app/c") == nil || len(r.Unreadable()) != 0 {
		t.Errorf("repaired: got gaps %v", b.Gaps)
	}
}

// A cgroup that is there and has none of the files, from its beginning or since its controllers were taken from it, has not ended.
func TestNoFilesIsAGap(t *testing.T) {
	for name, tree := range map[string]map[string]string{"v1": v1Tree(), "v2": v2Tree()} {
		f := newFake(t, tree)
		f.write(t, f.root, strings.SplitN(slices.Min(slices.Collect(maps.Keys(tree))), "app", 2)[0]+"app/bare/other", "1\n")
		r, at := f.reader(t), time.Now()
		said := func(path, want string) {
			t.Helper()
			b := r.Read(at)
			at = at.Add(time.Second)
			i := slices.IndexFunc(b.Gaps, func(g metric.Gap) bool { return g.Entity.ID == path })
			if got := ""; i >= 0 {
				got = b.Gaps[i].Reason
				if got != want || !strings.Contains(b.Gaps[i].Detail, "is there") {
					t.Errorf("%s: %s: got %+v, want %q", name, path, b.Gaps[i], want)
				}
			} else if got != want {
				t.Errorf("%s: nothing is said of %s, want %q", name, path, want)
			}
		}
		said("/app/bare", "")
		said("/app/bare", metric.GapUnaccounted)
		said("/app/c", "")
		for file := range tree {
			if strings.Contains(file, "app/c/") {
				if err := os.Remove(filepath.Join(f.root, file)); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.mu.Lock()
		for i := range r.members.byPath["/app/c"].files { // the kernel answers ENODEV then, which no other file system does
			r.members.opener.close(&r.members.byPath["/app/c"].files[i])
		}
		r.mu.Unlock()
		said("/app/c", "")
		said("/app/c", metric.GapUnaccounted)
	}
}

func TestNodeFaults(t *testing.T) {
	f := newFake(t, v2Tree())
	f.write(t, f.proc, "stat", "intr 5\n")
	if err := os.Remove(filepath.Join(f.proc, "meminfo")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(f.proc, "pressure")); err != nil {
		t.Fatal(err)
	}
	r := f.reader(t)
	b := r.Read(time.Now())
	if find(b, "/") != nil || len(b.Gaps) != 1 || b.Gaps[0].Entity.Level != metric.Node || find(b, "/app/c") == nil {
		t.Errorf("got %+v, gaps %v", b.Groups, b.Gaps)
	}
	if counted(t, r, parse) != 1 || counted(t, r, gone) != 1 {
		t.Errorf("got %v parse, %v gone", counted(t, r, parse), counted(t, r, gone))
	}
}

func TestClockStep(t *testing.T) {
	r := newFake(t, v2Tree()).reader(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := func(now time.Time, groups, gaps int) {
		t.Helper()
		b := r.Read(now)
		if len(b.Groups) != groups || len(b.Gaps) != gaps {
			t.Errorf("at %v: got %d groups, gaps %v", now, len(b.Groups), b.Gaps)
		}
		for _, g := range b.Gaps {
			if g.Reason != "clock" {
				t.Errorf("got gap %v", g)
			}
		}
		for _, g := range b.Groups {
			for _, p := range g.Points {
				if d := p.T - now.UnixMilli(); d < 0 || d > 1000 {
					t.Errorf("a point is %d ms after the tick", d)
				}
			}
		}
	}
	f(now, 2, 0)
	f(now.Add(time.Second), 2, 0)
	f(now.Add(-time.Hour), 0, 2)
	f(now.Add(-time.Hour+time.Second), 2, 0)
	f(now.Add(-time.Hour+time.Second), 0, 2)
	if got := counted(t, r, clock); got != 4 {
		t.Errorf("got %v counted, want 4", got)
	}
}

// A batch is not touched again.
func TestBatchIsTheCallers(t *testing.T) {
	f := newFake(t, v2Tree())
	r := f.reader(t)
	first := r.Read(time.Now())
	want := values(find(first, "/app/c"))
	f.write(t, f.root, "app/c/memory.current", "5\n")
	for range 3 {
		r.Read(time.Now())
	}
	if d := cmp.Diff(want, values(find(first, "/app/c"))); d != "" {
		t.Error(d)
	}
}

func TestClose(t *testing.T) {
	r := newFake(t, v2Tree()).reader(t)
	before := descriptorsOpen(t)
	r.Read(time.Now())
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if after := descriptorsOpen(t); after != before {
		t.Errorf("got %d descriptors, before %d", after, before)
	}
	if b := r.Read(time.Now()); len(b.Groups) != 0 {
		t.Errorf("after Close: got %+v", b)
	}
}

// Where the process may open few files, the reader opens its own for each read, and leaves them to the rest.
func TestBudgetLeavesSomeToTheRest(t *testing.T) {
	f := func(limit uint64, want int) {
		t.Helper()
		if got := budgetOf(limit); got != want {
			t.Errorf("of %d: got %d, want %d", limit, got, want)
		}
	}
	f(64, 0)
	f(256, 128)
	f(1024, 768)
	f(1<<63, 786432)
}

func TestOptions(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	n := newNamer("/")
	f(Options{}, "without a namer")
	f(Options{Namer: n, Host: host.Host{Cgroups: "sys"}}, `"sys"`)
	f(Options{Namer: n, Host: host.Host{Cgroups: "/nowhere"}}, `"/nowhere"`)
	reg := prometheus.NewRegistry()
	fk := newFake(t, v2Tree())
	o := Options{Namer: n, Host: host.Host{Cgroups: fk.root}, Registerer: reg}
	if _, err := New(o); err != nil {
		t.Fatal(err)
	}
	f(o, "cannot register")
}

// testRefused runs the reader as nobody, on a cgroup of which one file is closed to others: the rest is read. The
// refusal is a gap, and doctor can say so.
func testRefused(t *testing.T) {
	l := realLayout(t)
	top := newGroup(t, l, "refused")
	top.leaf(t, "open")
	shut := top.leaf(t, "shut")
	for _, h := range l.hierarchies {
		for _, k := range h.kinds {
			if err := os.Chmod(h.dir+shut.path+"/"+k.String(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestRefusedChild$", "-test.v")
	cmd.Env = append(os.Environ(), "PLIMSOLL_TEST_REFUSED="+top.path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

// TestRefusedChild is the part of testRefused that runs as nobody.
func TestRefusedChild(t *testing.T) {
	path := os.Getenv("PLIMSOLL_TEST_REFUSED")
	if path == "" {
		t.Skip("is run by TestReal/Refused")
	}
	r := newReader(t, path)
	b := r.Read(time.Now())
	for _, id := range []metric.ID{metric.CPUUsage, metric.MemoryUsage, metric.MemoryWorkingSet} {
		if _, ok := value(find(b, path+"/open"), id); !ok {
			t.Errorf("open: %s is missing", metric.Get(id).Name)
		}
	}
	if _, ok := value(find(b, "/"), metric.CPUUsage); !ok {
		t.Error("the node's CPU time is missing")
	}
	if len(b.Gaps) != 1 || b.Gaps[0].Reason != "permission" || b.Gaps[0].Entity.ID != path+"/shut" {
		t.Errorf("got gaps %v", b.Gaps)
	}
	u := r.Unreadable()
	if len(u) == 0 || u[0].Reason != "permission" || u[0].Count != 1 {
		t.Errorf("got %+v", u)
	}
	if counted(t, r, permission) == 0 {
		t.Error("the lost samples are not counted")
	}
}
