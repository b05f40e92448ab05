package collector_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/vmtest"
)

// TestVM compares the readers on a real cgroup v2.
func TestVM(t *testing.T) {
	vmtest.Run(t, vmtest.Options{Run: "^TestInVM"})
}

func TestInVMReadersAgree(t *testing.T) { vmtest.Inside(t); testAgree(t) }

// TestReadersAgree compares the readers on this machine's cgroups.
func TestReadersAgree(t *testing.T) { testAgree(t) }

func testAgree(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: the test makes cgroups")
	}
	path := fmt.Sprintf("/plimsolltest-agree-%d", os.Getpid())
	var join strings.Builder
	for _, root := range cgroupRoots() {
		if err := os.Mkdir(root+path, 0o755); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
		fmt.Fprintf(&join, "echo $$ >%s%s/cgroup.procs; ", root, path)
		t.Cleanup(func() {
			until(t, 10*time.Second, "the cgroup is empty", func() bool {
				err := syscall.Rmdir(root + path)
				return err == nil || err == syscall.ENOENT
			})
		})
	}
	cmd := exec.Command("sh", "-c", join.String()+"yes >/dev/null & dd if=/dev/zero of=/dev/null bs=30M >/dev/null 2>&1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	r := newRoom(t)
	name := "cgroup/" + path[1:] + "/" + path[1:]
	until(t, 30*time.Second, "the load shows", func() bool {
		r.fast.Read(time.Now())
		return value(find(r.full.Read(time.Now()), name), metric.MemoryUsage) > 30e6
	})
	agree(t, r, name, 0)
	agreeOnNode(t, r)
}

// agree reads the same cgroup with both readers over some seconds and compares. limit, if not 0, is how many cores
// the cgroup may use at most.
func agree(t *testing.T, r *room, name string, limit float64) {
	t.Helper()
	type look struct{ full, fast *metric.Group }
	both := func() look {
		return look{find(r.full.Read(time.Now()), name), find(r.fast.Read(time.Now()), name)}
	}
	a := both()
	var b look
	until(t, time.Minute, "ten seconds passed", func() bool {
		b = both()
		return b.full != nil && b.fast != nil && at(b.full)-at(a.full) >= 10_000
	})
	rate := func(from, to *metric.Group) float64 {
		return (value(to, metric.CPUUsage) - value(from, metric.CPUUsage)) / (float64(at(to)-at(from)) / 1e3)
	}
	full, fast := rate(a.full, b.full), rate(a.fast, b.fast)
	t.Logf("%s: %.4f cores by the full reader, %.4f by the fast; working set %.0f and %.0f bytes", name, full, fast,
		value(b.full, metric.MemoryWorkingSet), value(b.fast, metric.MemoryWorkingSet))
	near(t, "CPU", full, fast, 0.05)
	if full < 0.01 || limit > 0 && full > limit*1.3 {
		t.Errorf("%v cores under load and a limit of %v", full, limit)
	}
	for _, id := range []metric.ID{metric.MemoryUsage, metric.MemoryWorkingSet} {
		near(t, metric.Get(id).Name, value(b.full, id), value(b.fast, id), 0.05)
	}
}

// agreeOnNode compares what the readers say of the whole machine.
func agreeOnNode(t *testing.T, r *room) {
	t.Helper()
	full, fast := find(r.full.Read(time.Now()), "//"), find(r.fast.Read(time.Now()), "//")
	if full == nil || fast == nil || full.Entity != fast.Entity || !full.Start.Equal(fast.Start) {
		t.Fatalf("node: %+v and %+v", full, fast)
	}
	for _, id := range []metric.ID{metric.CPUUsage, metric.MemoryUsage, metric.MemoryWorkingSet, metric.CPUWaiting} {
		near(t, "node's "+metric.Get(id).Name, value(full, id), value(fast, id), 0.05)
	}
}

// at is when a group's CPU usage was read.
func at(g *metric.Group) int64 {
	for _, p := range g.Points {
		if p.ID == metric.CPUUsage {
			return p.T
		}
	}
	return 0
}

// near compares two values; small ones may differ by a mebibyte or a hundredth.
func near(t *testing.T, what string, a, b, share float64) {
	t.Helper()
	slack := 0.01
	if math.Max(a, b) > 1<<20 {
		slack = 1 << 20
	}
	if math.Abs(a-b) > math.Max(share*math.Max(a, b), slack) {
		t.Errorf("%s: %v and %v differ by more than %v %%", what, a, b, share*100)
	}
}
