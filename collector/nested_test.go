package collector_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/vmtest"
)

func TestInVMNested(t *testing.T) { vmtest.Inside(t); testNested(t) }

// TestInVMThreaded: on version 2 the threads of one process may be in several cgroups; all are part of the one that has its memory.
func TestInVMThreaded(t *testing.T) {
	vmtest.Inside(t)
	top := "/plimsolltest-threaded"
	stop := start(t, top+"/web", "exec dd if=/dev/zero of=/dev/null bs=50M 2>/dev/null")
	part := cgroupRoots()[0] + top + "/web/part"
	makeCgroup(t, part)
	t.Cleanup(stop) // before the part is removed
	var pid []byte
	until(t, time.Minute, "the process is in its cgroup", func() (in bool) {
		var err error
		if pid, err = os.ReadFile(cgroupRoots()[0] + top + "/web/cgroup.procs"); err != nil {
			t.Fatal(err)
		}
		return len(pid) > 0
	})
	for _, set := range [][2]string{{"cgroup.type", "threaded"}, {"cgroup.threads", strings.TrimSpace(string(pid))}} {
		if err := os.WriteFile(part+"/"+set[0], []byte(set[1]), 0); err != nil {
			t.Fatal(err)
		}
	}
	r := newRoom(t)
	until(t, 2*time.Minute, "the load shows", func() bool {
		l := r.look("cgroup/" + top[1:] + "/" + top[1:] + "/web")
		if l := r.look("cgroup/" + top[1:] + "/web/" + top[1:] + "/web/part"); l.full != nil || l.fast != nil {
			t.Fatalf("the part has a row: %+v", l)
		}
		return value(l.full, metric.MemoryUsage) > 50e6 && value(l.fast, metric.MemoryUsage) > 50e6
	})
}

// TestNested: a cgroup that holds processes itself is one container with all that is made in it, to both readers.
func TestNested(t *testing.T) { testNested(t) }

func testNested(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: the test makes cgroups")
	}
	top := fmt.Sprintf("/plimsolltest-nested-%d", os.Getpid())
	web, inner := top+"/web", top+"/web/inner"
	load := start(t, web, "exec dd if=/dev/zero of=/dev/null bs=50M 2>/dev/null")
	r := newRoom(t)
	name := "cgroup/" + top[1:] + "/" + web[1:]
	until(t, 2*time.Minute, "the load shows", func() bool {
		r.fast.Read(time.Now())
		return value(find(r.full.Read(time.Now()), name), metric.MemoryUsage) > 50e6
	})
	other := start(t, inner, "exec dd if=/dev/zero of=/dev/null bs=20M 2>/dev/null")
	until(t, 2*time.Minute, "both loads are in one row", func() bool {
		l := r.look(name)
		if l.full == nil || l.fast == nil {
			t.Fatalf("the row has ended: %+v", l)
		}
		if l := r.look("cgroup/" + web[1:] + "/" + inner[1:]); l.full != nil || l.fast != nil {
			t.Fatalf("what is below has a row too: %+v", l)
		}
		return value(l.full, metric.MemoryUsage) > 70e6 && value(l.fast, metric.MemoryUsage) > 70e6
	})
	other()
	if l := r.look(name); l.full == nil || l.fast == nil {
		t.Errorf("the row has ended with what was below: %+v", l)
	}
	load()
}

// start runs a command in a cgroup that it makes in every hierarchy, until the test ends or the function is called.
func start(t *testing.T, path, command string) (stop func()) {
	t.Helper()
	var join strings.Builder
	for _, root := range cgroupRoots() {
		for i := range path {
			if i > 0 && path[i] == '/' {
				makeCgroup(t, root+path[:i])
				_ = os.WriteFile(root+path[:i]+"/cgroup.subtree_control", []byte("+cpu +memory"), 0) // not where it holds processes, nor on version 1
			}
		}
		makeCgroup(t, root+path)
		fmt.Fprintf(&join, "echo $$ >%s%s/cgroup.procs; ", root, path)
	}
	cmd := exec.Command("sh", "-c", join.String()+command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			_ = cmd.Wait()
		}
		stopped = true
	}
	t.Cleanup(stop)
	return stop
}

// makeCgroup makes a cgroup and removes it when the test ends.
func makeCgroup(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); os.IsExist(err) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		until(t, time.Minute, "the cgroup is empty", func() bool {
			err := syscall.Rmdir(dir)
			return err == nil || err == syscall.ENOENT
		})
	})
}
