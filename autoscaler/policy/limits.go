package policy

import (
	"fmt"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// limit keeps the draft within its limits and its speed.
func (p *pass) limit() {
	to, why, text := p.limitPlain()
	if b := p.policy.behavior; b != nil {
		to, why, text = p.limitRate(b)
	}
	status := corev1.ConditionFalse
	if to != p.draft {
		status = corev1.ConditionTrue
		p.stages.limited, p.stages.limit = why, text
		p.hold = why
	}
	p.condition(autoscalingv2.ScalingLimited, status, why)
	p.step(StepLimits, to, text)
}

// limitPlain is the rule without behavior: at least min, at most max, and at most the cap of one pass.
func (p *pass) limitPlain() (to cluster.DesiredReplicas, why Reason, text string) {
	o := &p.in.Options
	top, topWhy, topText := p.max, TooManyReplicas, "at most "+replicasText(p.max)+" allowed"
	limit := cluster.DesiredReplicas(saturate32(math.Max(o.ScaleUpLimitFactor*float64(p.current), o.ScaleUpLimitMinimum)))
	if p.max > limit {
		top, topWhy, topText = limit, ScaleUpLimit, "at most "+replicasText(limit)+" in one go"
	}
	switch {
	case p.draft < p.min:
		return p.min, TooFewReplicas, "at least " + replicasText(p.min) + " asked for"
	case p.draft > top:
		return top, topWhy, topText
	}
	return p.draft, DesiredWithinRange, p.rangeText()
}

// limitRate is the rule with behavior: the moving direction only.
func (p *pass) limitRate(b *behavior) (to cluster.DesiredReplicas, why Reason, text string) {
	switch {
	case p.draft > p.current:
		limit, by := p.rateLimit(&b.up, true)
		limit = max(limit, p.current)
		if p.max > limit {
			if p.draft > limit {
				return limit, ScaleUpLimit, "at most " + replicasText(limit) + by
			}
			return p.draft, DesiredWithinRange, "at most " + replicasText(limit) + by
		}
		if p.draft > p.max {
			return p.max, TooManyReplicas, "at most " + replicasText(p.max) + " allowed"
		}
	case p.draft < p.current:
		limit, by := p.rateLimit(&b.down, false)
		limit = min(limit, p.current)
		if p.min < limit {
			if p.draft < limit {
				return limit, ScaleDownLimit, "at least " + replicasText(limit) + by
			}
			return p.draft, DesiredWithinRange, "at least " + replicasText(limit) + by
		}
		if p.draft < p.min {
			return p.min, TooFewReplicas, "at least " + replicasText(p.min) + " asked for"
		}
	}
	return p.draft, DesiredWithinRange, p.rangeText()
}

// rateLimit is how far the rules let the count move now, and which rule says so.
func (p *pass) rateLimit(r *rules, up bool) (limit cluster.DesiredReplicas, by string) {
	if r.choose == autoscalingv2.DisabledPolicySelect {
		return p.current, ": this direction is disabled"
	}
	least := r.choose == autoscalingv2.MinChangePolicySelect
	for i, rp := range r.policies {
		base := int64(p.current) - changes(p.d.State.ScaleUps, p.in.Now, rp.period) + changes(p.d.State.ScaleDowns, p.in.Now, rp.period)
		proposed := cluster.DesiredReplicas(rp.from(base, up))
		// the largest move is the highest on the way up and the lowest on the way down
		if i == 0 || (proposed > limit) == (up != least) && proposed != limit {
			limit, by = proposed, " within "+seconds(rp.period)
		}
	}
	return limit, by
}

// from is where one policy lets a count go that was base when its period began.
func (rp *ratePolicy) from(base int64, up bool) int32 {
	b, v := float64(base), float64(rp.value)
	switch {
	case rp.percent && up:
		return saturate32(math.Ceil(b * (1 + v/100)))
	case rp.percent:
		return saturate32(math.Trunc(b * (1 - v/100)))
	case up:
		return saturate32(b + v)
	}
	return saturate32(b - v)
}

// changes sums the changes that are strictly younger than a period.
func changes(events []ScaleEvent, now time.Time, period time.Duration) (sum int64) {
	cutoff := now.Add(-period)
	for _, e := range events {
		if e.At.After(cutoff) {
			sum += int64(e.Change)
		}
	}
	return sum
}

// rangeText is the range of counts that is allowed: "2 to 10".
func (p *pass) rangeText() string { return fmt.Sprintf("%d to %d", p.min, p.max) }
