// Package live is the live picture of the cluster: pure memory, fed with batches, read through snapshots.
// It keeps for each entity the samples of about the last minute, turns counters into rates from the samples'
// own times, rolls containers up to pods, workloads, namespaces, nodes and the cluster, and gives a reason
// for every gap.
//
// A batch goes through Picture.Apply: the tree (admit.go, tree.go) says which unit a group is of, by the rules of identity.go; the unit's
// samples (samples.go, series.go) take its points. A snapshot goes the other way: the plan (plan.go) has the tree in order of name, the
// builder (build.go) reads the units by it and adds them up (sum.go), and for the history rollup.go counts what counters grow by.
package live
