package policy

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

func itoa(n cluster.DesiredReplicas) string { return strconv.Itoa(int(n)) }

// carry is "6 replicas bring", "1 replica brings".
func carry(n cluster.DesiredReplicas, verb string) string {
	if n == 1 {
		return "1 replica " + strings.Replace(verb+"s", "ys", "ies", 1)
	}
	return itoa(n) + " replicas " + verb
}

// share writes a load of a metric: "104 %" or an amount.
func (m *metric) share(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "an unknown share"
	}
	if m.target == autoscalingv2.UtilizationMetricType {
		return strconv.FormatFloat(math.Round(x*100), 'f', -1, 64) + " %"
	}
	return m.amount(x * m.milli.Float())
}

// amount writes an amount of the metric's unit: cores as Kubernetes does, bytes as "1.84Mi", all else as a number of four digits.
func (m *metric) amount(x float64) string {
	switch {
	case !m.byPod():
		return scaled(x, 1000, 4, "", "k", "M", "G", "T", "P", "E")
	case m.resource() == corev1.ResourceCPU || strings.Contains(m.name, "/"):
		return cluster.Milli(saturate64(math.Round(x * 1000))).String()
	}
	return scaled(x, 1024, 3, "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
}

// scaled writes a number of so many digits with the suffix that makes it short. Numbers below a million need none.
func scaled(x, base float64, digits int, suffixes ...string) string {
	i := 0
	if base == 1024 || math.Abs(x) >= 1e6 {
		for ; math.Abs(x) >= base && i < len(suffixes)-1; i++ {
			x /= base
		}
	}
	if x != 0 {
		unit := max(1, math.Pow10(digits-1-int(math.Floor(math.Log10(math.Abs(x)))))) // whole ones are not cut off
		if x = math.Round(x*unit) / unit; math.Abs(x) >= base && i > 0 && i < len(suffixes)-1 {
			x, i = x/base, i+1
		}
	}
	return strconv.FormatFloat(x, 'f', -1, 64) + suffixes[i]
}

// noise writes the noise of a share, and none of it alone as none.
func (m *metric) noise(x float64) string {
	switch percent := x * 100; {
	case m.target != autoscalingv2.UtilizationMetricType || !(percent > 0 && percent < 0.5):
		return "±" + m.share(x)
	case percent < 0.05:
		return "less than ±0.1 %"
	default:
		return "±" + strconv.FormatFloat(percent, 'f', 1, 64) + " %"
	}
}

// goal is the metric's target in words.
func (m *metric) goal() string {
	if m.target == autoscalingv2.UtilizationMetricType {
		return strconv.Itoa(int(m.percent)) + " %"
	}
	return m.amount(m.milli.Float())
}

// subject is what a sentence about a metric begins with.
func (m *metric) subject() string {
	switch {
	case m.source == autoscalingv2.ResourceMetricSourceType && m.name == "cpu":
		return "Load"
	case m.source == autoscalingv2.ResourceMetricSourceType && m.name == "memory":
		return "Memory"
	case m.container != "":
		return "The " + m.name + " of " + m.container
	}
	return m.name
}

// of is what a share is of.
func (m *metric) of() string {
	switch {
	case m.target == autoscalingv2.UtilizationMetricType:
		return " of request"
	case m.target == autoscalingv2.AverageValueMetricType:
		return " for each replica"
	}
	return ""
}

// level is what a metric is at: for each replica, or in all where there is none that it could be shared among.
func (m *metric) level(r *result) string {
	if math.IsNaN(r.share) && (m.source == autoscalingv2.ObjectMetricSourceType || m.source == autoscalingv2.ExternalMetricSourceType) {
		return m.amount(r.total.Float()) + " in all"
	}
	return m.share(r.share) + m.of()
}

// metricsText is what the metrics said, in short.
func (p *pass) metricsText() string {
	text := p.metricText(0)
	for i := 1; i < len(p.results); i++ {
		text += "; " + p.metricText(i)
	}
	return text
}

// metricText is one metric in short, for the metrics step: "cpu 105 % of 70 %, looked at 3 s".
func (p *pass) metricText(i int) string {
	m, r, rep := &p.policy.metrics[i], &p.results[i], &p.d.Metrics[i]
	name := (&cluster.Load{Name: m.name, Container: m.container}).Title()
	if !r.ok {
		return name + " failed: " + r.err
	}
	s := name + " " + m.share(r.share) + " of " + m.goal()
	if p.beyond(r) {
		s = name + " at the most that is counted, " + m.goal() + " for each"
	} else if math.IsNaN(r.share) {
		s = name + " " + m.amount(r.total.Float()) + " in all, " + m.goal() + " for each"
	}
	if r.look != nil {
		s += ", looked at " + seconds(r.look.Window)
	}
	if len(rep.Pods.Missing)+len(rep.Pods.Unready) > 0 {
		s += ", " + gapClause(&rep.Pods)
	}
	if len(p.results) > 1 {
		s += ": " + strconv.Itoa(int(r.proposal))
	}
	return s
}

// noiseText says why a load above its target was not believed.
func (p *pass) noiseText(r *result) string {
	m := &p.policy.metrics[p.best]
	return fmt.Sprintf("not clear of its noise: %s against %s, its line with what is tolerated and %.1f × %s", m.share(r.share), p.clearOf(m, r), p.z(r.look.Window), m.noise(r.shareNoise))
}

// clearOf is the share above which the load of a look that rose above its line is clear of its noise, see grow. It is written so that it is seen to be above the load.
func (p *pass) clearOf(m *metric, r *result) string {
	each := r.share / r.load // of one replica's worth
	if n := p.d.Metrics[p.best].Pods.Counted; n > 0 && m.target == autoscalingv2.UtilizationMetricType {
		each = m.asShare() / float64(n) // the share that is told is a whole percent
	}
	x := float64(p.current)*(1+p.tol.up)*each + p.z(r.look.Window)*r.shareNoise
	text := m.share(x)
	for digits := 1; digits <= 3 && text == m.share(r.share) && m.target == autoscalingv2.UtilizationMetricType; digits++ {
		if more := strconv.FormatFloat(x*100, 'f', digits, 64); strings.Trim(more[strings.IndexByte(more, '.'):], ".0") != "" {
			text = more + " %"
		}
	}
	return text
}

// message is the decision in one or two sentences. It is written before the mode has its say.
func (p *pass) message() string {
	switch p.stages.forced {
	case CurrentAboveMax:
		s := "The count of " + itoa(p.current) + " is above the most that is allowed, which is " + itoa(p.max)
		if p.hold == RaiseOnlyHold {
			s += "; the target is only raised, never lowered"
		}
		return s + "."
	case CurrentBelowMin:
		return "The count of " + itoa(p.current) + " is below the least that is asked for, which is " + itoa(p.min) + "."
	}
	switch {
	case p.hold == ScalingDisabled:
		return "Scaling is off while the count is 0, which somebody else set; raise it by hand to turn scaling on."
	case p.best < 0 || !p.results[p.best].ok:
		return p.failureText()
	case p.draft > p.current:
		return p.upText() + p.limitText() + p.sourceText()
	case p.draft < p.current:
		return p.downText() + p.limitText() + p.sourceText()
	}
	return p.holdText() + p.sourceText()
}

// upText explains a raise.
func (p *pass) upText() string {
	m, r := &p.policy.metrics[p.best], &p.results[p.best]
	if p.need <= p.current {
		if p.current == 0 {
			return fmt.Sprintf("Back from 0 to the least that is asked for, which is %d.", p.draft)
		}
		return fmt.Sprintf("A need for %d was seen in the last %s and still counts.", p.stages.highest, seconds(p.in.Options.DownscaleStabilization))
	}
	is, over, against := " is at ", "", " above its line of "+m.goal()
	switch {
	case p.beyond(r):
		return "The values of " + m.name + " add up to less than zero, or to more than can be counted, and the HPA takes both for the most that there is."
	case p.current == 0 && r.total != 0: // what still ended has its share, and no line counts
		return "From 0 any load raises: " + m.subject() + " is at " + m.amount(r.total.Float()) + ", with " + m.goal() + " for each replica; " + carry(p.draft, "carry") + " it."
	case math.IsNaN(r.share): // nothing runs yet that it could be shared among
		return m.subject() + " is at " + m.amount(r.total.Float()) + ", with " + m.goal() + " for each replica; " + carry(p.draft, "carry") + " it."
	case r.look != nil && !r.plain:
		if is, over = " stood at ", " for "+seconds(r.look.Window); p.z(r.look.Window) > 0 { // of the longest no clearance is asked
			against = " clear of its noise (" + m.noise(r.shareNoise) + ")"
		}
	}
	return m.subject() + is + m.share(r.share) + m.of() + over + cmp.Or(p.filled(m, r, &p.d.Metrics[p.best].Pods), ",") + against + "; " + carry(p.draft, "bring") + " it to " + p.after(m, r, 0) + "."
}

// full is the share that is counted for a pod without a sample where the load is below its line.
func (m *metric) full() float64 {
	if m.target == autoscalingv2.UtilizationMetricType {
		return float64(max(100, m.percent)) / 100
	}
	return 1
}

// beyond says whether a sum of values is what the HPA has for one that it cannot count, see numbers.total.
func (p *pass) beyond(r *result) bool { return p.num.wrap && r.total == math.MaxInt64 }

// after is the load that each replica would carry if there were as many as the draft, where so many pods without a sample have what is counted for them.
func (p *pass) after(m *metric, r *result, missing int) string {
	switch {
	case p.draft == 0:
		return m.share(0)
	case !math.IsNaN(r.load):
		return m.share((r.load*m.asShare() + float64(missing)*m.full()) / float64(p.draft))
	case m.target == autoscalingv2.ValueMetricType:
		return m.share(r.share * float64(max(p.readyPods(), 1)) / float64(p.draft))
	case r.total != 0: // of the whole: each one's share of it was rounded already
		return m.amount(r.total.Float() / float64(p.draft))
	}
	return m.share(r.share * float64(max(p.in.Target.StatusReplicas, 1)) / float64(p.draft))
}

// downText explains a decision to shrink.
func (p *pass) downText() string {
	m, r := &p.policy.metrics[p.best], &p.results[p.best]
	gaps := &p.d.Metrics[p.best].Pods
	s := m.subject() + " fell to " + m.level(r) + strings.TrimSuffix(p.filled(m, r, gaps), ",")
	if p.draft == 0 {
		s += "; no replica is needed."
	} else {
		s += "; " + carry(p.draft, "carry") + " it at " + p.after(m, r, len(gaps.Missing)) + "."
	}
	if p.stages.stabilized {
		s += fmt.Sprintf(" The highest need in the last %s was %d.", p.memory(), p.stages.highest)
	}
	return s
}

// memory is the length of the down window, for people.
func (p *pass) memory() string {
	if b := p.policy.behavior; b != nil {
		return seconds(p.downWindow(b))
	}
	return seconds(p.stableAtLeast(p.in.Options.DownscaleStabilization))
}

// limitText adds what a limit cut off.
func (p *pass) limitText() string {
	if p.stages.limited == "" || p.need <= 0 {
		return ""
	}
	return fmt.Sprintf(" The load would need %d; %s.", p.need, p.stages.limit)
}

// sourceText says who told of the pods that no collector tells of: a reader of the story should know how fresh it is.
func (p *pass) sourceText() (text string) {
	rep := &p.d.Metrics[p.best]
	for _, source := range slices.Sorted(maps.Keys(rep.Sources)) {
		switch n := rep.Sources[source]; {
		case n == rep.Pods.Counted:
			text += " Measured by " + source + "."
		case n == 1:
			text += fmt.Sprintf(" Of %d pods 1 is measured by %s.", rep.Pods.Counted, source)
		default:
			text += fmt.Sprintf(" Of %d pods %d are measured by %s.", rep.Pods.Counted, n, source)
		}
	}
	return text
}
