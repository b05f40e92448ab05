package policy

import (
	"fmt"
	"math"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// choose picks the largest proposal. It is false when nothing may be scaled.
func (p *pass) choose() bool {
	failed, first := 0, -1
	var replicas int32
	for i := range p.results {
		r := &p.results[i]
		if !r.ok {
			if failed++; first < 0 {
				first = i
			}
			continue
		}
		if replicas == 0 || r.proposal > replicas || r.proposal == replicas && r.need > p.results[p.best].need { // of those that keep the count one that needs it
			replicas, p.best = r.proposal, i
		}
	}
	if failed > 0 {
		p.d.Error = fmt.Sprintf("invalid metrics (%d invalid out of %d), first error is: %s", failed, len(p.results), p.results[first].err)
	}
	if failed == len(p.results) || (failed > 0 && (replicas < int32(p.current) || p.results[p.best].waits != 0 && p.results[p.best].need < int32(p.current))) {
		p.condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, p.results[first].failure)
		p.hold, p.best = p.results[first].failure, first
		p.step(StepMetrics, p.current, p.metricsText())
		p.addNotes()
		return false
	}
	p.condition(autoscalingv2.ScalingActive, corev1.ConditionTrue, ValidMetricFound)
	if failed > 0 {
		p.lost = p.lostText(failed, first)
		p.d.Conditions[len(p.d.Conditions)-1].Message = "The metrics that did not fail say how many replicas are needed." + p.lost
	}
	best := &p.results[p.best]
	p.need, p.hold = cluster.DesiredReplicas(max(replicas, 0)), best.hold
	p.d.Look = lookReport(best)
	p.step(StepMetrics, p.need, p.metricsText())
	p.addNotes()
	if best.hold == WithinNoise {
		p.step(StepNoise, p.draft, p.noiseText(best))
	}
	if p.hold == "" && p.need == p.current {
		p.hold = AtTarget
	}
	return true
}

// lookReport names the look that a result rests on, nil if on none.
func lookReport(r *result) *LookReport {
	if r.look == nil {
		return nil
	}
	rep := &LookReport{Window: r.look.Window}
	if !math.IsNaN(r.noise) {
		rep.Noise = known(cluster.MilliOfFloat(r.noise))
	}
	return rep
}

// awaiting says whether a metric that only asks now and then whether to shrink is what keeps the count.
func (p *pass) awaiting() bool {
	return p.draft <= p.current && slices.ContainsFunc(p.results, func(r result) bool { return r.ok && r.waits != 0 })
}

// note records a deviation, once.
func (p *pass) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(p.notes, text) {
		p.notes = append(p.notes, text)
	}
}

// addNotes turns the deviations into steps.
func (p *pass) addNotes() {
	for _, n := range p.notes {
		p.step(StepDeviation, p.draft, n)
	}
	p.notes = p.notes[:0]
}
