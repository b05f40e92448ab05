package hpa

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	external "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// step is what a script says of one pass: what the load asks for, and what somebody changes before.
type step struct {
	need   int64 // replicas
	period int32 // of the policy of both directions; 0: as it was
	hand   int32 // the count that somebody sets; 0: none does
	hidden bool  // the scale cannot be read
}

// TestScripts follows worlds that chance seldom finds: one external metric, one policy for each direction that lets so many replicas come or go in a period.
func TestScripts(t *testing.T) {
	pods := func(value, period int32) *autoscalingv2.HPAScalingPolicy {
		return &autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: value, PeriodSeconds: period}
	}
	percent := func(value, period int32) *autoscalingv2.HPAScalingPolicy {
		return &autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: value, PeriodSeconds: period}
	}
	f := func(name string, up, down *autoscalingv2.HPAScalingPolicy, steps []step, want ...int32) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := scripted(up, down)
				follow(t, w, 15*time.Second, len(steps), func(pass int, _ time.Time) {
					if pass < len(steps) {
						w.play(steps[pass])
					}
				}, map[string]int{})
				if !slices.Equal(w.counts, want) {
					t.Errorf("the counts were %v, want %v", w.counts, want)
				}
			})
		})
	}
	// The mark of the first event survives that a longer period counts it again: its place is given away, and the last pass may add 2.
	f("marks", pods(4, 60), pods(4, 60), []step{{need: 2}, {need: 3}, {need: 4, period: 1}, {need: 5, period: 600}, {need: 50}}, 2, 3, 4, 5, 7)
	// A speed limit below the smallest number wraps round to one above the count.
	f("limit", pods(2_147_483_640, 600), pods(2_147_483_640, 600), []step{{need: 900_000_000}, {need: 1, hand: 5}}, 900_000_000, 5)
	// Where more than 2^31 went in one period, the count that it began with wraps round to one below zero.
	f("sum of changes", pods(1, 1800), percent(90, 1800), []step{
		{need: 1, hand: 900_000_000}, {need: 1, hand: 900_000_000}, {need: 1, hand: 900_000_000},
	}, 89_999_999, 171_000_000, 1)
	// The count that is found when the scale can be read at last holds for five minutes, not that of the first pass.
	f("hidden", nil, nil, []step{{hidden: true, hand: 10}, {need: 2}, {need: 2}}, 10, 10, 10)
}

// scripted is a world of one external metric, with a speed limit in each direction or without a behavior.
func scripted(up, down *autoscalingv2.HPAScalingPolicy) *world {
	w := newWorld(rand.New(rand.NewPCG(1, 1)))
	w.flags = policy.DefaultOptions()
	w.flags.Compat = policy.CompatHPA
	ten := resource.MustParse("10")
	w.written.MinReplicas, w.written.MaxReplicas, w.written.Behavior = nil, 1_000_000_000, nil
	w.written.Metrics = []autoscalingv2.MetricSpec{{Type: "External", External: &autoscalingv2.ExternalMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: "jobs"}, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &ten}}}}
	if up != nil {
		rules := func(p *autoscalingv2.HPAScalingPolicy) *autoscalingv2.HPAScalingRules {
			return &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: new(int32(0)), Policies: []autoscalingv2.HPAScalingPolicy{*p}}
		}
		w.written.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: rules(up), ScaleDown: rules(down)}
	}
	w.store()
	w.scale.Spec.Replicas = 1
	return w
}

// play makes a step.
func (w *world) play(s step) {
	if s.hand > 0 {
		w.scale.Spec.Replicas = s.hand
	}
	w.scale.Status.Replicas = w.scale.Spec.Replicas
	if s.period > 0 {
		w.written.Behavior.ScaleUp.Policies[0].PeriodSeconds, w.written.Behavior.ScaleDown.Policies[0].PeriodSeconds = s.period, s.period
		w.store()
	}
	w.hidden = s.hidden
	w.external = map[series][]external.ExternalMetricValue{{metric: "jobs"}: {{Value: *resource.NewQuantity(10*s.need, resource.DecimalSI)}}}
}
