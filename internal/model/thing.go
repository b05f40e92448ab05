package model

import (
	"cmp"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Kind is a kind of thing that Heapster has metrics of.
type Kind uint8

// The kinds. A node's system containers are systemd's units and plain cgroups; what else runs is in a pod.
const (
	Cluster Kind = iota
	Node
	SystemContainer
	Namespace
	Pod
	PodContainer
)

// String is the value of Heapster's label type.
func (k Kind) String() string {
	return [...]string{"cluster", "node", "sys_container", "ns", "pod", "pod_container"}[k]
}

// SystemKinds are the kinds of workload whose containers are system containers, as an RE2 expression. The kind is used
// rather than the runtime because the history knows it too.
const SystemKinds = "Unit|Cgroup"

// System says whether an entity is a system container, or of one: such are in no pod, no namespace and not in the cluster's sums.
func System(e *metric.Entity) bool { return e.WorkloadKind == "Unit" || e.WorkloadKind == "Cgroup" }

// SystemName is the name of a system container, which no other on its node has: its unit, or its path without the leading slash; of a user's unit with the
// user's namespace before it, as user-1000/foo.service.
func SystemName(e *metric.Entity) string {
	return SystemNameIn(e.Namespace, cmp.Or(e.Pod, e.Container))
}

// SystemNameIn is SystemName of a pod in a namespace. A name of the machine's own whose path begins as a namespace does has its namespace too.
func SystemNameIn(namespace, pod string) string {
	if first, _, cut := strings.Cut(pod, "/"); userSpace(namespace) || cut && systemSpace(first) {
		return namespace + "/" + pod
	}
	return pod
}

// SystemPod is the pod of a system container's name, and its namespace; where the name has none, that is any but a user's.
func SystemPod(name string) (namespace, pod string) {
	if first, rest, cut := strings.Cut(name, "/"); cut && rest != "" && systemSpace(first) {
		return first, rest
	}
	return "", name
}

// UserSpaces are the namespaces of users' units, as an RE2 expression.
const UserSpaces = `user-[0-9]+(@node)?`

// userSpace says whether a namespace is that of a user's units.
func userSpace(namespace string) bool {
	id, ok := strings.CutPrefix(strings.TrimSuffix(namespace, "@node"), "user-")
	return ok && id != "" && strings.Trim(id, "0123456789") == ""
}

// systemSpace says whether a namespace is one of system containers.
func systemSpace(namespace string) bool {
	of := strings.TrimSuffix(namespace, "@node")
	return of == "system" || of == "cgroup" || userSpace(namespace)
}

// VirtualInterfaces are those of a machine whose traffic passes a real interface too, or never leaves the machine. It
// is an RE2 expression for the history; Inner says the same of one name.
const VirtualInterfaces = `lo|.*\..*|(` + virtualPrefixes + `).*`

const virtualPrefixes = "veth|docker|br-|cni|flannel|cali|virbr|vnet|vmnet|podman|lxc|nerdctl|kube-|" +
	"dummy|ifb|bond|team|tun|tap|wg|vxlan|gre|sit|ip6tnl"

// Inner says whether an interface is not counted: of a machine the virtual ones, in a container only its loopback.
func Inner(iface string, k Kind) bool {
	if k != Node || iface == "lo" {
		return iface == "lo"
	}
	if strings.Contains(iface, ".") {
		return true
	}
	for p := range strings.SplitSeq(virtualPrefixes, "|") {
		if strings.HasPrefix(iface, p) {
			return true
		}
	}
	return false
}
