// Package identity decides what is one thing: the Key that names a thing at one time, whether another under the same key is the same
// thing or its successor, and under which labels its values are kept in the history. The live picture, the wire between machines,
// the stores and what is asked of them share it. It is a leaf. docs/decisions/identity.md says why it is so.
package identity

import (
	"path"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Key names one thing at one time, by its names alone. Kubernetes' pods are unique in the cluster, so their key has no node: the same pod
// on two nodes is one pod, of which the newer start counts. Everything else is unique on its node, and so is what has no cgroup, unless who
// asks knows better (InCluster).
type Key struct {
	Level           metric.Level
	Node, Namespace string
	Of, Name        string // of a container its pod and itself, of a workload its kind and name, of a pod its name in Of, of a pool its name in Name
}

// KeyOf returns the key of an entity.
func KeyOf(e *metric.Entity) Key {
	switch e.Level {
	case metric.Container:
		pod := e.Pod
		if pod == "" {
			pod = e.ID
		}
		return Key{e.Level, scope(e), e.Namespace, pod, e.Container}
	case metric.Pod:
		return Key{e.Level, scope(e), e.Namespace, e.Pod, ""}
	case metric.Workload:
		return Key{e.Level, "", e.Namespace, e.WorkloadKind, e.Workload}
	case metric.Namespace:
		return Key{e.Level, "", e.Namespace, "", ""}
	case metric.Node:
		return NodeKey(e.Node)
	case metric.Pool:
		return Key{e.Level, "", "", "", e.Pool}
	}
	return Key{Level: metric.Cluster}
}

// NodeKey is the key of a machine.
func NodeKey(node string) Key { return Key{Level: metric.Node, Node: node} }

// PodKey is the key of a pod whose name is unique on a node; without one, of a pod whose name is unique in the cluster.
func PodKey(node, namespace, pod string) Key { return Key{metric.Pod, node, namespace, pod, ""} }

// InCluster is the key of a pod, or of a container in one, whose names are unique in the cluster.
func (k Key) InCluster() Key {
	k.Node = ""
	return k
}

// scope is the node's name where names are unique on a node only. The kubelet puts all pods below a cgroup whose name has "kubepods" in it.
func scope(e *metric.Entity) string {
	if strings.Contains(e.ID, "kubepods") {
		return ""
	}
	return e.Node
}

// maxNames is the most bytes in all names of an entity.
const maxNames = 4096

// Usable says whether the entity has the names that its level needs, and not too long ones.
func Usable(e *metric.Entity) bool {
	if len(e.Node)+len(e.Pool)+len(e.Namespace)+len(e.WorkloadKind)+len(e.Workload)+len(e.Pod)+len(e.Container)+len(e.ID)+len(e.Runtime)+len(e.Image) > maxNames {
		return false
	}
	switch e.Level {
	case metric.Container:
		return e.Container != "" && (e.Pod != "" || e.ID != "")
	case metric.Pod:
		return e.Pod != ""
	case metric.Workload:
		return e.Workload != ""
	case metric.Namespace:
		return e.Namespace != ""
	case metric.Node:
		return e.Node != ""
	case metric.Pool:
		return e.Pool != ""
	}
	return e.Level == metric.Cluster
}

// Restarts says whether another thing under the same key is the same container restarted. A cgroup that somebody made anew is none, nor is a
// replica that came back under its name; whoever runs replicas counts their restarts.
func Restarts(e *metric.Entity) bool {
	switch e.Runtime {
	case "cgroup", "process", "self":
		return false
	}
	return e.Level == metric.Container
}

// Same says whether two entities of one key have the same cgroup, as far as it is known of both. A cgroup is on one machine.
func Same(a, b *metric.Entity) bool {
	return (a.ID == b.ID || a.ID == "" || b.ID == "") && (a.Node == b.Node || a.Node == "" || b.Node == "")
}

// SamePod says whether two cgroups are in one pod of Kubernetes: of one name they are lives of the same container then.
func SamePod(a, b string) bool { return strings.Contains(a, "kubepods") && path.Dir(a) == path.Dir(b) }

// startSlack is how far apart two readings of one start may be: the readers take it from clocks of different grain.
const startSlack = time.Second

// Follows compares when two things of one key began: 1 says that what began at next is the successor of what began at last, -1 that it
// was before it, 0 that it is the same, as far as both times are known (not zero).
func Follows(last, next time.Time) int {
	switch d := next.Sub(last); {
	case last.IsZero() || next.IsZero() || d.Abs() <= startSlack:
		return 0
	case d > 0:
		return 1
	}
	return -1
}
