package policy

import (
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// TestNoAgeLimit gives samples of each metrics API that are ten minutes old: with a limit of 0 none is too old, with one of two
// minutes all are.
func TestNoAgeLimit(t *testing.T) {
	value := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewQuantity(10, resource.DecimalSI)}
	for _, m := range []autoscalingv2.MetricSpec{
		{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: "qps"}, Target: value}},
		{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: value}},
	} {
		p, err := Compile(Spec{MaxReplicas: 20, Metrics: []autoscalingv2.MetricSpec{m}})
		if err != nil {
			t.Fatal(err)
		}
		in := tenPods(4, 60)
		in.Policy, in.Looks = p, nil
		old := in.Now.Add(-10 * time.Minute)
		in.PodsMetrics = []PodsMetric{{Metric: "qps"}}
		for i := range in.Pods {
			in.PodsMetrics[0].Pods = append(in.PodsMetrics[0].Pods, PodValue{Pod: in.Pods[i].Name, Value: cluster.Milli(10_000), Timestamp: old, Window: time.Minute})
			in.Usage[i].Timestamp = old
		}
		for age, counted := range map[time.Duration]int{0: 4, 2 * time.Minute: 0} {
			in.Options.MaxUsageAge = age
			if got := Decide(in).Metrics[0].Pods.Counted; got != counted {
				t.Errorf("%s, MaxUsageAge %s: %d pods counted, want %d", m.Type, age, got, counted)
			}
		}
	}
}
