package cgroup

import (
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/vmtest"
)

// TestVM boots a machine with cgroup v2 and runs the tests on real cgroups in there.
func TestVM(t *testing.T) {
	vmtest.Run(t, vmtest.Options{Run: "^TestInVM", Timeout: 5 * time.Minute})
}

func TestInVMLoad(t *testing.T)      { vmtest.Inside(t); testLoad(t) }
func TestInVMThrottled(t *testing.T) { vmtest.Inside(t); testThrottled(t) }
func TestInVMOOM(t *testing.T)       { vmtest.Inside(t); testOOM(t) }
