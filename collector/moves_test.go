package collector_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// TestQuickMoves: a busy process that moves from one cgroup to another and back, and then all of it into a child of its own, within seconds, is in the rows
// that are summed once all the time, and none begins again.
func TestQuickMoves(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: the test makes cgroups")
	}
	top := fmt.Sprintf("plimsolltest-moves-%d", os.Getpid())
	a, b := "/"+top+"-a", "/"+top+"-b"
	stop := start(t, a, "while :; do :; done")
	var pid string
	until(t, time.Minute, "the process is in its cgroup", func() bool {
		in, err := os.ReadFile(cgroupRoots()[0] + a + "/cgroup.procs")
		if err != nil {
			t.Fatal(err)
		}
		pid = strings.TrimSpace(string(in))
		return pid != ""
	})
	for _, root := range cgroupRoots() {
		makeCgroup(t, root+b)
		makeCgroup(t, root+a+"/kid")
	}
	t.Cleanup(stop) // before the other cgroups are removed
	room := newRoom(t)
	last, starts, grown := map[string]float64{}, map[string]time.Time{}, 0.0
	tick := func() {
		time.Sleep(100 * time.Millisecond)
		for _, g := range room.fast.Read(time.Now()).Groups {
			row := g.Entity.Pod
			if !strings.HasPrefix(row, top) {
				continue
			}
			if at, known := starts[row]; known && !at.Equal(g.Start) {
				t.Errorf("%s began at %v and now at %v: it would read as restarted", row, at, g.Start)
			}
			starts[row] = g.Start
			for _, x := range g.Points {
				if was, known := last[row]; x.ID == metric.CPUUsage {
					if last[row] = x.V; known {
						grown += x.V - was
					}
				}
			}
		}
	}
	before := used(t, a) + used(t, b)
	for i, to := range []string{a, b, a, b, a, a + "/kid"} {
		for _, root := range cgroupRoots() {
			if err := os.WriteFile(root+to+"/cgroup.procs", []byte(pid), 0); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			tick()
		}
		want := used(t, a) + used(t, b) - before // of a with what is below it
		// What a row used before its first sample is in none.
		if grown > want+0.02 || grown < want-3*0.25 {
			t.Errorf("move %d, to %s: the rows have grown by %.3f s, the kernel counts %.3f", i, to, grown, want)
		}
	}
}

// used is the CPU time of a cgroup, in seconds.
func used(t *testing.T, path string) float64 {
	t.Helper()
	for _, root := range cgroupRoots() {
		if text, err := os.ReadFile(root + path + "/cpuacct.usage"); err == nil {
			ns, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
			if err != nil {
				t.Fatal(err)
			}
			return ns / 1e9
		}
		if text, err := os.ReadFile(root + path + "/cpu.stat"); err == nil && strings.HasPrefix(string(text), "usage_usec ") {
			us, err := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return us / 1e6
		}
	}
	t.Fatalf("nothing counts the CPU time of %s", path)
	return 0
}
