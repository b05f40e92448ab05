package process

import (
	"testing"

	"plimsoll.dev/plimsoll/internal/vmtest"
)

// TestVM runs the tests that need cgroups on a real cgroup v2, and on a v1 laid out as systemd does.
func TestVM(t *testing.T) {
	for _, v := range []string{vmtest.CgroupV2, vmtest.CgroupV1} {
		t.Run(v, func(t *testing.T) { vmtest.Run(t, vmtest.Options{Cgroup: v}) })
	}
}

func TestInVM(t *testing.T) {
	vmtest.Inside(t)
	for _, c := range []struct {
		name string
		f    func(*testing.T)
	}{
		{"ScaleUpAndDown", TestScaleUpAndDown}, {"CrashBacksOff", TestCrashBacksOff}, {"DeafReplicaIsKilled", TestDeafReplicaIsKilled},
		{"FamilyEndsWithReplica", TestFamilyEndsWithReplica}, {"Limits", TestLimits}, {"OutOfMemory", TestOutOfMemory},
		{"FiftyReplicas", TestFiftyReplicas}, {"KilledPlimsoll", TestKilledPlimsoll}, {"Leftovers", TestLeftovers}, {"LeftoversOfAContainer", TestLeftoversOfAContainer}, {"RightsAndProcesses", TestRightsAndProcesses}, {"OrphansEndToo", TestOrphansEndToo},
	} {
		t.Run(c.name, c.f)
	}
}
