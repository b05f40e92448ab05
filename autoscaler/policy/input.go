package policy

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Input is everything that one decision rests on. Decide only reads it.
type Input struct {
	Now     time.Time
	Policy  *Policy // from Compile
	Options Options
	Target  Target
	Pods    []Pod // the target's pods; names are unique

	// Usage is what the metrics API said of the pods; a pod left out has no sample.
	Usage []PodUsage
	// Looks are the same pods over several windows, for the switch FreshLooks. Where there is a look for a
	// metric, Usage is not read for it. Of each metric the shortest comes first.
	Looks []Look

	PodsMetrics     []PodsMetric
	ObjectMetrics   []ObjectMetric
	ExternalMetrics []ExternalMetric
	Errors          Errors

	// State is the State of the decision before; nil if the target was never seen before.
	State *State
}

// Target is the scale subresource.
type Target struct {
	SpecReplicas   WishedReplicas
	StatusReplicas ObservedReplicas
	// Problem says why the scale or its selector cannot be used; nil when it can.
	Problem *Problem
}

// Problem is one of the HPA's reasons to stop before the metrics: FailedGetScale, InvalidSelector, AmbiguousSelector.
type Problem struct {
	Reason  Reason
	Message string
}

// Pod is one pod of the target, or one replica of a process service.
type Pod struct {
	Name  string
	Phase corev1.PodPhase
	// Ready is the status of the Ready condition, "" if the pod has none.
	Ready corev1.ConditionStatus
	// ReadyTransition is when Ready last changed; zero means long ago.
	ReadyTransition time.Time
	StartTime       time.Time // zero: unset
	Deleting        bool
	Requests        Resources // pod-level requests
	Containers      []Container
	InitContainers  []Container
	// Gap is a clause for people that says why there is no sample ("reader was refused (permission)"), or "".
	Gap string
	// GapSince is when the gap began; zero if not known.
	GapSince time.Time
}

// Container is one container of a pod.
type Container struct {
	Name string
	// Always is true for an init container with restartPolicy Always (a sidecar).
	Always   bool
	Requests Resources
}

// Resources are amounts by resource name. They are few, so they are searched, not hashed.
type Resources []Resource

// Resource is one amount.
type Resource struct {
	Name  corev1.ResourceName
	Milli Milli
}

// Get returns the amount of a resource.
func (r Resources) Get(name corev1.ResourceName) (Milli, bool) {
	for i := range r {
		if r[i].Name == name {
			return r[i].Milli, true
		}
	}
	return 0, false
}

// PodUsage is one sample: what a pod's containers used over a window that ended at a time.
type PodUsage struct {
	Pod        string
	Timestamp  time.Time
	Window     time.Duration
	Containers []ContainerUsage
}

// ContainerUsage is what one container used.
type ContainerUsage struct {
	Name  string
	Usage Resources
}

// Look is one view of the recent past: the usage of all pods over the same window.
type Look struct {
	Metric corev1.ResourceName
	Window time.Duration // nominal; a young pod's own sample may cover less
	// Noise is the standard error of the pods' total, in the metric's unit (cores, bytes); see History.
	Noise float64
	// NoiseKnown is false while there is too little history to tell. Such a look borrows from a known one.
	NoiseKnown bool
	Usage      []PodUsage
}

// PodsMetric is a custom metric of type Pods: one value for each pod.
type PodsMetric struct {
	Metric string
	Pods   []PodValue
}

// PodValue is one pod's value of a custom metric.
type PodValue struct {
	Pod       string
	Value     Milli
	Timestamp time.Time
	Window    time.Duration
}

// ObjectMetric is a custom metric of one object.
type ObjectMetric struct {
	Metric string
	Value  Milli
}

// ExternalMetric is an external metric: one value for each matched series.
type ExternalMetric struct {
	Metric string
	Values []Milli
}

// Errors are the texts with which the metrics APIs failed; "" where one did not.
type Errors struct {
	Usage, PodsMetrics, ObjectMetrics, ExternalMetrics string
}
