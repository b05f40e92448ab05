package autoscaler

import (
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// beside has the speed limits of a policy that raises beside another scaler count what that one changed: from what the count was read as last, or was made
// since, to what it is.
func (t *target) beside(in *policy.Input, owner string, was cluster.DesiredReplicas) {
	is := in.Target.SpecReplicas
	if in.Target.Problem != nil || is == was {
		return
	}
	if t.made > 0 {
		was, t.made = t.made, 0
	}
	if owner != "" && was >= 0 {
		t.state = t.state.Beside(in.Policy, was, is, in.Now)
		in.State = t.state
	}
}
