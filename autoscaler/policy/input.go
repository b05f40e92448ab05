package policy

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Input is everything that one decision rests on. Decide only reads it.
type Input struct {
	Now     time.Time
	Policy  *Policy // from Compile
	Options Options
	Target  Target
	Pods    []cluster.Pod // the target's pods; names are unique

	// Usage is what the metrics API said of the pods; a pod left out has no sample.
	Usage []cluster.PodUsage
	// Looks are the same pods over several windows, for the switch FreshLooks. Where there is a look for a
	// metric, Usage is not read for it. Of each metric the shortest comes first.
	Looks []Look
	// Newest are the same pods over the newest second, which says how far a raise goes that a look of at least the policy's window allows.
	Newest []Look
	// Departed is for Usage what Look.Departed is for a look.
	Departed []cluster.ContainerUsage

	PodsMetrics     []PodsMetric
	ObjectMetrics   []ObjectMetric
	ExternalMetrics []ExternalMetric
	Errors          Errors

	// Changed is when the count was last changed; zero: not known. A value of the whole that was read before is not held against it twice.
	Changed time.Time

	// State is the State of the decision before; nil if there was none. A target whose Recommendations are nil was never seen.
	State *State
}

// Target is the scale subresource.
type Target struct {
	SpecReplicas   cluster.DesiredReplicas
	StatusReplicas cluster.ObservedReplicas
	// Problem says why the scale or its selector cannot be used; nil when it can.
	Problem *Problem
	// NoPods says, as a clause for people, why no pod is the target's; "" where there are some, or nobody says.
	NoPods string
}

// Problem is one of the HPA's reasons to stop before the metrics: FailedGetScale, InvalidSelector, AmbiguousSelector.
type Problem struct {
	Reason  Reason
	Message string
}

// Look is the usage of all pods over one window of the recent past. The word is used for nothing else.
type Look struct {
	Metric corev1.ResourceName
	Window time.Duration // nominal; the sample of a young pod may cover less
	// Noise is the standard error of the pods' total, in the metric's unit (cores, bytes); see History.
	Noise float64
	// NoiseKnown is false while there is too little history to tell. Such a look borrows from a known one.
	NoiseKnown bool
	// Spike is, of the newest second, by how much at most such a one stood out lately without lasting, in the metric's unit; see History.
	Spike float64
	Usage []cluster.PodUsage
	// Departed is what pods used within the window that are gone by now, by the names of their containers, as a mean over the window. Those that
	// stay have taken it over, so it counts where they would be made fewer; nothing is raised for it.
	Departed []cluster.ContainerUsage
}

// PodsMetric is a custom metric of type Pods: one value for each pod.
type PodsMetric struct {
	Metric   string
	Selector *metav1.LabelSelector // of the series that were asked for; nil: what the policy selects
	Pods     []PodValue
	Problem  string // why it could not be read, or ""
}

// PodValue is one pod's value of a custom metric.
type PodValue struct {
	Pod       string
	Value     cluster.Milli
	Timestamp time.Time
	Window    time.Duration
}

// ObjectMetric is a custom metric of one object.
type ObjectMetric struct {
	Metric          string
	Selector        *metav1.LabelSelector                      // as in PodsMetric
	DescribedObject *autoscalingv2.CrossVersionObjectReference // nil: what the policy describes
	Value           cluster.Milli
	// Timestamp is when the value was produced, Read when it was asked for; zero: not known.
	Timestamp, Read time.Time
	Problem         string // why it could not be read, or ""
}

// ExternalMetric is an external metric: one value for each matched series.
type ExternalMetric struct {
	Metric   string
	Selector *metav1.LabelSelector // as in PodsMetric
	Values   []cluster.Milli
	// Timestamp is when the oldest of the values was produced, Read when they were asked for; zero: not known.
	Timestamp, Read time.Time
	Problem         string // why it could not be read, or ""
}

// Errors are the texts with which the metrics APIs failed; "" where one did not.
type Errors struct {
	Usage           string `json:"usage"`
	PodsMetrics     string `json:"podsMetrics"`
	ObjectMetrics   string `json:"objectMetrics"`
	ExternalMetrics string `json:"externalMetrics"`
}
