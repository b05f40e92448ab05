package identity

import (
	"plimsoll.dev/plimsoll/internal/metric"
)

// Line names a line of the history: all that ever had a name is one line, and a successor is a counter that begins again. Cgroup and
// image are not in it. It is comparable.
type Line struct {
	Level                                                         metric.Level
	Container, Namespace, Node, Pod, Pool, Workload, WorkloadKind string
}

// LineOf returns the line of an entity.
func LineOf(e *metric.Entity) Line {
	return Line{e.Level, e.Container, e.Namespace, e.Node, e.Pod, e.Pool, e.Workload, e.WorkloadKind}
}

// labels are the labels by name, and the largest level that has them in the history; onWire are those that only the live picture needs.
var labels = [...]struct {
	name   string
	of     func(*metric.Entity) string
	most   metric.Level
	onWire bool
}{
	{"container", func(e *metric.Entity) string { return e.Container }, metric.Container, false},
	{"id", func(e *metric.Entity) string { return e.ID }, metric.Cluster, true},
	{"image", func(e *metric.Entity) string { return e.Image }, metric.Cluster, true},
	{"namespace", func(e *metric.Entity) string { return e.Namespace }, metric.Namespace, false},
	{"node", func(e *metric.Entity) string { return e.Node }, metric.Node, false},
	{"pod", func(e *metric.Entity) string { return e.Pod }, metric.Pod, false},
	{"pool", func(e *metric.Entity) string { return e.Pool }, metric.Pool, false},
	{"runtime", func(e *metric.Entity) string { return e.Runtime }, metric.Cluster, true},
	{"workload", func(e *metric.Entity) string { return e.Workload }, metric.Workload, false},
	{"workload_kind", func(e *metric.Entity) string { return e.WorkloadKind }, metric.Workload, false},
}

// has says whether series of a level have the label, in the history or on the wire: a workload and a namespace are on many nodes, and a node
// may come to be of another pool.
func has(i int, l metric.Level, wire bool) bool {
	return l <= labels[i].most && (wire || !labels[i].onWire) && (labels[i].name != "node" || l <= metric.Pod || l == metric.Node) && (labels[i].name != "pool" || l == metric.Pool)
}

// Names returns the names of the labels that series of a level can have in the history, sorted.
func Names(l metric.Level) []string {
	var out []string
	for i := range labels {
		if has(i, l, false) {
			out = append(out, labels[i].name)
		}
	}
	return out
}

// Labels returns the labels under which an entity's values are kept, those that are not empty, sorted by name, without the metric's
// name: container, namespace, node, pod, workload, workload_kind, as kube-state-metrics calls them.
func Labels(e *metric.Entity) []metric.Label { return list(e, false) }

func list(e *metric.Entity, wire bool) []metric.Label {
	out := make([]metric.Label, 0, len(labels))
	for i := range labels {
		if v := labels[i].of(e); v != "" && has(i, e.Level, wire) {
			out = append(out, metric.Label{Name: labels[i].name, Value: v})
		}
	}
	return out
}

// Wire returns the labels under which an entity travels between machines: those of the history, and what only the live picture needs: id
// (the cgroup), image, runtime.
func Wire(e *metric.Entity) []metric.Label { return list(e, true) }

// OfWire returns the entity that labels of the wire name, at a level.
func OfWire(l metric.Level, get func(string) string) metric.Entity {
	return metric.Entity{Level: l, Node: get("node"), Pool: get("pool"), Namespace: get("namespace"), WorkloadKind: get("workload_kind"), Workload: get("workload"),
		Pod: get("pod"), Container: get("container"), ID: get("id"), Runtime: get("runtime"), Image: get("image")}
}

// Value returns the value of a label of the history, "" where the entity has none of that name.
func Value(e *metric.Entity, name string) string {
	for i := range labels {
		if labels[i].name == name && has(i, e.Level, false) {
			return labels[i].of(e)
		}
	}
	return ""
}
