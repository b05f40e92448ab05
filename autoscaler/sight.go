package autoscaler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// historyGap is how long a target may be unseen before what was seen earlier no longer counts as seen.
const historyGap = 15 * time.Second

// youngFor is for how long a pod that has just turned ready may be without a sample before it is missed.
const youngFor = 5 * time.Second

// sight is for how long something has been seen.
type sight struct {
	since time.Time // of the first value after the last long gap
	last  time.Time // of the newest value
}

// seen notes that what is seen was known at a time.
func (s *sight) seen(at time.Time) {
	if s.since.IsZero() || at.Sub(s.last) > historyGap {
		s.since = at
	}
	s.last = at
}

// fresh says whether what was seen last still counts as seen.
func (s *sight) fresh(at time.Time) bool { return !s.since.IsZero() && at.Sub(s.last) <= historyGap }

// view is for how long a metric has been seen: the whole of it, and each pod that has a part in it.
type view struct {
	sight // of the whole: while no pod was missing
	pods  map[string]*part
}

// part is for how long a pod has been seen.
type part struct {
	sight
	whole time.Time // of the newest value that lacks no container
}

// saw notes a value of a pod.
func (v *view) saw(pod string, whole bool, at time.Time) {
	p := v.pods[pod]
	if p == nil {
		if v.pods == nil {
			v.pods = map[string]*part{}
		}
		p = &part{}
		v.pods[pod] = p
	}
	p.seen(at)
	if whole {
		p.whole = at
	}
}

// close ends a pass over the metric: the whole was seen if no pod that should have a part in it is missing.
func (v *view) close(pods []cluster.Pod, at time.Time) {
	if len(v.pods) > len(pods) {
		for name, p := range v.pods {
			if !p.fresh(at) {
				delete(v.pods, name)
			}
		}
	}
	some := false
	for i := range pods {
		p := &pods[i]
		x := v.pods[p.Name]
		switch {
		case x != nil && x.whole.Equal(at):
			some = true
		case missed(p, at):
			return
		}
	}
	if some {
		v.seen(at)
	}
}

// missed says whether a pod without a value leaves the total unknown.
func missed(p *cluster.Pod, at time.Time) bool {
	return p.Ready == corev1.ConditionTrue && !p.Deleting && at.Sub(p.ReadyTransition) > youngFor
}

// span is for how long what there is of the metric has been seen: the whole, or where a part is missing the pod that was seen for the
// shortest time, since what the missing ones carried before is not known.
func (v *view) span(at time.Time) (d time.Duration) {
	if v.fresh(at) {
		return v.last.Sub(v.since)
	}
	first := true
	for _, p := range v.pods {
		if p.fresh(at) && (first || p.last.Sub(p.since) < d) {
			d, first = p.last.Sub(p.since), false
		}
	}
	return d
}

// look notes what a decision was given of each of its metrics.
func (t *target) look(in *policy.Input, d *policy.Decision, at time.Time) {
	for name, h := range t.histories {
		for i := range in.Looks {
			l := &in.Looks[i]
			if l.Metric != name || i > 0 && in.Looks[i-1].Metric == name { // the shortest is the freshest
				continue
			}
			h.sawAll(name, l.Usage, in.Now.Add(-in.Options.MaxLookAge), at)
		}
		h.sawAll(name, in.Usage, in.Now.Add(-in.Options.MaxUsageAge), at)
		h.close(in.Pods, at)
	}
	var rest []*policy.MetricReport // the answers to the questions, in their order
	for i := range d.Metrics {
		if m := &d.Metrics[i]; m.Type != string(autoscalingv2.ResourceMetricSourceType) && m.Type != string(autoscalingv2.ContainerResourceMetricSourceType) {
			rest = append(rest, m)
		}
	}
	questions := in.Policy.Questions()
	if len(rest) != len(questions) { // one can never be evaluated, and nothing is lowered
		return
	}
	byPods := in.PodsMetrics
	for i := range questions {
		v := t.other(&questions[i])
		if questions[i].Type != autoscalingv2.PodsMetricSourceType {
			if rest[i].Error == "" {
				v.seen(at)
			}
			continue
		}
		if len(byPods) == 0 { // not served here
			return
		}
		for _, p := range byPods[0].Pods {
			v.saw(p.Pod, true, at)
		}
		v.close(in.Pods, at)
		byPods = byPods[1:]
	}
}

// sawAll notes the values of a resource, but those from before oldest, which count as none.
func (v *view) sawAll(name corev1.ResourceName, usage []cluster.PodUsage, oldest, at time.Time) {
	for i := range usage {
		u := &usage[i]
		has := slices.ContainsFunc(u.Containers, func(c cluster.ContainerUsage) bool {
			_, ok := c.Usage.Get(name)
			return ok
		})
		if has && !u.Timestamp.Before(oldest) {
			v.saw(u.Pod, whole(*u), at)
		}
	}
}

// under ends what passes found for another policy than this one: at their newest look, and of metrics that this one does not ask for.
func (t *target) under(p *policy.Policy) {
	if t.of = p; t.state != nil && t.state.Looked != nil {
		next := *t.state // others hold it
		next.Looked = nil
		t.state = &next
	}
	asked := map[string]bool{}
	for _, q := range p.Questions() {
		asked[viewOf(&q)] = true
	}
	maps.DeleteFunc(t.others, func(key string, _ *view) bool { return !asked[key] })
}

// viewOf is the key of the view of a metric that is not what pods use.
func viewOf(q *policy.Question) string {
	return fmt.Sprintf("%s %s %s %v", q.Type, q.Metric, q.Selector, q.Object)
}

// other returns the view of a metric that is not what pods use.
func (t *target) other(q *policy.Question) *view {
	key := viewOf(q)
	v := t.others[key]
	if v == nil {
		v = &view{}
		t.others[key] = v
	}
	return v
}

// tooEarly says why a count may not be lowered yet: this process has not seen a whole stable window of what the policy asks for, or does not know
// what earlier changes leave of its speed limits.
func (t *target) tooEarly(p *policy.Policy, at time.Time) string {
	if t.unread != nil {
		return fmt.Sprintf("The load asks for fewer, but earlier decisions cannot be read yet: %s. The log is asked again.", strings.TrimSuffix(t.unread.Error(), "."))
	}
	span, first := time.Duration(0), true
	least := func(v *view) {
		if d := v.span(at); first || d < span {
			span, first = d, false
		}
	}
	for _, name := range p.Resources() {
		if h := t.histories[name]; h != nil {
			least(&h.view)
		}
	}
	for _, q := range p.Questions() {
		least(t.other(&q))
	}
	if policy.Covers(span, p.StableWindow()) {
		return ""
	}
	return fmt.Sprintf("The load asks for fewer, but it has been seen for %d s only; a decision to shrink rests on %d s.",
		int(span.Seconds()), int(p.StableWindow().Seconds()))
}
