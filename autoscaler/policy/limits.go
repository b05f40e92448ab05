package policy

import (
	"fmt"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// bound is one end of what is allowed, and why.
type bound struct {
	n           cluster.DesiredReplicas
	why         Reason
	word, cause string
}

func (b bound) text() string { return b.word + itoa(b.n) + b.cause }

func (p *pass) floor() bound   { return bound{p.min, TooFewReplicas, "at least ", " asked for"} }
func (p *pass) ceiling() bound { return bound{p.max, TooManyReplicas, "at most ", " allowed"} }

// limit keeps the draft within its limits and its speed: without behavior at least min, at most max, and at most the cap of one
// pass; with behavior the moving direction only.
func (p *pass) limit() {
	o, b := &p.in.Options, p.policy.behavior
	floor, ceiling := p.floor(), p.ceiling()
	to, why, text := p.draft, DesiredWithinRange, ""
	switch {
	case b == nil:
		if most := cluster.DesiredReplicas(p.num.count(math.Max(o.ScaleUpLimitFactor*float64(p.current), o.ScaleUpLimitMinimum))); most < p.max {
			ceiling = bound{most, ScaleUpLimit, "at most ", " in one go"}
		}
	case p.draft > p.current:
		if most, by := p.rateLimit(&b.up, true); max(most, p.current) < p.max {
			ceiling = bound{max(most, p.current), ScaleUpLimit, "at most ", by}
			text = ceiling.text()
		}
	case p.draft < p.current:
		if least, by := p.rateLimit(&b.down, false); min(least, p.current) > p.min {
			floor = bound{min(least, p.current), ScaleDownLimit, "at least ", by}
			text = floor.text()
		}
	}
	switch {
	case p.draft < floor.n && (b == nil || p.draft < p.current):
		to, why, text = floor.n, floor.why, floor.text()
	case p.draft > ceiling.n:
		to, why, text = ceiling.n, ceiling.why, ceiling.text()
	case text == "":
		text = p.rangeText()
	}
	if to != p.draft {
		p.stages.limited, p.stages.limit = why, text
		p.hold = why
	}
	p.stages.within = why
	p.limited(why)
	p.step(StepLimits, to, text)
}

// rateLimit is how far the rules let the count move now, and which rule says so.
func (p *pass) rateLimit(r *rules, up bool) (limit cluster.DesiredReplicas, by string) {
	if r.choose == autoscalingv2.DisabledPolicySelect {
		return p.current, ": this direction is disabled"
	}
	least := r.choose == autoscalingv2.MinChangePolicySelect
	for i, rp := range r.policies {
		base := int64(p.current) - changes(p.d.State.ScaleUps, p.in.Now, rp.period) + changes(p.d.State.ScaleDowns, p.in.Now, rp.period)
		proposed := cluster.DesiredReplicas(p.num.from(&rp, base, up))
		// the largest move is the highest on the way up and the lowest on the way down
		if i == 0 || (proposed > limit) == (up != least) && proposed != limit {
			limit, by = proposed, " within "+seconds(rp.period)
		}
	}
	return limit, by
}

// from is where one policy lets a count go that was base when its period began.
func (x numbers) from(rp *ratePolicy, base int64, up bool) int32 {
	if x.wrap {
		base = int64(int32(base))
	}
	b, v := float64(base), float64(rp.value)
	switch {
	case rp.percent && up:
		return x.count(math.Ceil(b * (1 + v/100)))
	case rp.percent:
		return x.count(math.Trunc(b * (1 - v/100)))
	case up:
		return x.whole(base + int64(rp.value))
	}
	return x.whole(base - int64(rp.value))
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
