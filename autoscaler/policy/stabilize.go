package policy

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// stabilize holds the draft against what earlier passes wanted, and remembers what this one wants.
func (p *pass) stabilize() {
	wanted := p.draft
	if b := p.policy.behavior; b != nil {
		p.stabilizeBoth(b)
	} else {
		p.stabilizeDown()
	}
	if p.draft != wanted {
		p.stages.stabilized = true
		p.hold = ScaleDownStabilized
		if p.policy.behavior != nil && wanted >= p.current {
			p.hold = ScaleUpStabilized
		}
		p.stages.able = p.hold
	} else {
		p.stages.able = ReadyForNewScale
	}
	p.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, p.stages.able)
}

// stabilizeDown is the rule without behavior: the highest of the last time, an age of exactly the
// window included. The HPA thereby also raises the count to a remembered need that is gone; with the switch
// StabilizeDownOnly memory holds and does not raise.
func (p *pass) stabilizeDown() {
	window := p.stableAtLeast(p.in.Options.DownscaleStabilization)
	cutoff := p.in.Now.Add(-window)
	highest := p.draft
	for _, r := range p.d.State.Recommendations {
		if !r.At.Before(cutoff) {
			highest = max(highest, r.Replicas)
		}
	}
	wanted := p.draft
	p.recommend(wanted, func(at time.Time) bool { return at.Before(cutoff) })
	why := fmt.Sprintf("highest in %s: %d", seconds(window), highest)
	if held := max(wanted, p.current); highest > held && !p.off.StabilizeDownOnly {
		why += fmt.Sprintf(", which is no longer asked for (stabilizeDownOnly; the HPA would go to %d)", highest)
		highest = held
	}
	p.stages.highest = highest
	p.step(StepStabilize, highest, why)
}

// stabilizeBoth is the rule with behavior: the current count, raised to the lowest of the up window,
// then lowered to the highest of the down window; ages strictly below the windows count.
func (p *pass) stabilizeBoth(b *behavior) {
	upCutoff, downCutoff := p.in.Now.Add(-b.up.window), p.in.Now.Add(-p.downWindow(b))
	wanted := p.draft
	lowest, highest := wanted, wanted
	for _, r := range p.d.State.Recommendations {
		if r.At.After(upCutoff) {
			lowest = min(lowest, r.Replicas)
		}
		if r.At.After(downCutoff) {
			highest = max(highest, r.Replicas)
		}
	}
	p.recommend(wanted, func(at time.Time) bool { return at.Before(upCutoff) && at.Before(downCutoff) })
	p.stages.highest = highest
	if wanted >= p.current {
		p.stages.highest = lowest
	}
	p.step(StepStabilize, min(max(p.current, lowest), highest), p.windowText(b, lowest, highest))
}

// downWindow is the down window that holds.
func (p *pass) downWindow(b *behavior) time.Duration {
	if b.down.window < 0 {
		return p.stableAtLeast(p.num.window(p.in.Options.DownscaleStabilization))
	}
	return p.stableAtLeast(b.down.window)
}

// stableAtLeast is how long a need is held against a lowering: what was needed within the stable window, on which that is to rest, always is.
func (p *pass) stableAtLeast(window time.Duration) time.Duration {
	if p.off.FreshLooks {
		return window
	}
	return max(window, p.policy.stable)
}

// windowText says what memory holds in the direction of the draft.
func (p *pass) windowText(b *behavior, lowest, highest cluster.DesiredReplicas) string {
	if p.draft > p.current {
		if b.up.window == 0 {
			return "no wait to grow"
		}
		return fmt.Sprintf("lowest in %s: %d", seconds(b.up.window), lowest)
	}
	if w := p.downWindow(b); w > 0 {
		return fmt.Sprintf("highest in %s: %d", seconds(w), highest)
	}
	return "no wait to shrink"
}

// recommend remembers what this pass wants. With CompactHistory what can no longer matter is forgotten: what is expired, and
// what is followed by both a value as high and one as low.
func (p *pass) recommend(wanted cluster.DesiredReplicas, expired func(time.Time) bool) {
	old := p.d.State.Recommendations
	gone := func(i int) bool { return expired(old[i].At) }
	useless := func(i int) bool { return !p.off.CompactHistory && (gone(i) || redundant(old[i+1:], old[i], wanted)) }
	p.d.State.Recommendations = enter(old, Recommendation{At: p.in.Now, Replicas: wanted}, gone, useless)
}

// enter returns a list with a new entry and without what is useless. As the HPA does it, the new one takes the place of the last
// that is gone.
func enter[T any](old []T, entry T, gone, useless func(i int) bool) []T {
	out := make([]T, 0, len(old)+1)
	slot := -1
	for i, e := range old {
		if useless(i) {
			continue
		}
		if gone(i) {
			slot = len(out)
		}
		out = append(out, e)
	}
	if slot < 0 {
		return append(out, entry)
	}
	out[slot] = entry
	return out
}

// redundant says whether r can change no minimum and no maximum over any window that ends now or later.
func redundant(later []Recommendation, r Recommendation, newest cluster.DesiredReplicas) bool {
	high, low := newest >= r.Replicas, newest <= r.Replicas
	for _, l := range later {
		if l.At.Before(r.At) {
			continue
		}
		high, low = high || l.Replicas >= r.Replicas, low || l.Replicas <= r.Replicas
	}
	return high && low
}
