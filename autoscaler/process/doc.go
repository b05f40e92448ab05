// Package process runs services as local processes, so that one machine has something to scale: each
// service is a command, run as N replicas named NAME-1 to NAME-N.
//
// A new replica takes the lowest number that is free; going down removes the highest numbers. A replica
// that ends is started again with an exponential back-off. A replica that has to go gets SIGTERM (its whole
// process group does), and what is left of it after the service's drain time gets SIGKILL.
//
// Where the host lets us, each replica lives in a cgroup of its own,
// /plimsoll-NUMBER/NAMESPACE/SERVICE/REPLICA, which carries its requests and limits and from whose path the
// collector names it. Elsewhere a replica is its process group and whatever carries its mark in the
// environment, and has no limits.
//
// Everything ends when Plimsoll ends, however it ends: the replicas are killed by the kernel when their
// parent dies, and a guard process (this binary under another name) then kills what they left behind and
// removes the cgroups. Cgroups of a Plimsoll that died together with its guard are cleared at the next
// start. Nothing is killed that is not in a cgroup we made or does not carry our mark.
package process
