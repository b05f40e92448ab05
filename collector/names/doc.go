// Package names tells what a cgroup is and gives it the names by which a person knows it: the container
// "shop/web-1", the unit "ssh.service", the replica "demo/web/web-3".
//
// What a cgroup is follows from its path alone (see classify.go), and no two cgroups have one name: docs/decisions/identity.md says by
// which rule. The names, labels and images of Docker's and podman's containers come from the runtimes' sockets: one list and then the event
// stream, followed by Run; so does how often a container was restarted, and whether it will be. Until a socket has told the name, the container
// is not measured, for two seconds; then it is known by its short id; when the name becomes known, the cgroup gets a new Entity. Replicas of
// process services and pods are named by whoever knows them, and are not measured before.
//
// Both readers of the collector share one Names, so that both hand out the same Entity pointer.
package names
