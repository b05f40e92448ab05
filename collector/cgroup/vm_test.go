package cgroup

import (
	"os"
	"testing"

	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/vmtest"
)

// realTests are the tests on real cgroups. They run on this machine's own, and in a virtual machine on version 2 and on
// version 1 as systemd mounts it, cpu and cpuacct together.
func realTests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"Load":       testLoad,
		"Throttled":  testThrottled,
		"OOM":        testOOM,
		"Churn":      testChurn,
		"Recreate":   testRecreate,
		"Polled":     testPolled,
		"MidRead":    testMidRead,
		"Budget":     testBudget,
		"Exhausted":  testExhausted,
		"Limit":      testLimit,
		"Renamed":    testRenamed,
		"Nested":     testNested,
		"Turned":     testTurned,
		"Refused":    testRefused,
		"Controller": testController,
	}
}

func runReal(t *testing.T) {
	for name, f := range realTests() {
		t.Run(name, f)
	}
}

func TestReal(t *testing.T) { runReal(t) }

// TestVM boots a machine with cgroup v2 and runs the tests on real cgroups in there.
func TestVM(t *testing.T) {
	vmtest.Run(t, vmtest.Options{Run: "^TestInVM"})
}

// TestVM1 does it with cgroup v1.
func TestVM1(t *testing.T) {
	vmtest.Run(t, vmtest.Options{Run: "^TestInVMReal$", Cgroup: vmtest.CgroupV1})
}

func TestInVMReal(t *testing.T) {
	vmtest.Inside(t)
	if info, err := Detect(host.Host{}); err != nil || !info.PSI || info.Version == Hybrid {
		t.Errorf("got %v, %v, want pressure and one version", info, err)
	}
	runReal(t)
}

// The kernel's queue of events runs over: nothing is missed.
func TestInVMLostEvents(t *testing.T) {
	vmtest.Inside(t)
	sysctl(t, "max_queued_events", "16")
	if r := churn(t); gathered(t, r.own.rescans) == 0 {
		t.Error("no events were lost")
	}
}

// The kernel gives only a few watches, or no inotify at all: the rest is polled.
func TestInVMFewWatches(t *testing.T) {
	vmtest.Inside(t)
	sysctl(t, "max_user_watches", "2")
	if r := churn(t); len(r.tree.polled) == 0 || len(r.tree.watch.dirs) == 0 {
		t.Errorf("got %d polled, %d watched, want both", len(r.tree.polled), len(r.tree.watch.dirs))
	}
	testRecreate(t)
}

func TestInVMNoInotify(t *testing.T) {
	vmtest.Inside(t)
	sysctl(t, "max_user_instances", "0")
	if r := churn(t); r.tree.watch != nil {
		t.Error("there is inotify")
	}
	testRecreate(t)
}

// sysctl sets one of the machine's inotify limits until the test ends.
func sysctl(t *testing.T, name, value string) {
	t.Helper()
	file := "/proc/sys/fs/inotify/" + name
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(file, old, 0); err != nil {
			t.Error(err)
		}
	})
}
