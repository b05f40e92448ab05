package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLeftovers kills a Plimsoll together with its guard, and lets the next one clear up.
func TestLeftovers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: to make cgroups")
	}
	root := ownRoot(t)
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "TEST_ACT=plimsoll", "CGROUPS="+root)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	top := fmt.Sprint(topPrefix, c.Process.Pid)
	mine := func() []string {
		mounts, _, err := findHierarchies(root)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, m := range mounts {
			dirs, _ := filepath.Glob(filepath.Join(m, top))
			found = append(found, dirs...)
		}
		return found
	}
	count := func() int { return len(procsIn(subtree(mine()))) }
	eventually(t, "three families of 7", func() bool { return count() == 21 })
	if cleared, err := clearLeftovers(root); err != nil || len(cleared) != 0 {
		t.Fatalf("a living Plimsoll was cleared: %v, %v", cleared, err)
	}
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, n := range names {
		line, _ := os.ReadFile(n + "/cmdline")
		stat, _ := os.ReadFile(n + "/stat")
		if string(line) == guardName+"\x00" && strings.Contains(string(stat), fmt.Sprintf(" %d ", c.Process.Pid)) {
			var pid int
			fmt.Sscan(filepath.Base(n), &pid)
			_ = syscall.Kill(pid, syscall.SIGSTOP) // so that it does not get to work
			defer syscall.Kill(pid, syscall.SIGKILL)
			_ = c.Process.Kill()
			_ = c.Wait()
			if cleared, _ := clearLeftovers(root); len(cleared) != 0 {
				t.Errorf("cleared although a guard holds the lock: %v", cleared)
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	eventually(t, "the heads dead", func() bool { return count() == 18 })
	var cleared []string
	eventually(t, "cleared", func() bool {
		var err error
		if cleared, err = clearLeftovers(root); err != nil {
			t.Fatal(err)
		}
		return len(cleared) > 0
	})
	if diff := cmp.Diff([]string{top}, cleared); diff != "" {
		t.Error(diff)
	}
	if left := mine(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// ownRoot makes a root of cgroups that no other Plimsoll on this machine clears of its leftovers.
func ownRoot(t *testing.T) string {
	t.Helper()
	mounts, v2, err := findHierarchies("/sys/fs/cgroup")
	if err != nil {
		t.Skipf("needs cgroups: %v", err)
	}
	name := fmt.Sprintf("plimsolltest-leftovers-%d", os.Getpid())
	root := t.TempDir() // of links to version 1's hierarchies
	for _, m := range mounts {
		dir := filepath.Join(m, name)
		if v2 {
			if err := enableControllers(m); err != nil {
				t.Fatal(err)
			}
			root = dir
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := clearTree([]string{dir}, true); err != nil {
				t.Error(err)
			}
		})
	}
	if v2 {
		return root
	}
	for _, c := range []string{"memory", "cpuacct", "cpu", "pids"} {
		at, err := filepath.EvalSymlinks(filepath.Join("/sys/fs/cgroup", c))
		if err != nil {
			continue // as findHierarchies does without pids
		}
		if err := os.Symlink(filepath.Join(at, name), filepath.Join(root, c)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A process of the same number tells nothing: the first process of every container is 1. What is no tree of replicas is spared.
func TestLeftoversOfAContainer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: to make cgroups")
	}
	root := ownRoot(t)
	mounts, v2, err := findHierarchies(root)
	if err != nil {
		t.Fatal(err)
	}
	c := &cgroups{v2: v2, mounts: mounts}
	start := func(sub string) {
		t.Helper()
		if err := c.mkdirs(sub); err != nil {
			t.Fatal(err)
		}
		p := exec.Command("sleep", "600")
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
		if err := (&cgroup{dirs: c.dirs(sub)}).attach(p.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	start("plimsoll-1/test/web/web-1")
	start("plimsoll-2/other")
	if err := c.mkdirs("plimsoll-3x/test/web/web-1"); err != nil {
		t.Fatal(err)
	}
	cleared, err := clearLeftovers(root)
	if diff := cmp.Diff([]string{"plimsoll-1"}, cleared); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
