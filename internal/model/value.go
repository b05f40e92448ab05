package model

import (
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Thing is what a value is about; the fields that its kind does not have are empty.
type Thing struct {
	Kind                            Kind
	Node, Namespace, Pod, Container string
}

// ThingOf is the thing that a container or a machine is. ok is false at the levels above, which Heapster makes of pods, and of which it has
// some only.
func ThingOf(e *metric.Entity) (t Thing, ok bool) {
	switch {
	case e.Level == metric.Node:
		return Thing{Kind: Node, Node: e.Node}, true
	case e.Level != metric.Container:
		return Thing{}, false
	case System(e):
		return Thing{Kind: SystemContainer, Node: e.Node, Container: SystemName(e)}, true
	}
	return Thing{PodContainer, e.Node, e.Namespace, e.Pod, e.Container}, e.Pod != ""
}

// Labels are Heapster's labels of the thing as its sink of InfluxDB wrote them, sorted by name.
func (t Thing) Labels() []metric.Label {
	var out []metric.Label
	for _, l := range [...]metric.Label{{Name: "container_name", Value: t.Container}, {Name: "namespace_name", Value: t.Namespace},
		{Name: "nodename", Value: t.Node}, {Name: "pod_name", Value: t.Pod}, {Name: "type", Value: t.Kind.String()}} {
		if l.Value != "" {
			out = append(out, l)
		}
	}
	return out
}

// Value is one value, in the metric's unit.
type Value struct {
	Thing    Thing
	Metric   *Metric
	Resource string // the value of resource_id, of a metric that has the label
	Time     time.Time
	V        float64
}
