package cadvisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/vmtest"
)

// TestVM boots a machine with cgroup v2 and runs the tests on real cgroups in there.
func TestVM(t *testing.T) {
	vmtest.Run(t, vmtest.Options{Run: "^TestInVM"})
}

func TestInVMNode(t *testing.T)     { vmtest.Inside(t); testNode(t, false) }
func TestInVMLoad(t *testing.T)     { vmtest.Inside(t); testLoad(t) }
func TestInVMOOM(t *testing.T)      { vmtest.Inside(t); testOOM(t) }
func TestInVMChurn(t *testing.T)    { vmtest.Inside(t); testChurn(t, 100) }
func TestInVMRemade(t *testing.T)   { vmtest.Inside(t); testRemade(t) }
func TestInVMGone(t *testing.T)     { vmtest.Inside(t); testGone(t) }
func TestInVMPressure(t *testing.T) { vmtest.Inside(t); testPressure(t) }

func TestNode(t *testing.T)       { testNode(t, true) }
func TestRealLoad(t *testing.T)   { testLoad(t) }
func TestRealOOM(t *testing.T)    { testOOM(t) }
func TestRealChurn(t *testing.T)  { testChurn(t, 1000) }
func TestRealRemade(t *testing.T) { testRemade(t) }
func TestRealGone(t *testing.T)   { testGone(t) }

// testLoad burns CPU under a limit, holds memory, and looks at every row that this must show.
func testLoad(t *testing.T) {
	g := newCgroup(t, "load")
	c := g.child(t, "busy")
	if g.tree.v2 {
		write(t, c.dir("")+"/memory.max", "200000000")
	} else {
		write(t, c.dir("memory")+"/memory.limit_in_bytes", "200000000")
	}
	c.run(t, "yes >/dev/null & yes >/dev/null & dd if=/dev/zero of=/dev/null bs=20M >/dev/null 2>&1")
	r := newReader(t, g.path)
	path := c.path
	var first, last *metric.Group
	until(t, 2*time.Minute, "the load shows", func() bool {
		first = group(r.Read(time.Now()), path)
		return first != nil && sum(first, metric.CPUUsage) > 0.2 && sum(first, metric.Processes) >= 3 && sum(first, metric.MemoryRSS) > 15e6
	})
	// So low a limit throttles on a busy machine too.
	if g.tree.v2 {
		write(t, c.dir("")+"/cpu.max", "2000 100000")
	} else {
		write(t, c.dir("cpu")+"/cpu.cfs_quota_us", "2000")
	}
	// The kernel keeps the limit on average only: a machine that stalls meanwhile, as an emulated one on a busy host
	// does, overshoots for a while. One window in which it holds shows that the figure is right.
	cores := 0.0
	for range 6 {
		first = group(r.Read(time.Now()), path)
		until(t, 2*time.Minute, "five seconds passed", func() bool {
			last = group(r.Read(time.Now()), path)
			return last != nil && last.Points[0].T-first.Points[0].T >= 5000
		})
		seconds := float64(last.Points[0].T-first.Points[0].T) / 1e3
		cores = (value(t, last, metric.CPUUsage) - value(t, first, metric.CPUUsage)) / seconds
		if cores > 0.005 && cores < 0.035 {
			break
		}
	}
	if cores < 0.005 || cores > 0.035 {
		t.Errorf("%v cores used under a limit of 0.02", cores)
	}
	split := value(t, last, metric.CPUUser) + value(t, last, metric.CPUSystem)
	if all := value(t, last, metric.CPUUsage); split < all*0.7 || split > all*1.1+0.1 {
		t.Errorf("user and system time are %v s, all is %v s", split, all)
	}
	if got := value(t, last, metric.CPULimit); got != 0.02 {
		t.Errorf("CPU limit %v cores, want 0.02", got)
	}
	if got := value(t, last, metric.MemoryLimit); got < 199e6 || got > 201e6 {
		t.Errorf("memory limit %v, want 200,000,000", got)
	}
	if value(t, last, metric.CPUThrottledPeriods) == 0 || value(t, last, metric.CPUThrottled) == 0 ||
		value(t, last, metric.CPUPeriods) < value(t, last, metric.CPUThrottledPeriods) {
		t.Error("the throttling is not told")
	}
	usage := value(t, last, metric.MemoryUsage)
	if usage < 15e6 || usage > 200e6 {
		t.Errorf("memory usage %v with 20 MB held", usage)
	}
	if ws := value(t, last, metric.MemoryWorkingSet); ws > usage || ws < 15e6 {
		t.Errorf("working set %v of %v", ws, usage)
	}
	if value(t, last, metric.MemoryRSS) < 15e6 || value(t, last, metric.MemoryPeak) < usage/2 {
		t.Errorf("rss %v, peak %v with 20 MB held", value(t, last, metric.MemoryRSS), value(t, last, metric.MemoryPeak))
	}
	if value(t, last, metric.MemoryPageFaults) < 100 {
		t.Errorf("%v page faults", value(t, last, metric.MemoryPageFaults))
	}
	if n := value(t, last, metric.Processes); n < 3 || n > 10 {
		t.Errorf("%v processes, want a few", n)
	}
	if value(t, last, metric.Threads) < 3 || value(t, last, metric.FileDescriptors) < 3 {
		t.Errorf("%v threads, %v files", value(t, last, metric.Threads), value(t, last, metric.FileDescriptors))
	}
	if age := time.Since(last.Start); age < 0 || age > 10*time.Minute {
		t.Errorf("the cgroup began %v ago", age)
	}
	if last.Start != first.Start {
		t.Errorf("the start moved from %v to %v", first.Start, last.Start)
	}
	for _, p := range last.Points {
		if !metric.Get(p.ID).Has(metric.Container) {
			t.Errorf("row %q is not of a container", metric.Get(p.ID).Name)
		}
	}
}

// sum adds up a row of a group; 0 if there is none.
func sum(g *metric.Group, id metric.ID) float64 {
	s := 0.0
	for _, p := range g.Points {
		if p.ID == id {
			s += p.V
		}
	}
	return s
}

// testOOM lets a child be killed for its memory while its parent lives on.
func testOOM(t *testing.T) {
	g := newCgroup(t, "oom")
	c := g.child(t, "hog")
	if g.tree.v2 {
		write(t, c.dir("")+"/memory.max", "16000000")
	} else {
		write(t, c.dir("memory")+"/memory.limit_in_bytes", "16000000")
	}
	r := newReader(t, g.path)
	before := r.Read(time.Now())
	c.run(t, "dd if=/dev/zero of=/dev/null bs=256M count=1 >/dev/null 2>&1; sleep 1000")
	until(t, 2*time.Minute, "the kill is counted", func() bool {
		g := group(r.Read(time.Now()), c.path)
		return g != nil && sum(g, metric.OOMKills) >= 1
	})
	a, b := group(before, "/"), group(r.Read(time.Now()), "/")
	if sum(b, metric.OOMKills) <= sum(a, metric.OOMKills) {
		t.Errorf("the node's kills went from %v to %v", sum(a, metric.OOMKills), sum(b, metric.OOMKills))
	}
}

// testChurn makes and removes cgroups while they are read: nothing but gaps with the reason "gone" may come of it.
func testChurn(t *testing.T, n int) {
	g := newCgroup(t, "churn")
	r := newReader(t, g.path)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; i < n && ctx.Err() == nil; i++ {
			for _, m := range g.tree.mounts {
				_ = os.Mkdir(m+g.path+"/c"+strconv.Itoa(i), 0o755)
			}
			if i >= 10 {
				for _, m := range g.tree.mounts {
					_ = syscall.Rmdir(m + g.path + "/c" + strconv.Itoa(i-10))
				}
			}
		}
	}()
	reads, most, gaps := 0, 0, 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		b := r.Read(time.Now())
		reads++
		most = max(most, len(b.Groups)-1)
		for _, x := range b.Gaps {
			gaps++
			if x.Reason != "gone" {
				t.Fatalf("gap %q: %s", x.Reason, x.Detail)
			}
		}
	}
	t.Logf("%d reads, at most %d cgroups at once, %d gaps", reads, most, gaps)
	if len(r.targets) > 11 || most == 0 {
		t.Errorf("%d cgroups are kept, at most %d were seen", len(r.targets), most)
	}
}

// testGone removes a cgroup: the next read says once that it is gone, and nothing of one that was made again by then.
func testGone(t *testing.T) {
	g := newCgroup(t, "gone")
	c := g.child(t, "a")
	r := newReader(t, g.path)
	says := func(what string, want int) {
		t.Helper()
		n := 0
		for _, gap := range r.Read(time.Now()).Gaps {
			if gap.Entity.ID == c.path && gap.Reason == metric.GapGone {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: said %d times to be gone, want %d", what, n, want)
		}
	}
	says("there", 0)
	c.remove(t)
	says("removed", 1)
	says("still not there", 0)
	c.make(t)
	says("there again", 0)
	c.remove(t)
	c.make(t)
	says("made again", 0)
}

// testRemade removes a cgroup and makes it again under the same name between two reads.
func testRemade(t *testing.T) {
	g := newCgroup(t, "remade")
	c := g.child(t, "a")
	r := newReader(t, g.path)
	r.Read(time.Now())
	before := r.targets[c.path]
	c.remove(t)
	c.make(t)
	after := group(r.Read(time.Now()), c.path)
	if after == nil || before == nil {
		t.Fatal("the cgroup is missing")
	}
	if r.targets[c.path] == before {
		t.Error("a cgroup made again passes for the old one")
	}
	if after.Start.Before(before.start) { // the kernel's clock for files is coarse: both may be within one of its ticks
		t.Errorf("the new cgroup began at %v, the old one at %v", after.Start, before.start)
	}
}

// testNode looks at the node's own values; disk says that the machine has one.
func testNode(t *testing.T, disk bool) {
	r := newReader(t, "/none")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	until(t, 2*time.Minute, "the file systems are known", func() bool { return r.disks.Load() != nil })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	b := r.Read(time.Now())
	g := group(b, "/")
	if g == nil || len(b.Gaps) > 0 || g.Start.IsZero() {
		t.Fatalf("node %+v, gaps %+v", g, b.Gaps)
	}
	for _, p := range g.Points {
		if !metric.Get(p.ID).Has(metric.Node) {
			t.Errorf("row %q is not of a node", metric.Get(p.ID).Name)
		}
	}
	seen := map[string]bool{}
	for _, p := range g.Points {
		key := fmt.Sprint(p.ID, p.Sub)
		if seen[key] {
			t.Errorf("row %q is there twice", metric.Get(p.ID).Name+p.Sub)
		}
		seen[key] = true
	}
	capacity := value(t, g, metric.MemoryCapacity)
	type bounds struct {
		id        metric.ID
		low, high float64
	}
	all := []bounds{
		{metric.CPUCapacity, 1, 4096},
		{metric.MemoryCapacity, 64 << 20, 1 << 46},
		{metric.MemoryUsage, 1 << 20, capacity},
		{metric.MemoryWorkingSet, 1 << 20, capacity},
		{metric.CPUUsage, 0.1, 1e9},
		{metric.CPUUser, 0.01, value(t, g, metric.CPUUsage)},
		{metric.LoadAverage1m, 0, 1e5},
		{metric.Processes, 1, 1e6},
		{metric.Threads, 1, 1e6},
		{metric.MemoryPageFaults, 1000, 1e15},
		{metric.StartTime, 1e9, float64(time.Now().Unix())},
	}
	if disk {
		all = append(all, bounds{metric.FilesystemLimit, 1 << 20, 1 << 50},
			bounds{metric.FilesystemUsage, 1 << 10, value(t, g, metric.FilesystemLimit)}, bounds{metric.DiskWrite, 1, 1 << 50})
	}
	for _, c := range all {
		if got := value(t, g, c.id); got < c.low || got > c.high {
			t.Errorf("%s is %v, want between %v and %v", metric.Get(c.id).Name, got, c.low, c.high)
		}
	}
}

// testPressure lets two loads fight for a small share of a CPU on cgroup v2, which accounts their waiting.
func testPressure(t *testing.T) {
	g := newCgroup(t, "pressure")
	c := g.child(t, "fight")
	write(t, c.dir("")+"/cpu.max", "20000 100000")
	c.run(t, "yes >/dev/null & yes >/dev/null & yes >/dev/null")
	r := newReader(t, g.path)
	until(t, 2*time.Minute, "the waiting shows", func() bool {
		g := group(r.Read(time.Now()), c.path)
		return g != nil && sum(g, metric.CPUWaiting) > 0.2
	})
	b := r.Read(time.Now())
	for _, id := range []metric.ID{metric.CPUStalled, metric.MemoryWaiting, metric.MemoryStalled, metric.IOWaiting, metric.IOStalled} {
		value(t, group(b, c.path), id)
		value(t, group(b, "/"), id)
	}
}

// TestNetwork counts what a process in a network namespace of its own sends, once, and not the host's.
func TestNetwork(t *testing.T) {
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("needs unshare: package util-linux")
	}
	g := newCgroup(t, "net")
	own, other, host := g.child(t, "a-own"), g.child(t, "b-other"), g.child(t, "c-host")
	ready := filepath.Join(t.TempDir(), "ready")
	cmd := own.run(t, "exec unshare -n sh -c 'ip link add tst0 type veth peer name tst1 && ip link set tst0 up && touch "+ready+"; sleep 1000'")
	host.run(t, "sleep 1000")
	until(t, 2*time.Minute, "the namespace is there", func() bool { _, err := os.Stat(ready); return err == nil })
	other.run(t, fmt.Sprintf("exec nsenter -t %d -n sleep 1000", cmd.Process.Pid))
	r := newReader(t, g.path)
	interfaces := func(c cg) string {
		var out []string
		if g := group(r.Read(time.Now()), c.path); g != nil {
			for _, p := range g.Points {
				if p.ID == metric.NetworkTransmit {
					out = append(out, p.Sub)
				}
			}
		}
		return strings.Join(out, " ")
	}
	until(t, 2*time.Minute, "the interface shows", func() bool { return strings.Contains(interfaces(own), "tst0") })
	until(t, 2*time.Minute, "the second process is in", func() bool {
		g := group(r.Read(time.Now()), other.path)
		return g != nil && sum(g, metric.Processes) == 1
	})
	if got := interfaces(other); got != "" {
		t.Errorf("a container that shares a network shows %q, counted twice", got)
	}
	if got := interfaces(host); got != "" {
		t.Errorf("a container in the host's network shows %q", got)
	}
}

// TestWithoutRoot reads as nobody: what cannot be read must not be missing without a word.
func TestWithoutRoot(t *testing.T) {
	if os.Getenv("PLIMSOLL_AS_NOBODY") != "" {
		readAsNobody(t)
		return
	}
	g := newCgroup(t, "nobody")
	c := g.child(t, "a")
	c.run(t, "sleep 1000")
	shut := g.child(t, "b")
	if err := os.Chmod(shut.dir("memory")+"/memory.stat", 0); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join("/tmp", fmt.Sprintf("plimsoll-nobody-%d.test", os.Getpid()))
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(bin) })
	if err := os.WriteFile(bin, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-test.run=^TestWithoutRoot$", "-test.v")
	cmd.Dir = "/tmp"
	cmd.Env = append(os.Environ(), "PLIMSOLL_AS_NOBODY="+g.path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func readAsNobody(t *testing.T) {
	prefix := os.Getenv("PLIMSOLL_AS_NOBODY")
	r, err := New(Options{Node: "n1", Namer: &leaves{prefix, nil}, Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		t.Fatal(err)
	}
	b := r.Read(time.Now())
	g := group(b, prefix+"/a")
	if g == nil {
		t.Fatalf("nothing is read; gaps %+v", b.Gaps)
	}
	value(t, g, metric.CPUUsage)
	value(t, g, metric.MemoryWorkingSet)
	value(t, g, metric.Processes)
	value(t, group(b, "/"), metric.CPUUsage)
	r.proc.sized = false // as before Linux 6.2
	if r.Read(time.Now()); r.Closed() == 0 {
		t.Error("nobody says that the open files of root's processes may not be counted")
	}
	if len(b.Gaps) != 1 || b.Gaps[0].Reason != "permission" || b.Gaps[0].Entity.ID != prefix+"/b" {
		t.Errorf("gaps %+v, want one: no permission to read b", b.Gaps)
	}
}
