package cadvisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/collector/host"
)

// These are what the tests on real cgroups share: on this machine's own (v1, or v2 where it has that) and in the
// virtual machine.

// cg is a cgroup made by a test, in all hierarchies that are read.
type cg struct {
	tree *tree
	path string
}

// newCgroup makes a cgroup that is removed with everything in it when the test ends.
func newCgroup(t testing.TB, name string) cg {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the test makes cgroups")
	}
	tr, err := newTree(host.Host{})
	if err != nil {
		t.Skipf("needs cgroups: %v", err)
	}
	g := cg{tr, fmt.Sprintf("/plimsolltest-%s-%d", name, os.Getpid())}
	t.Cleanup(func() { g.remove(t) })
	g.make(t)
	if tr.v2 {
		write(t, tr.mounts[""]+g.path+"/cgroup.subtree_control", "+cpu +memory +io +pids")
	}
	return g
}

func (g cg) make(t testing.TB) {
	t.Helper()
	for _, m := range g.tree.mounts {
		if err := os.Mkdir(m+g.path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
}

func (g cg) child(t testing.TB, name string) cg {
	t.Helper()
	c := cg{g.tree, g.path + "/" + name}
	c.make(t)
	return c
}

// remove kills what is in the cgroup and those below it, and removes them.
func (g cg) remove(t testing.TB) {
	t.Helper()
	for _, m := range g.tree.mounts {
		var dirs []string
		_ = filepath.WalkDir(m+g.path, func(p string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, p)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			var err error
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				if err = syscall.Rmdir(dirs[i]); err != syscall.EBUSY {
					break
				}
			}
			if err != nil && err != syscall.ENOENT {
				t.Errorf("cannot remove %q: %v", dirs[i], err)
			}
		}
	}
}

// dir is the cgroup's directory in the hierarchy of a controller.
func (g cg) dir(controller string) string {
	if g.tree.v2 {
		controller = ""
	}
	return g.tree.mounts[controller] + g.path
}

// run starts a shell that joins the cgroup and becomes the command. It is killed when the test ends.
func (g cg) run(t testing.TB, command string) *exec.Cmd {
	t.Helper()
	var script strings.Builder
	for _, m := range g.tree.mounts {
		fmt.Fprintf(&script, "echo $$ >%s%s/cgroup.procs && ", m, g.path)
	}
	cmd := exec.Command("sh", "-c", script.String()+"{ "+command+"; }")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_, _ = cmd.Process.Wait()
	})
	return cmd
}

func write(t testing.TB, file, value string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// selfSeconds is the CPU time of this process.
func selfSeconds(t testing.TB) float64 {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func until(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func residentMiB() float64 {
	data, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 64)
			return kb / 1024
		}
	}
	return 0
}
