package live

import (
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// unit is one entity of the picture: its names, its place in the tree and its samples.
type unit struct {
	samples // its own; none for a mere roll-up

	gap *cluster.Gap // what a batch said, until a newer sample
	// ptrs are the pointers under which senders know it: the readers of both lanes may have their own.
	ptrs   [3]*metric.Entity
	entity *metric.Entity
	rival  *metric.Entity // the other container of these names that was superseded
	key    identity.Key
	heard  [numLanes]int64 // for a node: the time of the newest sample in its newest batch

	parent  *unit   // nil for the cluster
	node    *unit   // where a pod, or a container without a pod, runs
	members []*unit // a pod's containers, in no order; other units' are in the plan
	count   int32   // how many units have it as their parent or node

	sure    bool // its key's scope is known: some cgroup told it
	dead    bool // not in the picture any more
	dirty   bool // the plan shows it otherwise than it is, or not at all
	planned bool // some plan has it

	// These belong to the walks, not to the lock.
	moved bool  // the plan is about to show it anew
	spot  int32 // its place in the plan
	sum   *rollup
}

// owned says whether some sender knows the unit, that is, whether it is more than a roll-up.
func (u *unit) owned() bool { return u.ptrs[0] != nil || u.ptrs[1] != nil || u.ptrs[2] != nil }

// gone says whether a batch said that the unit does not exist any more.
func (u *unit) gone() bool { return u.gap != nil && u.gap.Reason == metric.GapGone }

// mentioned is when the unit was last heard of, in Unix milliseconds.
func (u *unit) mentioned() int64 {
	t := max(u.newest(), u.first)
	if u.gap != nil {
		t = max(t, unixMilli(u.gap.Since))
	}
	return t
}
