package capacity

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The rules of the advice. CPU at the 95th percentile and memory at the maximum and 15 % are those of Robusta's krr ("Simple" strategy), as
// is the quarter after an OOM kill (its oom-memory-buffer-percentage); Kubernetes' VPA goes by the same shape (docs/features.md,
// recommender flags oom-bump-up-ratio and recommendation-margin-fraction) on a decaying histogram.
const (
	memoryMargin = 1.15
	oomMargin    = 1.25
	// throttleFrom is the share of CFS periods from which throttling is said to hide what is wanted.
	throttleFrom = 0.05
	keepWithin   = 0.10 // a request that is enough, and too much by no more than this, is kept

	floorCPU    = 0.010 // as krr
	floorMemory = 16 << 20
)

// adviseOn makes one row.
func adviseOn(g grid, k id, now *running, u *usage, to goal) Advice {
	a := Advice{Namespace: k.namespace, Kind: k.kind, Workload: k.workload, Container: k.container, Replicas: now.replicas,
		Scaled: to.cpu != nil || to.memory != nil, Data: dataOf(u, g), OOMKills: max(u.oomKills(), now.killed), Restarts: restarts(u, now)}
	a.Throttled = u.throttled(0)
	a.CPU = ResourceAdvice{Request: now.cpuRequest, Limit: now.cpuLimit, P95: p95(u.busy), Max: greatest(u.busy)}
	a.Memory = ResourceAdvice{Request: now.memoryRequest, Limit: now.memoryLimit, P95: p95(u.meanMemory), Max: u.peak}
	if to.cpu != nil && len(u.mean) > 0 {
		a.CPU.P95 = p95(u.mean)
	}
	if seen := seenFor(u, now, g); seen < time.Hour || a.CPU.P95 == nil && a.Memory.Max == nil {
		a.Confidence, a.ConfidenceReason = None, "too little data"
		a.Reason = fmt.Sprintf("No advice: it takes an hour of data; %s.", little(seen, now, g.end))
		return a
	}
	adviseCPU(&a, u, to.cpu)
	adviseMemory(&a, u.limitHit(g, now.memoryLimit), to.memory)
	a.CPU.settle(now.replicas, coresUnit)
	a.Memory.settle(now.replicas, bytesUnit)
	a.Confidence, a.ConfidenceReason = confidence(&a, seenFor(u, now, g), g)
	a.Reason = sentence(&a, now.replicas)
	return a
}

// restarts is how often it was restarted within the window: as the history knows, and as was seen of those that run now; nil where nobody counts.
func restarts(u *usage, now *running) *int {
	n := now.restarts
	if u.restarts != nil {
		c := count(*u.restarts)
		if n == nil || *n < c {
			n = &c
		}
	}
	return n
}

// little says how much data there is where it is too little, up to the end of the window.
func little(seen time.Duration, now *running, end time.Time) string {
	const after = "after the last full hour, up to which the history is looked at"
	whole := end.Equal(end.Truncate(time.Hour)) // a short window ends now
	switch {
	case seen == 0 && whole && !now.since.IsZero() && !now.since.Before(end):
		return "it began " + after
	case seen == 0 && whole && !now.heard.IsZero() && !now.heard.Before(end):
		return "its data begins " + after
	case seen == 0:
		return "so far there is none"
	case seen < time.Minute:
		return "so far there is less than a minute"
	case seen < 2*time.Minute:
		return "so far there is 1 minute"
	}
	return "so far there are " + plural(math.Floor(seen.Minutes()), "minute")
}

func adviseCPU(a *Advice, u *usage, target *float64) {
	r := &a.CPU
	if r.P95 == nil {
		r.Reason = "no CPU history"
		return
	}
	want, why := *r.P95, "p95 "+coresText(*r.P95)
	if target != nil {
		want /= *target
		why = fmt.Sprintf("p95 of a replica %s at its target of %s", coresText(*r.P95), share(*target))
	}
	if t := a.Throttled; t != nil && *t >= throttleFrom {
		want *= 1 + *t
		why += fmt.Sprintf(", more because it is throttled in %s of periods", share(*t))
		if r.Limit != nil {
			if t := u.throttled(*r.Limit); t != nil && *t >= throttleFrom {
				l := roundCPU(*r.Limit * (1 + *t))
				r.AdvisedLimit = &l
			}
		}
	}
	r.advise(want, roundCPU(want), floorCPU, why, coresUnit)
}

// adviseMemory advises by what was used and, where it was killed, by the limit that it hit then; hit is nil where it had none.
func adviseMemory(a *Advice, hit, target *float64) {
	r := &a.Memory
	if r.Max == nil {
		r.Reason = "no memory history"
		return
	}
	want, why := *r.Max*memoryMargin, fmt.Sprintf("max %s + 15 %%", bytesText(*r.Max))
	if target != nil && r.P95 != nil {
		want, why = *r.P95 / *target, fmt.Sprintf("p95 of a replica %s at its target of %s", bytesText(*r.P95), share(*target))
		if want < *r.Max {
			want, why = *r.Max, fmt.Sprintf("max %s, which is above what its target of %s asks for", bytesText(*r.Max), share(*target))
		}
	}
	if a.OOMKills > 0 {
		above, what := *r.Max, "what it used"
		if hit != nil {
			above, what = *hit, "the limit it hit"
		}
		if w := above * oomMargin; w > want {
			want, why = w, fmt.Sprintf("%s, and a quarter above %s (%s)", kills(a.OOMKills), what, bytesText(above))
		} else {
			why += ", " + kills(a.OOMKills)
		}
	}
	r.advise(want, roundMemory(want), floorMemory, why, bytesUnit)
	if r.Limit != nil && a.OOMKills > 0 && hit != nil && *r.Limit <= *hit {
		l := max(*r.Advised, roundMemory(*r.Limit*oomMargin))
		r.AdvisedLimit = &l
	}
}

// advise sets the advice: what is wanted, rounded up, but no less than the floor.
func (r *ResourceAdvice) advise(want, rounded, floor float64, why string, u unit) {
	if want < floor {
		rounded = floor
		why += ", which is under the floor of " + u.text(floor)
	}
	r.Reason = why
	if q := r.Request; q != nil && *q >= max(want, floor) && *q-rounded <= keepWithin**q {
		rounded = *q
	}
	r.Advised = &rounded
}

// settle finds out what the advice means.
func (r *ResourceAdvice) settle(replicas int, u unit) {
	if r.Advised == nil {
		return
	}
	switch {
	case r.Request == nil:
		r.Action = Set
	case *r.Advised > *r.Request:
		r.Action = Raise
	case *r.Advised < *r.Request:
		r.Action = Lower
	default:
		r.Action = Keep
	}
	if r.Request != nil {
		v := (*r.Request - *r.Advised) * float64(replicas)
		r.Saving = &v
	}
	if r.Limit != nil && *r.Advised > *r.Limit {
		l := max(*r.Advised, or(r.AdvisedLimit, 0))
		r.AdvisedLimit = &l
	}
	if r.AdvisedLimit != nil {
		r.Reason += fmt.Sprintf("; its limit of %s should be %s", u.text(*r.Limit), u.text(*r.AdvisedLimit))
	}
}

// sentence says the advice of a row in words.
func sentence(a *Advice, replicas int) string {
	var parts []string
	for _, x := range resources {
		r := x.advice(a)
		switch r.Action {
		case "":
			parts = append(parts, fmt.Sprintf("No advice for %s: %s.", x.word, r.Reason))
		case Keep:
			parts = append(parts, fmt.Sprintf("Keep %s at %s: %s.", x.word, x.unit.text(*r.Request), r.Reason))
		case Set:
			parts = append(parts, fmt.Sprintf("Set %s to %s: %s.", x.word, x.unit.text(*r.Advised), r.Reason))
		default:
			from, to := x.unit.text(*r.Request), "to "+x.unit.text(*r.Advised)
			if to == "to "+from { // rounding hides the difference
				to = "by " + x.unit.text(math.Abs(*r.Advised-*r.Request))
			}
			parts = append(parts, fmt.Sprintf("%s %s from %s %s: %s.", strings.ToUpper(r.Action[:1])+r.Action[1:], x.word, from, to, r.Reason))
		}
	}
	if replicas == 0 {
		parts = append(parts, "None runs now.")
	}
	return strings.Join(parts, " ")
}

// confidence says how far the advice is to be believed, and why.
func confidence(a *Advice, seen time.Duration, g grid) (level, why string) {
	window := g.end.Sub(g.start)
	between := 1.0
	if d := a.Data; d.First != nil {
		between = min(1, float64(seen)/float64(d.Last.Sub(*d.First)))
	}
	had := fmt.Sprintf("%s of data", span(seen))
	switch {
	case seen < min(day, window/2):
		return Low, had + " only"
	case between < 0.5:
		return Low, fmt.Sprintf("%s, with gaps for %s of the time", had, share(1-between))
	case a.OOMKills > 0:
		return Medium, fmt.Sprintf("%s, but %s: what it would have used is not known", had, kills(a.OOMKills))
	case a.Throttled != nil && *a.Throttled >= throttleFrom:
		return Medium, had + ", but throttled: what it would have used is not known"
	case a.Restarts != nil && float64(*a.Restarts) > max(3, seen.Hours()/24):
		return Medium, fmt.Sprintf("%s, but %d restarts", had, *a.Restarts)
	case seen < 7*day:
		return Medium, had + ", less than a week"
	case between < 0.9:
		return Medium, fmt.Sprintf("%s, with gaps for %s of the time", had, share(1-between))
	}
	return High, had
}

func kills(n int) string {
	return numbered(n, "killed for memory once", "killed for memory %d times")
}

// roundCPU rounds up to 10m, from one core to 50m, from ten to 500m.
func roundCPU(v float64) float64 {
	switch {
	case v > 10:
		return up(v, 0.5)
	case v > 1:
		return up(v, 0.05)
	}
	return up(v, 0.01)
}

// roundMemory rounds up to 1 MiB, from 1 GiB to 16 MiB, from 16 GiB to 256 MiB.
func roundMemory(v float64) float64 {
	switch {
	case v > 16<<30:
		return up(v, 256<<20)
	case v > 1<<30:
		return up(v, 16<<20)
	}
	return up(v, 1<<20)
}

// up rounds up to a multiple of a step, but for what arithmetic leaves behind the ninth digit.
func up(v, step float64) float64 {
	n := math.Ceil(v/step - 1e-9)
	if step < 1 {
		return math.Round(n*step*1000) / 1000
	}
	return n * step
}

func greatest(at map[int64]float64) *float64 {
	var out *float64
	for _, v := range at {
		out = greater(out, &v)
	}
	return out
}

func greater(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

func or(p *float64, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return *p
}
