package policy

import (
	"math"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestReportIsFresh: a page is shown the newest load, also while the decision rests on the longest look.
func TestReportIsFresh(t *testing.T) {
	in := tenPods(10, 60)
	in.Looks[0].Usage = usageOf(in.Pods, DefaultWindow, 75)
	d := Decide(in)
	m := &d.Metrics[0]
	if d.Action != Hold || d.Look.Window != time.Minute || m.Utilization.N != 60 {
		t.Errorf("%s on a look of %s at %d %%: %s", d.Action, d.Look.Window, m.Utilization.N, d.Message)
	}
	if m.Load != 0.75 || m.Target != 0.8 || m.Window != DefaultWindow || m.Of != "500m CPU" || math.Abs(m.Noise-0.04) > 1e-9 {
		t.Errorf("for pages: load %v of %s, line %v, noise %v, over %s", m.Load, m.Of, m.Target, m.Noise, m.Window)
	}
}

// TestReportOfAmount: a target that is an amount is told as such, of one that is a share nothing.
func TestReportOfAmount(t *testing.T) {
	in := tenPods(10, 60)
	if m := &Decide(in).Metrics[0]; m.Amount != "" {
		t.Errorf("a share of %v: amount %q", m.Target, m.Amount)
	}
	amount := resource.MustParse("100m")
	cpu := autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &amount}}
	var err error
	if in.Policy, err = Compile(Spec{MaxReplicas: 100, Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &cpu}}}); err != nil {
		t.Fatal(err)
	}
	if m := &Decide(in).Metrics[0]; m.Amount != "100m" || m.Target != 1 || m.Of != "100m CPU" {
		t.Errorf("amount %q, target %v of %s", m.Amount, m.Target, m.Of)
	}
}

// TestReportWithoutData: what is not known is NaN, not zero.
func TestReportWithoutData(t *testing.T) {
	in := tenPods(10, 60)
	in.Looks, in.Usage = nil, nil
	if m := &Decide(in).Metrics[0]; !math.IsNaN(m.Load) || !math.IsNaN(m.Noise) || m.Proposal.Known || m.Utilization.Known || m.Error == "" {
		t.Errorf("without data: %+v", m)
	}
}
