package policy

import (
	"cmp"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// shrinkInterval is how often the longest look may lower the count.
const shrinkInterval = 15 * time.Second

// findLooks sets p.looks to the looks of a resource that the policy can use, and says whether there are any.
func (p *pass) findLooks(name corev1.ResourceName) bool {
	p.looks = slices.Grow(p.looks[:0], len(p.in.Looks))
	for i := range p.in.Looks {
		if l := &p.in.Looks[i]; l.Metric == name && l.Window >= p.policy.window && l.Window <= p.policy.stable {
			p.looks = append(p.looks, l)
		}
	}
	p.freshest = nil
	for i := range p.in.Newest {
		if l := &p.in.Newest[i]; l.Metric == name && l.Window < p.policy.window && l.NoiseKnown {
			p.freshest = l
		}
	}
	return len(p.looks) > 0
}

func byWindow(a, b *Look) int { return cmp.Compare(a.Window, b.Window) }

// askLooks evaluates a metric by its looks to grow at once, to shrink now and then.
func (p *pass) askLooks(m *metric, rep *MetricReport, r *result) {
	switch {
	case p.policy.confidence == 0:
		p.askOneLook(m, rep, r, slices.MinFunc(p.looks, byWindow))
	case p.knownLook() == nil:
		p.note("freshLooks: the noise is not known yet: the plain rule over what there is")
		p.askOneLook(m, rep, r, slices.MaxFunc(p.looks, byWindow))
		if current := int32(p.current); r.err == "" && r.proposal < current && r.look.Window < p.policy.stable {
			r.waits, r.proposal, r.hold = forWindow, current, AwaitingLook
		}
	case !p.grow(m, rep, r):
		p.shrink(m, rep, r)
	}
}

// askOneLook applies the HPA's rule to one look.
func (p *pass) askOneLook(m *metric, rep *MetricReport, r *result, l *Look) {
	r.look, r.noise, r.plain, r.departed = l, p.noiseOf(l), true, l.Departed
	r.err = p.fillLook(m, l)
	p.askTable(m, rep, r)
}

// fillLook fills the table from a look.
func (p *pass) fillLook(m *metric, l *Look) (problem string) {
	age := p.in.Options.MaxLookAge
	if p.off.DropStale {
		age = 0
	}
	return p.fillResource(m, l.Usage, age)
}

// grow goes through the looks, shortest first, and stops at the first on which the load stands clear of its noise and
// asks for more. It leaves the table at the last look that it read; r holds the first error, or the noisiest excess.
func (p *pass) grow(m *metric, rep *MetricReport, r *result) bool {
	asked := float64(p.current)
	for _, l := range p.looks {
		if r.err = p.fillLook(m, l); r.err != "" {
			r.look = nil
			return false
		}
		load, each := p.table.load(m)
		noise, z := p.noiseOf(l), p.z(l.Window)
		if math.IsNaN(rep.Load) { // the shortest look is the freshest
			p.fresh(m, rep, load, each, noise, l.Window)
		}
		if !(load > asked*(1+p.tol.up)) {
			continue
		}
		if !(load > asked*(1+p.tol.up)+z*noise/each) {
			if r.look == nil {
				r.look, r.noise = l, noise
			}
			continue
		}
		n, _, problem := p.propose(m)
		if problem != "" || n <= int32(p.current) {
			continue
		}
		r.look, r.noise, r.hold, r.proposal, r.need = l, noise, "", n, n
		if p.freshest != nil && !p.risen(m, r, load) {
			_ = p.fillLook(m, l) // as before
		}
		p.report(m, rep, r)
		return true
	}
	if p.freshest == nil || p.in.Now.Sub(p.d.State.Raised) > p.policy.window { // a rise that was answered in part is in no whole look yet
		return false
	}
	if p.risen(m, r, asked) {
		p.report(m, rep, r)
		return true
	}
	_ = p.fillLook(m, p.looks[len(p.looks)-1])
	return false
}

// risen asks the newest second how far the load has risen that a look shows in part: a look of three seconds has a third of a step after one. It goes as far as that second is above the look by more
// than its noise, and than what stood out so for a second or two lately and did not last. load is what it must be above: that of the look, or what the count carries.
func (p *pass) risen(m *metric, r *result, load float64) bool {
	l := p.freshest
	if p.fillLook(m, l) != "" {
		return false
	}
	newest, each := p.table.load(m)
	sure := newest - max(p.policy.confidence*l.Noise, l.Spike)/each
	n, _, problem := p.propose(m)
	n = min(n, p.num.count(math.Ceil(sure)))
	if problem != "" || !(sure > load*(1+p.tol.up)) || n <= max(r.proposal, int32(p.current)) {
		return false
	}
	r.look, r.noise, r.hold, r.proposal, r.need = l, l.Noise, "", n, n
	return true
}

// shrink applies the HPA's rule over the stable window; the answer counts only when that look is due. What grow
// left in r is a look that rose above the target without standing clear of its noise, which explains a hold.
func (p *pass) shrink(m *metric, rep *MetricReport, r *result) {
	noisy, noise := r.look, r.noise
	stable := slices.MaxFunc(p.looks, byWindow)
	r.look, r.noise, r.hold, r.departed = stable, p.noiseOf(stable), "", stable.Departed
	if r.err == "" {
		r.err = p.fillLook(m, stable)
	}
	p.askTable(m, rep, r)
	if r.err != "" {
		r.look = nil
		return
	}
	if r.waits = p.sinceAll(m, rep, r); r.waits == 0 && stable.Window < p.policy.stable {
		r.waits = forWindow
	} else if r.waits == 0 && !p.due() {
		r.waits = forTurn
	}
	switch current := int32(p.current); {
	case r.proposal >= current: // growing was decided before
		r.proposal, r.need = current, current
	case r.waits != 0:
		r.proposal, r.hold = current, AwaitingLook
		return
	default:
		return
	}
	if noisy == nil {
		return
	}
	r.look, r.noise, r.hold = noisy, noise, WithinNoise
	if p.fillLook(m, noisy) == "" {
		p.report(m, rep, r)
	}
}

// wait is what a lowering waits for.
type wait byte

const (
	forWindow wait = iota + 1 // the stable look, which there is not yet
	forReady                  // a pod that was just started
	forAll                    // a look of half the stable window in which every pod was ready
	forTurn                   // the next look at shrinking
)

// sinceAll asks beside the stable look, where some pod has not been ready for all of it, the longest in which every pod has, and keeps the answer that asks for more: what such a pod
// used is in the stable look for a part of it, as what had moved to it from others, and it may as well be a load of its own. Of less than half the stable window it rests on a lull. It says what there is to wait for until there is such a look.
func (p *pass) sinceAll(m *metric, rep *MetricReport, r *result) wait {
	stable, since := r.look, (*Look)(nil)
	switch {
	case slices.ContainsFunc(rep.Pods.Unready, p.begun): // who has just been asked for is left out, and may be what the load needs
		return forReady
	case !stable.young():
		return 0
	}
	for _, l := range p.looks {
		if 2*l.Window >= p.policy.stable && !l.young() && (since == nil || l.Window > since.Window) {
			since = l
		}
	}
	if since == nil {
		return forAll
	}
	was, told := *r, *rep
	r.look, r.noise, r.hold, r.departed = since, p.noiseOf(since), "", since.Departed
	if r.err = p.fillLook(m, since); r.err == "" {
		p.askTable(m, rep, r)
	}
	if r.err == "" && r.proposal >= was.proposal {
		return 0
	}
	if *r, *rep = was, told; p.fillLook(m, stable) != "" { // which it was
		return forAll
	}
	return 0
}

// begun says whether a pod was started, or made and is not started yet, within the stable window. One that is not ready for longer may never be.
func (p *pass) begun(pod string) bool {
	i := p.find(pod, 0)
	if i < 0 || i >= len(p.in.Pods) {
		return false
	}
	since := p.in.Pods[i].StartTime
	if since.IsZero() {
		since = p.in.Pods[i].Status.Since
	}
	return since.After(p.in.Now.Add(-p.policy.stable))
}

// young says whether a pod's sample covers a part of the window alone.
func (l *Look) young() bool {
	return slices.ContainsFunc(l.Usage, func(u cluster.PodUsage) bool { return !Covers(u.Window, l.Window) })
}

// Covers says whether samples over a span cover a window: as they come each second, and not on the beat, it may be a second and a half shorter.
func Covers(span, window time.Duration) bool { return span >= window-3*time.Second/2 }

// due says whether the look that shrinking rests on is due: when the last pass that was remembered is 15 s old.
func (p *pass) due() bool {
	for _, r := range p.d.State.Recommendations {
		if p.in.Now.Sub(r.At) < shrinkInterval {
			return false
		}
	}
	return true
}

// z is how many standard errors a look of length w must stand clear: the policy's confidence at the shortest, 0 at the
// longest, linear in log w.
func (p *pass) z(w time.Duration) float64 {
	lo, hi := p.policy.window, p.policy.stable
	if w >= hi {
		if lo == hi {
			return p.policy.confidence
		}
		return 0
	}
	return p.policy.confidence * (1 - math.Log(float64(w)/float64(lo))/math.Log(float64(hi)/float64(lo)))
}

// knownLook returns the longest look whose noise is known, nil if there is none.
func (p *pass) knownLook() (found *Look) {
	for _, l := range p.looks {
		if l.NoiseKnown && (found == nil || l.Window > found.Window) {
			found = l
		}
	}
	return found
}

// noiseOf is the standard error of a look's total: its own, or borrowed from the longest known look; NaN with none.
func (p *pass) noiseOf(l *Look) float64 {
	if l.NoiseKnown {
		return l.Noise
	}
	from := p.knownLook()
	if from == nil {
		return math.NaN()
	}
	return from.Noise * math.Sqrt(float64(from.Window)/float64(l.Window))
}
