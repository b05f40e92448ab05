package policy

import (
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// pass is one pass over a target. Its methods run in the order of run and leave d complete.
type pass struct {
	in       *Input
	policy   *Policy
	off      Switches
	num      numbers
	d        Decision
	current  cluster.DesiredReplicas
	min      cluster.DesiredReplicas // the limits that hold now, schedules applied
	max      cluster.DesiredReplicas
	tol      tolerance
	draft    cluster.DesiredReplicas
	table    table          // reused for every metric and look
	looks    []*Look        // of the metric that is asked, reused too
	freshest *Look          // the newest second, where it is known how that scatters
	byName   map[string]int // pods; nil until find needs it
	results  []result       // one for each metric
	best     int            // the metric whose proposal won; -1: none
	lost     string         // for the message: the metrics that failed beside best
	notes    []string       // deviations applied by switches, for the steps
	hold     Reason         // why the draft is what it is, as far as a step knows
	need     cluster.DesiredReplicas
	stages   stages
}

// stages remembers for the message what the later steps did.
type stages struct {
	stabilized bool                    // memory changed the draft
	highest    cluster.DesiredReplicas // what memory said
	limited    Reason                  // why a limit changed the draft, "" if none did
	limit      string                  // the limit in words
	able       Reason                  // of AbleToScale, as memory left it
	within     Reason                  // of ScalingLimited; "": the limits were not asked
	stood      string                  // what the last look at shrinking found in the way, as a clause
	stands     *Looked                 // the last look at shrinking, where this pass is none
	forced     Reason                  // CurrentAboveMax or CurrentBelowMin
}

// Decide says what is to become of a target's replica count. It is a pure function: the same input gives the same
// decision, and the input is only read.
func Decide(in Input) Decision {
	p := pass{in: &in, policy: in.Policy, off: in.Options.off(), current: in.Target.SpecReplicas}
	p.num = numbers{wrap: p.off.ExactNumbers}
	p.table.num = p.num
	p.run()
	return p.d
}

// run goes through the pass.
func (p *pass) run() {
	p.d.Current, p.d.Desired, p.d.Action, p.draft, p.best = p.current, p.current, Hold, p.current, -1
	if p.in.State != nil {
		p.d.State = *p.in.State
	}
	if p.policy == nil {
		p.d.Reason, p.d.Error = InvalidPolicy, "there is no policy"
		p.d.Message = "There is no usable policy; the count is left alone."
		return
	}
	if t := p.in.Target.Problem; t != nil && t.Reason == FailedGetScale {
		p.condition(autoscalingv2.AbleToScale, corev1.ConditionFalse, FailedGetScale)
		p.problem(t)
		p.zeroCondition()
		return
	}
	p.begin()
	switch {
	case p.current == 0 && !p.wakeable():
		p.disabled()
	case p.current == 0:
		p.measured()
	case p.current > p.max:
		p.forced(CurrentAboveMax, p.ceiling())
	case p.current < p.min:
		p.forced(CurrentBelowMin, p.floor())
	default:
		p.measured()
	}
	p.finish()
}

// begin sets what every pass has: the first condition, the memory of a target never seen before, limits, tolerance.
func (p *pass) begin() {
	p.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, SucceededGetScale)
	if p.d.State.Recommendations == nil {
		p.d.State.Recommendations = []Recommendation{{At: p.in.Now, Replicas: p.current}}
	}
	p.schedule()
	p.tol = p.tolerance()
}

// wakeable says whether a count of zero is ours to change.
func (p *pass) wakeable() bool {
	return p.d.State.ScaledToZero && (p.min != 0 || p.policy.toZero)
}

// disabled leaves a count of zero that somebody else set.
func (p *pass) disabled() {
	p.condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, ScalingDisabled)
	p.hold = ScalingDisabled
}

// forced brings a count from outside the limits to the nearer limit; metrics, memory and speed are not asked.
func (p *pass) forced(why Reason, to bound) {
	p.stages.forced, p.hold = why, why
	if !p.off.KeepMetrics {
		p.evaluate()
		p.note("keepMetrics: shown, not asked: %s", p.metricsText())
		p.addNotes()
	}
	p.step(StepLimits, to.n, to.text())
}

// measured asks the metrics, then memory, then the limits.
func (p *pass) measured() {
	if t := p.in.Target.Problem; t != nil {
		p.condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, t.Reason)
		p.problem(t)
		return
	}
	p.evaluate()
	if !p.choose() {
		return
	}
	if p.awaiting() {
		p.restNow()
		return
	}
	p.stabilize()
	p.limit()
	if p.current == 0 && p.min != 0 && p.draft < p.min {
		p.hold = FromZero
		p.step(StepFromZero, p.min, "back from zero to the minimum")
	}
}

// restNow ends a pass that neither grows nor asks whether to shrink: nothing is remembered, and what the last look at shrinking found stands.
func (p *pass) restNow() {
	able, within := ReadyForNewScale, DesiredWithinRange
	if l := p.d.State.Looked; l != nil && l.Replicas == p.current && l.Min == p.min && l.Max == p.max {
		able, within, p.stages.stands = l.Able, l.Limited, l
		if p.hold == AwaitingLook && l.Held != "" {
			p.hold, p.stages.stood = l.Held, l.Why
		}
	}
	p.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, able)
	p.limited(within)
	p.step(StepStabilize, p.draft, "not a look at shrinking: nothing is remembered")
	p.step(StepLimits, p.draft, p.rangeText())
}

// limited sets the condition ScalingLimited.
func (p *pass) limited(why Reason) {
	status := corev1.ConditionTrue
	if why == DesiredWithinRange {
		status = corev1.ConditionFalse
	}
	p.condition(autoscalingv2.ScalingLimited, status, why)
}

// looked notes for the passes until the next look at shrinking what this one found.
func (p *pass) looked() {
	if p.stages.within == "" {
		return
	}
	p.d.State.Looked = nil
	wanted := p.draft
	if p.d.Would.Known {
		wanted = cluster.DesiredReplicas(p.d.Would.N)
	}
	if wanted > p.current || !slices.ContainsFunc(p.results, func(r result) bool { return r.look != nil }) {
		return
	}
	l := &Looked{Replicas: p.draft, Wanted: wanted, Min: p.min, Max: p.max, Able: p.stages.able, Limited: p.stages.within}
	if p.need < p.draft {
		l.Held, l.Why = p.inTheWay()
	}
	p.d.State.Looked = l
}

// problem holds because of the scale or its selector.
func (p *pass) problem(t *Problem) {
	p.hold, p.d.Reason, p.d.Error = t.Reason, t.Reason, t.Message
	p.d.Message = "The target's scale cannot be used: " + t.Message + "."
}

// step notes a change of the draft.
func (p *pass) step(name string, after cluster.DesiredReplicas, why string) {
	if p.d.Steps == nil {
		p.d.Steps = make([]Step, 0, 4)
	}
	p.d.Steps = append(p.d.Steps, Step{Step: name, Before: p.draft, After: after, Why: why})
	p.draft = after
}

// condition sets a condition, in place if it is there.
func (p *pass) condition(kind autoscalingv2.HorizontalPodAutoscalerConditionType, status corev1.ConditionStatus, why Reason) {
	if p.d.Conditions == nil {
		p.d.Conditions = make([]Condition, 0, 4)
	}
	for i := range p.d.Conditions {
		if p.d.Conditions[i].Type == string(kind) {
			p.d.Conditions[i].Status, p.d.Conditions[i].Reason = string(status), why
			return
		}
	}
	p.d.Conditions = append(p.d.Conditions, Condition{Type: string(kind), Status: string(status), Reason: why})
}
