package policy

import (
	"math"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// tolerance is how far a ratio may be from 1 in each direction without scaling.
type tolerance struct{ up, down float64 }

// within is the tolerance test, both ends included.
func (t tolerance) within(ratio float64) bool { return 1-t.down <= ratio && ratio <= 1+t.up }

// tolerance gives the tolerances that hold: those of the behavior, else the policy's, else the options'.
func (p *pass) tolerance() tolerance {
	t := tolerance{p.in.Options.Tolerance, p.in.Options.Tolerance}
	if v := p.policy.tolerance; v != nil {
		t = tolerance{*v, *v}
	}
	if b := p.policy.behavior; b != nil {
		if b.up.tolerance != nil {
			t.up = *b.up.tolerance
		}
		if b.down.tolerance != nil {
			t.down = *b.down.tolerance
		}
	}
	return t
}

// result is what one metric asks for.
type result struct {
	ok       bool
	failure  Reason // of the ScalingActive condition, when not ok
	err      string
	proposal int32
	hold     Reason // why the proposal is the current count, "" otherwise
	// waits is for what the proposal stands in while there is no look that could lower the count; need is what the one that there is would say.
	waits wait
	need  int32
	look  *Look   // the look used, nil if none
	noise float64 // standard error of the total, in the metric's unit; NaN when not known
	load  float64 // counted load in replicas' worth
	// share is the load per replica that the proposal rests on, as a share of the request (of the target where that is an
	// amount), and shareNoise its standard error; NaN where not known.
	share, shareNoise float64
	total             cluster.Milli            // value of an Object or External metric
	plain             bool                     // the plain rule was applied to the look, its noise not asked
	departed          []cluster.ContainerUsage // see Look
}

// propose is the replica count that the table asks for, and why if that is the current one.
// problem is "" unless there is nothing to divide by.
func (p *pass) propose(m *metric) (n int32, hold Reason, problem string) {
	t, current := &p.table, int32(p.current)
	ratio, _, _, _, ok := t.measure(m, fill{})
	if !ok {
		return 0, "", "no metrics returned matched known pods"
	}
	fillUp := t.groups[unready] > 0 && ratio > 1
	if !fillUp && t.groups[missing] == 0 {
		if p.tol.within(ratio) {
			return current, WithinTolerance, ""
		}
		return p.num.count(math.Ceil(ratio * float64(t.groups[counted]))), "", ""
	}
	f := fill{missing: t.groups[missing] > 0 && ratio != 1, full: ratio < 1, unready: fillUp}
	ratio2, _, _, size, ok := t.measure(m, f)
	switch {
	case !ok:
		return 0, "", "no metrics returned matched known pods"
	case p.tol.within(ratio2) && p.tol.within(ratio):
		return current, WithinTolerance, ""
	case p.tol.within(ratio2), ratio < 1 && ratio2 > 1, ratio > 1 && ratio2 < 1:
		return current, GapsInTheWay, ""
	}
	n = p.num.count(math.Ceil(ratio2 * float64(size)))
	if (ratio2 < 1 && n > current) || (ratio2 > 1 && n < current) {
		return current, GapsInTheWay, ""
	}
	return n, "", ""
}

// whole evaluates an Object or External metric: one number for the whole target.
func (p *pass) whole(m *metric, value cluster.Milli, rep *MetricReport) (n int32, hold Reason, problem string) {
	if m.target == autoscalingv2.AverageValueMetricType {
		n, hold = p.wholeAverage(m, value, rep)
		return n, hold, ""
	}
	ratio := float64(value) / float64(m.milli)
	rep.Value, rep.Load, rep.Target = known(value), ratio, 1
	if p.current == 0 {
		return p.num.count(math.Ceil(ratio)), "", ""
	}
	if p.tol.within(ratio) {
		return int32(p.current), WithinTolerance, ""
	}
	if len(p.in.Pods) == 0 {
		return 0, "", "unable to calculate ready pods: no pods returned by selector while calculating replica count"
	}
	return p.num.count(math.Ceil(min(ratio*float64(p.readyPods()), math.MaxInt32))), "", ""
}

// wholeAverage is whole for a target of type AverageValue. "No change" is the observed count in the HPA, which during a
// rollout is not the desired one; the switch SpecOnRollout answers the desired one.
func (p *pass) wholeAverage(m *metric, value cluster.Milli, rep *MetricReport) (n int32, hold Reason) {
	observed, external := int32(p.in.Target.StatusReplicas), m.source == autoscalingv2.ExternalMetricSourceType
	ratio := float64(value) / (float64(m.milli) * float64(observed))
	switch {
	case p.num.wrap && external && value == math.MaxInt64:
		rep.AverageValue = known(value) // the HPA does not share out a sum that ran over
	case observed > 0: // over none the HPA's average is no number; it is left out
		rep.AverageValue = known(p.num.amount(math.Ceil(float64(value) / float64(observed))))
	}
	if observed > 0 {
		rep.Load, rep.Target = ratio, 1
	}
	if !p.tol.within(ratio) {
		asked := math.Ceil(float64(value) / float64(m.milli))
		if external {
			asked = min(asked, math.MaxInt32)
		}
		return p.num.count(asked), ""
	}
	if observed != int32(p.current) && !p.off.SpecOnRollout {
		p.note("specOnRollout: %s is within tolerance for the %d replicas observed; the HPA would ask for these, the desired %d are kept", m.name, observed, p.current)
		return int32(p.current), WithinTolerance
	}
	if observed == int32(p.current) {
		hold = WithinTolerance
	}
	return observed, hold
}

// readyPods counts pods that run and are ready: another count than that of the table.
func (p *pass) readyPods() int {
	n := 0
	for i := range p.in.Pods {
		if pod := &p.in.Pods[i]; pod.Phase == "Running" && pod.Ready == "True" {
			n++
		}
	}
	return n
}
