package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// holdText explains why the count stays.
func (p *pass) holdText() string {
	m, r, rep := &p.policy.metrics[p.best], &p.results[p.best], &p.d.Metrics[p.best]
	at := m.subject() + " at " + m.level(r)
	filled := at + p.filled(m, r, &rep.Pods)
	switch {
	case p.stages.stood != "":
		return fmt.Sprintf("%s would need %d; %s.", filled, r.need, p.stages.stood)
	case p.hold == RaiseOnlyHold || p.stages.limited != "" || p.stages.stabilized:
		_, why := p.inTheWay()
		return fmt.Sprintf("%s would need %d; %s.", filled, p.need, why)
	case p.hold == AwaitingLook:
		return fmt.Sprintf("%s would need %d; %s.", filled, r.need, p.waitText(r.waits))
	case p.hold == WithinNoise:
		return fmt.Sprintf("%s for %s is above its line of %s but not above %s, where it would be clear of its noise (%s)%s.", filled, seconds(r.look.Window), m.goal(), p.clearOf(m, r), m.noise(r.shareNoise), p.short(&rep.Pods))
	case p.hold == DepartedPods:
		return at + " with what pods used that are gone by now, for which nothing is raised."
	case p.hold == AwaitingReading:
		return at + ", as it was read before the count was last changed; it is read anew."
	case p.hold == GapsInTheWay:
		return at + " " + gapClause(&rep.Pods) + "; counted carefully, no change is clear."
	case p.hold == WithinTolerance:
		return at + " is near its line of " + m.goal() + "."
	}
	return filled + " needs " + p.present(&rep.Pods) + "."
}

// waitText says what a lowering waits for, as a clause.
func (p *pass) waitText(w wait) string {
	switch w {
	case forWindow:
		return fmt.Sprintf("shrinking rests on a look of %s, which there is not yet", seconds(p.policy.stable))
	case forReady:
		return "nothing is lowered while a replica that was just started is not ready"
	case forAll:
		return fmt.Sprintf("shrinking rests on a look of %s in which all were ready, which there is not yet", seconds(p.policy.stable/2))
	}
	return "the next look at shrinking is due " + p.untilDue()
}

// inTheWay says what keeps the count from what the load needs, as a clause; "" if nothing does.
func (p *pass) inTheWay() (reason Reason, why string) {
	switch {
	case p.hold == RaiseOnlyHold:
		return RaiseOnlyHold, "the target is only raised, never lowered"
	case p.stages.limited != "":
		return p.stages.limited, p.stages.limit
	case p.hold == ScaleUpStabilized:
		return ScaleUpStabilized, fmt.Sprintf("the lowest need in the last %s was %d", seconds(p.policy.behavior.up.window), p.stages.highest)
	case p.stages.stabilized:
		return ScaleDownStabilized, fmt.Sprintf("the highest need in the last %s was %d", p.memory(), p.stages.highest)
	}
	return "", ""
}

// filled says what stood in for the pods that leave a gap, see fill: " with 1 without a sample, counted at 100 %,"; "" if there are none.
func (p *pass) filled(m *metric, r *result, g *PodGroups) string {
	switch above := r.share > m.asShare(); {
	case len(g.Missing)+len(g.Unready) == 0:
		return ""
	case above:
		return " " + gapClause(g) + ", counted at " + m.share(0) + ","
	case len(g.Missing) == 0:
		return " " + gapClause(g) + ", left out,"
	}
	s := " " + gapClause(&PodGroups{Missing: g.Missing}) + ", counted at " + m.share(m.full()) + ","
	if n := len(g.Unready); n > 0 {
		s += fmt.Sprintf(" and %d starting, left out,", n)
	}
	return s
}

// present is "the 4 replicas that there are", or those that are asked for where not as many are there, or not all are counted as they are.
func (p *pass) present(g *PodGroups) string {
	gaps := len(g.Missing) + len(g.Unready)
	n := g.Counted + gaps
	if n == 0 { // the metric is not of pods
		n = int(p.in.Target.StatusReplicas)
	}
	if p.current == 0 {
		return "no replica"
	}
	few := n < int(p.current)
	s, are := fmt.Sprintf("the %d replicas that", p.current), "are"
	if p.current == 1 {
		s, are = "the one replica that", "is"
	}
	switch {
	case !few && gaps == 0:
		return s + " there " + are
	case !few:
		return s + " " + are + " asked for"
	case n == 1:
		return s + " " + are + " asked for, of which there is 1"
	case n == 0:
		return s + " " + are + " asked for, of which there is none"
	}
	return fmt.Sprintf("%s %s asked for, of which there are %d", s, are, n)
}

// short says, where not as many replicas are there as are asked for, of how many a line is that is drawn for all of them.
func (p *pass) short(g *PodGroups) string {
	n := g.Counted + len(g.Missing) + len(g.Unready)
	if n >= int(p.current) {
		return ""
	}
	return fmt.Sprintf(" for the %d replicas that are asked for, of which there are %d", p.current, n)
}

// gapClause says which pods leave a gap: "with 1 missing and 2 starting".
func gapClause(g *PodGroups) string {
	switch {
	case len(g.Missing) > 0 && len(g.Unready) > 0:
		return fmt.Sprintf("with %d without a sample and %d starting", len(g.Missing), len(g.Unready))
	case len(g.Missing) > 0:
		return fmt.Sprintf("with %d without a sample", len(g.Missing))
	}
	return fmt.Sprintf("with %d starting", len(g.Unready))
}

// untilDue says in how long the look that shrinking rests on is due.
func (p *pass) untilDue() string {
	var newest time.Time
	for _, r := range p.d.State.Recommendations {
		if r.At.After(newest) {
			newest = r.At
		}
	}
	if left := newest.Add(shrinkInterval).Sub(p.in.Now).Round(time.Second); left > 0 {
		return "in " + seconds(left)
	}
	return "now"
}

// failureText explains a pass that had no usable metric: the pod without a sample if there is one, else the error.
func (p *pass) failureText() string {
	const rest = " Nothing is scaled on missing data."
	r := &p.results[p.best]
	if pod, since, without := p.silentPod(); pod != nil {
		s := "No sample from " + pod.Name
		switch since = since.Round(time.Second); {
		case without != "":
			return "The sample of " + pod.Name + " has no " + without + "." + rest
		case since > 0:
			s = "No sample for " + seconds(since) + " from " + pod.Name
		}
		if why := clause(pod.Gap); why != "" && !strings.HasPrefix(why, "no sample for ") { // that is said
			s += ": " + why
		}
		return s + "." + rest
	}
	return fmt.Sprintf("The metric %s failed: %s.%s", p.policy.metrics[p.best].name, clause(r.err), rest)
}

// lostText names the metrics that failed beside those that the decision rests on, with why the first of them did.
func (p *pass) lostText(failed, first int) string {
	why := p.results[first].ownWords()
	if failed == 1 {
		return " The metric " + p.policy.metrics[first].name + " failed: " + why + "."
	}
	var names []string
	for i := range p.results {
		if !p.results[i].ok {
			names = append(names, p.policy.metrics[i].name)
		}
	}
	return " The metrics " + strings.Join(names, ", ") + " failed, the first of them: " + why + "."
}

// mostOwnWords is how many characters of others' words a sentence about a metric has that the decision does not rest on.
const mostOwnWords = 240

// ownWords is why a metric failed in one line: where its API failed what that said, without the HPA's words before it (see absent).
func (r *result) ownWords() string {
	_, said, _ := strings.Cut(r.err, " metrics API: ")
	said = strings.Join(strings.Fields(cmp.Or(clause(said), clause(r.err))), " ")
	if s := []rune(said); len(s) > mostOwnWords {
		return clause(string(s[:mostOwnWords])) + "…"
	}
	return said
}

// clause makes what others said fit into a sentence of ours: it ends without a mark.
func clause(s string) string { return strings.TrimRight(strings.TrimSpace(s), ".:;,!? \n") }

// silentPod returns the first pod that should have a sample for the failed metric and has none, and for how long. without is what the newest sample
// of the pod has not, where it is there.
func (p *pass) silentPod() (pod *cluster.Pod, since time.Duration, without string) {
	if p.in.Errors.Usage != "" || len(p.d.Metrics[p.best].Pods.Missing) == 0 {
		return nil, 0, ""
	}
	pod = &p.in.Pods[p.find(p.d.Metrics[p.best].Pods.Missing[0], 0)]
	newest := latest{valued: pod.GapSince, any: pod.GapSince}
	p.newest(pod.Name, p.in.Usage, &newest)
	for i := range p.in.Looks {
		if p.in.Looks[i].Metric == p.policy.metrics[p.best].resource() {
			p.newest(pod.Name, p.in.Looks[i].Usage, &newest)
		}
	}
	switch {
	case newest.any.After(newest.valued) && pod.Gap == "":
		return pod, 0, newest.without
	case newest.valued.IsZero():
		return pod, 0, ""
	}
	return pod, p.in.Now.Sub(newest.valued), ""
}

// latest are the times of a pod's newest sample that has a value of the failed metric, and of its newest at all, and what that has not.
type latest struct {
	valued, any time.Time
	without     string
}

// newest brings what is known of a pod's samples up to those of one look.
func (p *pass) newest(pod string, usage []cluster.PodUsage, l *latest) {
	m := &p.policy.metrics[p.best]
	for i := range usage {
		u := &usage[i]
		if u.Pod != pod || !u.Timestamp.After(l.valued) {
			continue
		}
		s := p.sampleOf(m, u, i)
		if u.Timestamp.After(l.any) {
			l.any = u.Timestamp
			l.without = m.without(&s)
		}
		if s.ok {
			l.valued = u.Timestamp
		}
	}
}

// without is what a sample has not that does not count.
func (m *metric) without(s *sample) string {
	switch {
	case s.lacks != "":
		return "container " + s.lacks + ", which runs"
	case m.container != "":
		return m.name + " of a container " + m.container
	}
	return m.name
}
