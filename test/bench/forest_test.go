package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestKilledBench: what a bench that was killed leaves is taken away by the next one, what one has that runs is not.
func TestKilledBench(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: the test makes cgroups")
	}
	if os.Getenv("PLIMSOLL_KILLED") != "" {
		if _, err := plant(3); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKilledBench$")
	cmd.Env = append(os.Environ(), "PLIMSOLL_KILLED=1")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("it was not killed: %s", out)
	}
	dead := &forest{name: prefix + strconv.Itoa(cmd.Process.Pid)}
	f, err := plant(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range f.mounts {
		if _, err := os.Stat(filepath.Join(m, dead.name)); err == nil {
			t.Errorf("it is left in %s", m)
		}
	}
	sweep(f.mounts)
	for _, m := range f.mounts {
		if all, _ := filepath.Glob(filepath.Join(m, f.name, "*", "cgroup.procs")); len(all) != 2 {
			t.Errorf("what runs has %d cgroups in %s", len(all), m)
		}
	}
	if err := f.cut(); err != nil {
		t.Error(err)
	}
}
