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
			until(t, time.Minute, "the cgroup is empty", func() bool {
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
	until(t, 2*time.Minute, "the load shows", func() bool {
		r.fast.Read(time.Now())
		return value(find(r.full.Read(time.Now()), name), metric.MemoryUsage) > 30e6
	})
	agree(t, r, name, 0)
	agreeOnNode(t, r)
}

// agree reads the same cgroup with both readers over some seconds and compares. limit, if not 0, is how many cores
// the cgroup may use at most. The readers look one after the other, and on a busy machine much may happen in between: the
// best of several windows counts, as readers that disagree do so in all of them.
func agree(t *testing.T, r *room, name string, limit float64) {
	t.Helper()
	bestOf(t, 6, func() (wrong []string) {
		a, b := look{}, look{}
		until(t, 2*time.Minute, "both readers see it", func() bool { a = r.look(name); return a.full != nil && a.fast != nil })
		until(t, 2*time.Minute, "ten seconds passed", func() bool {
			b = r.look(name)
			return b.full != nil && b.fast != nil && at(b.full)-at(a.full) >= 10_000
		})
		rate := func(from, to *metric.Group) float64 {
			return (value(to, metric.CPUUsage) - value(from, metric.CPUUsage)) / (float64(at(to)-at(from)) / 1e3)
		}
		full, fast := rate(a.full, b.full), rate(a.fast, b.fast)
		t.Logf("%s: %.4f cores by the full reader, %.4f by the fast; working set %.0f and %.0f bytes", name, full, fast,
			value(b.full, metric.MemoryWorkingSet), value(b.fast, metric.MemoryWorkingSet))
		wrong = append(wrong, near("CPU", full, fast, 0.05)...)
		if full < 0.01 || limit > 0 && full > limit*1.3 {
			wrong = append(wrong, fmt.Sprintf("%v cores under load and a limit of %v", full, limit))
		}
		for _, id := range []metric.ID{metric.MemoryUsage, metric.MemoryWorkingSet} {
			wrong = append(wrong, near(metric.Get(id).Name, value(b.full, id), value(b.fast, id), 0.05)...)
		}
		return wrong
	})
}

// agreeOnNode compares what the readers say of the whole machine.
func agreeOnNode(t *testing.T, r *room) {
	t.Helper()
	bestOf(t, 20, func() (wrong []string) {
		l := r.look("//")
		if l.full == nil || l.fast == nil || l.full.Entity != l.fast.Entity || !l.full.Start.Equal(l.fast.Start) {
			t.Fatalf("node: %+v and %+v", l.full, l.fast)
		}
		for _, id := range []metric.ID{metric.CPUUsage, metric.MemoryUsage, metric.MemoryWorkingSet, metric.CPUWaiting} {
			wrong = append(wrong, near("node's "+metric.Get(id).Name, value(l.full, id), value(l.fast, id), 0.05)...)
		}
		return wrong
	})
}

// look is what both readers say of one thing, one right after the other.
type look struct{ full, fast *metric.Group }

func (r *room) look(name string) look {
	return look{find(r.full.Read(time.Now()), name), find(r.fast.Read(time.Now()), name)}
}

// bestOf fails the test with what f found wrong if it finds something each time.
func bestOf(t *testing.T, tries int, f func() []string) {
	t.Helper()
	var wrong []string
	for range tries {
		if wrong = f(); len(wrong) == 0 {
			return
		}
		t.Logf("not this time: %s", strings.Join(wrong, "; "))
	}
	t.Errorf("never in %d tries: %s", tries, strings.Join(wrong, "; "))
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

// near compares two values and says what is wrong; small ones may differ by a mebibyte or a hundredth.
func near(what string, a, b, share float64) []string {
	slack := 0.01
	if math.Max(a, b) > 1<<20 {
		slack = 1 << 20
	}
	if math.Abs(a-b) > math.Max(share*math.Max(a, b), slack) {
		return []string{fmt.Sprintf("%s: %v and %v differ by more than %v %%", what, a, b, share*100)}
	}
	return nil
}
