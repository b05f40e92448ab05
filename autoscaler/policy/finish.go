package policy

import (
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// finish turns the draft into the decision: the mode, the action, the reason, and what the next pass is given.
func (p *pass) finish() {
	if p.policy.raiseOnly && p.draft < p.current {
		p.hold = RaiseOnlyHold
		p.step(StepRaiseOnly, p.current, "another scaler owns the target: it is raised, never lowered")
	}
	if p.draft != p.current {
		p.d.Reason = p.changeReason()
	}
	if p.d.Message == "" {
		p.d.Message = p.message() + p.lost
	}
	p.mode()
	p.d.Desired = p.draft
	p.looked()
	switch {
	case p.draft > p.current:
		p.d.Action = Up
	case p.draft < p.current:
		p.d.Action = Down
	default:
		if p.d.Reason == "" {
			p.d.Reason = p.hold
		}
		p.zeroCondition()
		return
	}
	p.written()
}

// changeReason names the cause of a changed count.
func (p *pass) changeReason() Reason {
	switch {
	case p.stages.forced != "":
		return p.stages.forced
	case p.draft < p.current:
		return AllBelowTarget
	case p.current == 0 && p.need <= 0:
		return FromZero
	case p.need <= p.current:
		return HighestRecent
	}
	return aboveTarget(&p.policy.metrics[p.best])
}

// aboveTarget is the reason of a metric that asked for more.
func aboveTarget(m *metric) Reason {
	switch m.source {
	case autoscalingv2.PodsMetricSourceType:
		return PodsAboveTarget
	case autoscalingv2.ObjectMetricSourceType:
		return ObjectAboveTarget
	case autoscalingv2.ExternalMetricSourceType:
		return ExternalAboveTarget
	}
	switch m.resource() {
	case corev1.ResourceCPU:
		return CPUAboveTarget
	case corev1.ResourceMemory:
		return MemoryAboveTarget
	}
	return ResourceAboveTarget
}

// mode keeps a decision from being carried out in DryRun and Paused, and says what it was.
func (p *pass) mode() {
	var word string
	var why Reason
	switch p.policy.mode {
	case DryRun:
		word, why = "Dry run", ModeDryRun
	case Paused:
		word, why = "Paused", ModePaused
	default:
		return
	}
	would, verb, when := p.draft, "go", ""
	if l := p.stages.stands; l != nil {
		would, verb, when = l.Wanted, "have gone", " at the last look at shrinking" // the sentence is of this pass
	}
	p.d.Would = count(int32(would))
	if would == p.current {
		p.d.Message = word + ": would hold. " + p.d.Message
		return
	}
	p.d.Message = word + ": would " + verb + " from " + itoa(p.current) + " to " + itoa(would) + when + ". " + p.d.Message
	p.d.Reason = why
	p.step(StepMode, p.current, "mode "+string(p.policy.mode)+": not carried out")
}

// written is what a successful change leaves behind; the state is given to the next pass as if the change was made.
func (p *pass) written() {
	p.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, SucceededRescale)
	p.d.State.ScaledToZero = p.current > 0 && p.draft == 0 && p.min == 0 && p.policy.toZero
	if p.d.State.ScaledToZero {
		p.condition(autoscalingv2.ScaledToZero, corev1.ConditionTrue, ScaledToZero)
	} else {
		p.condition(autoscalingv2.ScaledToZero, corev1.ConditionFalse, NotScaledToZero)
	}
	if p.draft > p.current && p.stages.forced == "" && !p.off.FreshLooks {
		p.d.State.Raised = p.in.Now
	}
	if b := p.policy.behavior; b != nil {
		if p.draft > p.current {
			p.d.State.ScaleUps = p.remember(p.d.State.ScaleUps, int32(p.draft-p.current), &b.up, b)
		} else {
			p.d.State.ScaleDowns = p.remember(p.d.State.ScaleDowns, int32(p.current-p.draft), &b.down, b)
		}
	}
}

// zeroCondition carries the ScaledToZero condition of a pass that changed nothing.
func (p *pass) zeroCondition() {
	if p.d.State.ScaledToZero {
		p.condition(autoscalingv2.ScaledToZero, corev1.ConditionTrue, ScaledToZero)
	}
}

// remember adds a change to a list of events. The HPA marks what is older than the longest period of that direction, although the
// periods of the other may still count it, and reuses the last slot that has a mark, although a longer period may count it again;
// with CompactHistory all that neither direction counts any more are forgotten, and only those.
func (p *pass) remember(events []ScaleEvent, change int32, r *rules, b *behavior) []ScaleEvent {
	now := ScaleEvent{At: p.in.Now, Change: change}
	if !p.off.CompactHistory {
		cutoff := p.in.Now.Add(-max(b.up.longest, b.down.longest))
		gone := func(i int) bool { return events[i].At.Before(cutoff) }
		return enter(events, now, gone, gone)
	}
	marked, cutoff := slices.Clone(events), p.in.Now.Add(-r.longest)
	for i := range marked {
		marked[i].Outdated = marked[i].Outdated || marked[i].At.Before(cutoff)
	}
	return enter(marked, now, func(i int) bool { return marked[i].Outdated }, func(int) bool { return false })
}
