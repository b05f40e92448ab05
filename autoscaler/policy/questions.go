package policy

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Question is what a metric of type Pods, Object or External asks of custom.metrics.k8s.io or external.metrics.k8s.io.
type Question struct {
	Type     autoscalingv2.MetricSourceType
	Metric   string
	Selector string                                     // of the metric's series; "" for all
	Object   *autoscalingv2.CrossVersionObjectReference // that an Object metric describes
}

// Reading is the answer to a Question.
type Reading struct {
	Pods   []PodValue      // of type Pods
	Values []cluster.Milli // of type Object one, of type External one for each series
	// At is when the oldest of the Values was produced, Read when it was asked for them; zero: not known.
	At, Read time.Time
	Problem  string // why there is no answer, or ""
}

// Questions are those of the policy's metrics, in their order. One that can never be evaluated asks for nothing.
func (p *Policy) Questions() (out []Question) {
	for i := range p.metrics {
		if m := &p.metrics[i]; !m.byPod() && m.broken == "" {
			out = append(out, Question{Type: m.source, Metric: m.name, Selector: m.selector, Object: m.described})
		}
	}
	return out
}

// Answer adds the readings that answer the policy's Questions, in their order.
func (in *Input) Answer(readings []Reading) {
	k := 0
	for i := range in.Policy.metrics {
		m := &in.Policy.metrics[i]
		if m.byPod() {
			continue
		}
		var r Reading
		if m.broken == "" && k < len(readings) {
			r, k = readings[k], k+1
		}
		switch m.source {
		case autoscalingv2.PodsMetricSourceType:
			in.PodsMetrics = append(in.PodsMetrics, PodsMetric{Metric: m.name, Pods: r.Pods, Problem: r.Problem})
		case autoscalingv2.ObjectMetricSourceType:
			o := ObjectMetric{Metric: m.name, DescribedObject: m.described, Timestamp: r.At, Read: r.Read, Problem: r.Problem}
			if len(r.Values) > 0 {
				o.Value = r.Values[0]
			} else if o.Problem == "" {
				o.Problem = "it has no value"
			}
			in.ObjectMetrics = append(in.ObjectMetrics, o)
		case autoscalingv2.ExternalMetricSourceType:
			in.ExternalMetrics = append(in.ExternalMetrics, ExternalMetric{Metric: m.name, Values: r.Values, Timestamp: r.At, Read: r.Read, Problem: r.Problem})
		}
	}
}
