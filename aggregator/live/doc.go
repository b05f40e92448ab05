// Package live is the live picture of the cluster: pure memory, fed with batches, read through snapshots.
// It keeps for each entity the samples of about the last minute, turns counters into rates from the samples'
// own times, rolls containers up to pods, workloads, namespaces, nodes and the cluster, and gives a reason
// for every gap.
//
// # The way of a sample
//
// Picture.Apply (picture.go) has the lock for one batch and hands its groups, one after the other, to Picture.group, where the whole way
// is to be seen:
//
//  1. What cannot be used whatever it is of (no number, from the future, long past) is left out: intake.refuses.
//  2. Whose is it? Senders keep their pointers, so nearly always tree.byPtr knows the unit. Only under a new pointer does tree.admit
//     (admit.go) ask names, cgroup and start: is it a unit that is known otherwise, its successor, or a new one? That one is given
//     its place in the tree (tree.go), below its pod or its workload, which are made as they are needed. When the table is full somebody
//     who sends more has to give a place up for it (share.go).
//  3. Is it news? samples.advance (samples.go) refuses what is older than what the lane has brought, tells a restart and a clock that was
//     set back, and follows the sampling interval.
//  4. samples.add finds the row's series, weighs the lanes against one another, notes what a counter has grown by for the next roll-up, and
//     pushes the sample into the series' ring (series.go).
//
// What was left out on the way is counted by reason (metrics.go).
//
// # The way back
//
// A snapshot has a plan (plan.go), the tree in order of name. The builder (build.go) reads the units by it with the lock (gap.go says
// which have no values, and why) and adds them up without (sum.go). What a cluster's pods ask for goes
// before what collectors say of their containers (claims.go). For the history rollup.go counts what counters grow by. The
// autoscaler's questions (usage.go) go to the pods' units directly.
package live
