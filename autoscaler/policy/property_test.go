package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// drawSpec draws a policy on cpu, and sometimes on more.
func drawSpec(t *rapid.T) Spec {
	low := rapid.Int32Range(1, 5).Draw(t, "min")
	s := Spec{MinReplicas: &low, MaxReplicas: low + rapid.Int32Range(0, 30).Draw(t, "span")}
	percent := rapid.Int32Range(1, 150).Draw(t, "percent")
	s.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
		Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent}}}}
	if rapid.IntRange(0, 3).Draw(t, "external") == 0 {
		q := resource.MustParse("10")
		s.Metrics = append(s.Metrics, autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: "jobs"}, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &q}}})
	}
	if rapid.Bool().Draw(t, "behaves") {
		s.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: drawRules(t), ScaleDown: drawRules(t)}
	}
	if rapid.IntRange(0, 5).Draw(t, "asked") == 0 {
		zero := 0.0
		s.Confidence = &zero
	}
	return s
}

func drawRules(t *rapid.T) *autoscalingv2.HPAScalingRules {
	if rapid.IntRange(0, 3).Draw(t, "rules") == 0 {
		return nil
	}
	window := rapid.SampledFrom([]int32{0, 15, 60, 300}).Draw(t, "window")
	choose := rapid.SampledFrom([]autoscalingv2.ScalingPolicySelect{"Max", "Min", "Disabled"}).Draw(t, "choose")
	r := &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &window, SelectPolicy: &choose}
	for range rapid.IntRange(1, 3).Draw(t, "policies") {
		r.Policies = append(r.Policies, autoscalingv2.HPAScalingPolicy{
			Type:  rapid.SampledFrom([]autoscalingv2.HPAScalingPolicyType{"Pods", "Percent"}).Draw(t, "type"),
			Value: rapid.Int32Range(1, 120).Draw(t, "value"), PeriodSeconds: rapid.SampledFrom([]int32{1, 15, 60, 600}).Draw(t, "period")})
	}
	return r
}

// drawInput draws a whole input; most are sane, some are not.
func drawInput(t *rapid.T) Input {
	p, err := Compile(drawSpec(t))
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	in := Input{Now: benchTime, Policy: p, Options: DefaultOptions()}
	in.Options.Compat = rapid.SampledFrom([]Compat{"", CompatHPA}).Draw(t, "compat")
	in.Target.SpecReplicas = cluster.DesiredReplicas(rapid.Int32Range(0, 40).Draw(t, "spec"))
	in.Target.StatusReplicas = cluster.ObservedReplicas(rapid.Int32Range(0, 40).Draw(t, "status"))
	for i := range rapid.IntRange(0, 8).Draw(t, "pods") {
		in.Pods = append(in.Pods, drawPod(t, i))
	}
	in.Usage = drawUsage(t, in.Pods, 15*time.Second)
	if rapid.Bool().Draw(t, "looks") {
		for _, w := range Windows(p.Window(), p.StableWindow()) {
			in.Looks = append(in.Looks, Look{Metric: corev1.ResourceCPU, Window: w, Usage: drawUsage(t, in.Pods, w),
				Noise: rapid.Float64Range(0, 2).Draw(t, "noise"), NoiseKnown: rapid.IntRange(0, 4).Draw(t, "known") > 0})
		}
	}
	if rapid.Bool().Draw(t, "newest") {
		in.Newest = []Look{{Metric: corev1.ResourceCPU, Window: time.Second, Usage: drawUsage(t, in.Pods, time.Second), Noise: rapid.Float64Range(0, 2).Draw(t, "second"), NoiseKnown: true, Spike: rapid.Float64Range(0, 2).Draw(t, "spike")}}
	}
	if rapid.Bool().Draw(t, "jobs") {
		in.ExternalMetrics = []ExternalMetric{{Metric: "jobs", Values: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) cluster.Milli { return cluster.Milli(rapid.Int64().Draw(t, "job")) }), 0, 3).Draw(t, "values")}}
	}
	if rapid.IntRange(0, 9).Draw(t, "failing") == 0 {
		in.Errors.Usage = "refused"
	}
	if rapid.Bool().Draw(t, "seen") {
		in.State = drawState(t)
	}
	return in
}

func drawPod(t *rapid.T, i int) cluster.Pod {
	age := time.Duration(rapid.SampledFrom([]int{3600, 3600, 300, 20, 1}).Draw(t, "age")) * time.Second
	return cluster.Pod{
		Name: fmt.Sprintf("p%d", i), Phase: rapid.SampledFrom([]corev1.PodPhase{"Running", "Running", "Running", "Pending", "Failed"}).Draw(t, "phase"),
		Ready: rapid.SampledFrom([]corev1.ConditionStatus{"True", "True", "True", "False", ""}).Draw(t, "ready"), StartTime: benchTime.Add(-age), ReadyTransition: benchTime.Add(-age / 2),
		Deleting:   rapid.IntRange(0, 9).Draw(t, "deleting") == 0,
		Containers: []cluster.Container{{Name: "c", Requests: cluster.Resources{{Name: corev1.ResourceCPU, Milli: cluster.Milli(rapid.SampledFrom([]int64{100, 500, 0, math.MaxInt64}).Draw(t, "request"))}}}},
	}
}

func drawUsage(t *rapid.T, pods []cluster.Pod, w time.Duration) (out []cluster.PodUsage) {
	for i := range pods {
		if rapid.IntRange(0, 6).Draw(t, "silent") == 0 {
			continue
		}
		cpu := cluster.Milli(rapid.OneOf(rapid.Int64Range(0, 2000), rapid.Int64()).Draw(t, "cpu"))
		out = append(out, cluster.PodUsage{Pod: pods[i].Name, Timestamp: benchTime.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "old")) * time.Second), Window: w,
			Containers: []cluster.ContainerUsage{{Name: "c", Usage: cluster.Resources{{Name: corev1.ResourceCPU, Milli: cpu}}}}})
	}
	return out
}

func drawState(t *rapid.T) *State {
	s := &State{ScaledToZero: rapid.Bool().Draw(t, "zero")}
	ago := func() time.Time {
		return benchTime.Add(-time.Duration(rapid.IntRange(0, 700).Draw(t, "ago")) * time.Second)
	}
	for range rapid.IntRange(0, 5).Draw(t, "recommendations") {
		s.Recommendations = append(s.Recommendations, Recommendation{ago(), cluster.DesiredReplicas(rapid.Int32Range(0, 40).Draw(t, "replicas"))})
	}
	for range rapid.IntRange(0, 3).Draw(t, "ups") {
		s.ScaleUps = append(s.ScaleUps, ScaleEvent{At: ago(), Change: rapid.Int32Range(0, 5).Draw(t, "up")})
	}
	for range rapid.IntRange(0, 3).Draw(t, "downs") {
		s.ScaleDowns = append(s.ScaleDowns, ScaleEvent{At: ago(), Change: rapid.Int32Range(0, 5).Draw(t, "down")})
	}
	return s
}

// TestDecideProperties: whatever comes in, a decision is sound.
func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		var before State
		if in.State != nil {
			before = copyState(*in.State)
		}
		d := Decide(in)
		if again := Decide(in); !cmp.Equal(d, again, cmp.Comparer(sameFloat)) {
			t.Fatalf("two decisions on one input differ: %s", cmp.Diff(d, again))
		}
		if in.State != nil && !cmp.Equal(before, *in.State) {
			t.Fatalf("Decide changed its input: %s", cmp.Diff(before, *in.State))
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatalf("the decision cannot be written: %v", err)
		}
		checkSound(t, &in, &d)
	})
}

func copyState(s State) State {
	s.Recommendations = append([]Recommendation(nil), s.Recommendations...)
	s.ScaleUps, s.ScaleDowns = append([]ScaleEvent(nil), s.ScaleUps...), append([]ScaleEvent(nil), s.ScaleDowns...)
	return s
}

func sameFloat(a, b float64) bool { return a == b || (a != a && b != b) }

// checkSound checks what holds for every decision.
func checkSound(t *rapid.T, in *Input, d *Decision) {
	current, lo, hi := in.Target.SpecReplicas, in.Policy.Min(), in.Policy.Max()
	if (d.Action == Up) != (d.Desired > current) || (d.Action == Down) != (d.Desired < current) || d.Message == "" || d.Reason == "" {
		t.Fatalf("action %s from %d to %d, reason %q, message %q", d.Action, current, d.Desired, d.Reason, d.Message)
	}
	if d.Desired != current && (d.Desired < lo || d.Desired > hi) && !inHPAOnly(in, d) {
		t.Fatalf("went to %d, outside %d to %d", d.Desired, lo, hi)
	}
	for i, s := range d.Steps {
		if (i == 0 && s.Before != current) || (i > 0 && s.Before != d.Steps[i-1].After) || (i == len(d.Steps)-1 && s.After != d.Desired) {
			t.Fatalf("the steps do not lead from %d to %d: %+v", current, d.Desired, d.Steps)
		}
	}
	if d.Desired == current || current < lo || current > hi {
		return
	}
	if b := in.Policy.behavior; b != nil && current > 0 {
		p := pass{in: in, policy: in.Policy, current: current}
		if in.State != nil {
			p.d.State = *in.State
		}
		up, _ := p.rateLimit(&b.up, true)
		down, _ := p.rateLimit(&b.down, false)
		if d.Desired > max(up, current) || d.Desired < min(down, current) {
			t.Fatalf("went from %d to %d, beyond the behavior's %d and %d", current, d.Desired, down, up)
		}
	}
}

// inHPAOnly is true for the one case in which the HPA's rules leave the limits: with behavior only the moving direction
// is checked, so a count that is brought back from zero may still lie below the minimum for a pass.
func inHPAOnly(in *Input, d *Decision) bool {
	return in.Policy.behavior != nil && in.Target.SpecReplicas == 0 && d.Desired <= in.Policy.Max()
}

// TestHoldOnNoData: without any sample, or with an API that fails, nothing is scaled inside the limits.
func TestHoldOnNoData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Target.SpecReplicas = min(max(in.Target.SpecReplicas, in.Policy.Min()), in.Policy.Max())
		in.ExternalMetrics = nil
		if rapid.Bool().Draw(t, "fails") {
			in.Errors = Errors{Usage: "refused", ExternalMetrics: "refused"}
		} else {
			in.Usage, in.Looks = nil, nil
		}
		if d := Decide(in); d.Action != Hold || d.Error == "" {
			t.Fatalf("%s to %d without data, error %q", d.Action, d.Desired, d.Error)
		}
	})
}

// TestMonotone: more load never asks for fewer replicas. Pods are all counted, as gaps may turn the direction round.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		low := rapid.IntRange(0, 300).Draw(t, "percent")
		high := low + rapid.IntRange(0, 300).Draw(t, "more")
		compat := rapid.SampledFrom([]Compat{"", CompatHPA}).Draw(t, "compat")
		state := drawState(t)
		noise := rapid.Float64Range(0, 3).Draw(t, "noise")
		decide := func(percent int) cluster.DesiredReplicas {
			p, err := Compile(Spec{MaxReplicas: 60})
			if err != nil {
				t.Fatal(err)
			}
			in := Input{Now: benchTime, Policy: p, Options: DefaultOptions(), Target: Target{SpecReplicas: cluster.DesiredReplicas(n)}, State: state}
			in.Options.Compat = compat
			for i := range n {
				in.Pods = append(in.Pods, cluster.Pod{Name: fmt.Sprint(i), Phase: "Running", Ready: "True", StartTime: benchTime.Add(-time.Hour),
					Containers: []cluster.Container{{Name: "c", Requests: cluster.Resources{{Name: corev1.ResourceCPU, Milli: 500}}}}})
			}
			for _, w := range Windows(3*time.Second, time.Minute) {
				in.Looks = append(in.Looks, Look{Metric: corev1.ResourceCPU, Window: w, Noise: noise, NoiseKnown: true, Usage: usageOf(in.Pods, w, percent)})
			}
			in.Usage = usageOf(in.Pods, 15*time.Second, percent)
			return Decide(in).Desired
		}
		if a, b := decide(low), decide(high); a > b {
			t.Fatalf("%d at %d %%, but %d at %d %%", a, low, b, high)
		}
	})
}

// TestSwitchesAreAll: with every switch turned off by hand a decision is that of compat, so no deviation is without one.
func TestSwitchesAreAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Options.Compat = CompatHPA
		want := Decide(in)
		in.Options.Compat, in.Options.Off = "", AllSwitches()
		if got := Decide(in); !cmp.Equal(want, got, cmp.Comparer(sameFloat)) {
			t.Fatalf("with all switches off: %s", cmp.Diff(want, got))
		}
	})
}

// TestCompactHistory: forgetting what can no longer matter changes no decision, over many passes. Both directions get the
// same longest period, for else the HPA's way forgets what matters.
func TestCompactHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		p, err := Compile(spec)
		if err != nil {
			t.Fatal(err)
		}
		if b := p.behavior; b != nil {
			b.up.longest = max(b.up.longest, b.down.longest)
			b.down.longest = b.up.longest
		}
		states := [2]*State{}
		current := [2]cluster.DesiredReplicas{5, 5}
		now := benchTime
		for range 30 {
			now = now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second)
			percent := rapid.IntRange(0, 300).Draw(t, "load")
			for i := range states {
				in := tenPods(int(current[i]), percent)
				for j := range in.Usage {
					in.Usage[j].Timestamp = now
				}
				in.Now, in.Policy, in.State, in.Looks = now, p, states[i], nil
				in.Options.Off.CompactHistory = i == 0
				d := Decide(in)
				states[i], current[i] = &d.State, d.Desired
			}
			if current[0] != current[1] {
				t.Fatalf("%d with the whole memory, %d with the compact one", current[0], current[1])
			}
		}
		if n := len(states[1].Recommendations); n > 30 {
			t.Fatalf("%d recommendations remembered", n)
		}
	})
}
