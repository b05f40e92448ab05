package policy

import (
	"cmp"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// fillResource fills the table for a Resource or ContainerResource metric from the samples. problem is "" or why the
// metric fails. Samples older than maxAge count as missing; zero keeps all.
func (p *pass) fillResource(m *metric, usage []cluster.PodUsage, maxAge time.Duration) (problem string) {
	p.table.reset(len(p.in.Pods))
	switch failed := p.in.Errors.Usage; {
	case failed != "" || len(usage) == 0 && p.off == AllSwitches():
		return absent("metrics for resource "+m.name, "resource", failed)
	case len(usage) == 0:
		_ = p.fillPods(m.resource() == corev1.ResourceCPU) // which have none; that is said
		return cmp.Or(p.in.Target.NoPods, noSample)
	}
	for i := range usage {
		s := p.sampleOf(m, &usage[i], i)
		p.place(s, usage[i].Pod, i, maxAge > 0 && p.in.Now.Sub(s.at) > maxAge)
	}
	if problem := p.fillPods(m.resource() == corev1.ResourceCPU); problem != "" {
		return cmp.Or(p.lacking(m, problem), problem)
	}
	if m.target == autoscalingv2.UtilizationMetricType {
		return p.fillRequests(m)
	}
	return ""
}

// fillCustom fills the table for a Pods metric.
func (p *pass) fillCustom(m *metric) (problem string) {
	var values []PodValue
	i := p.answer(m, len(p.in.PodsMetrics), func(i int) series {
		o := &p.in.PodsMetrics[i]
		return series{metric: o.Metric, selector: o.Selector}
	})
	failed := p.in.Errors.PodsMetrics
	if i >= 0 {
		values, failed = p.in.PodsMetrics[i].Pods, cmp.Or(p.in.PodsMetrics[i].Problem, failed)
	}
	switch {
	case failed == "" && p.in.Target.NoPods != "" && p.off != AllSwitches():
		return p.in.Target.NoPods
	case failed != "" || len(values) == 0:
		return absent("metric "+m.name, "custom", failed)
	}
	p.table.reset(len(p.in.Pods))
	for i, v := range values {
		old := !p.off.DropStale && p.in.Options.MaxUsageAge > 0 && p.in.Now.Sub(v.Timestamp) > p.in.Options.MaxUsageAge
		p.place(sample{value: v.Value, at: v.Timestamp, window: v.Window, ok: true}, v.Pod, i, old)
	}
	return p.fillPods(false)
}

// place puts the i-th sample to its pod; one that is too old counts as missing.
func (p *pass) place(s sample, pod string, i int, old bool) {
	if old && s.ok && !s.at.IsZero() {
		s.ok, s.old = false, true
		p.table.stale++
	}
	if s.lacks != "" {
		p.table.partial++
	}
	if at := p.find(pod, i); at >= 0 {
		p.table.samples[at] = s
	} else if s.ok {
		p.table.add(row{value: s.value, class: stranger, pod: -1})
	}
}

// fillPods classifies the pods; their samples are in place.
func (p *pass) fillPods(cpu bool) (problem string) {
	if len(p.in.Pods) == 0 {
		return "no pods returned by selector while calculating replica count"
	}
	for i := range p.in.Pods {
		s := &p.table.samples[i]
		r := row{value: s.value, class: p.classify(&p.in.Pods[i], s, cpu), pod: int32(i)}
		p.table.add(r)
		if r.class == counted && s.source != "" {
			if p.table.sources == nil {
				p.table.sources = map[string]int{}
			}
			p.table.sources[s.source]++
		}
	}
	switch {
	case p.table.groups[counted]+p.table.groups[stranger] > 0:
		return ""
	case p.off == AllSwitches():
		return "did not receive metrics for targeted pods (pods might be unready)"
	}
	return noSample
}

// lacking says what the sample of the first pod that has none that counts has not, where that is the problem and the sample is there; "" where it is not.
func (p *pass) lacking(m *metric, problem string) string {
	missing := p.groupsOf(&p.table).Missing
	if problem != noSample || len(missing) == 0 {
		return ""
	}
	at := p.find(missing[0], 0)
	s := &p.table.samples[at]
	if s.at.IsZero() || s.old || p.in.Pods[at].Gap != "" {
		return ""
	}
	return "the sample of " + missing[0] + " has no " + m.without(s)
}

// noSample is why there is nothing to decide by, where the HPA speaks of an API that nobody has asked.
const noSample = "no pod has a sample that counts"

// sampleOf reads a pod's value of a resource: of the named container, or the sum over all. It is not ok when the container
// is not there, or any container lacks the resource. hint is where in the list the pod may be.
func (p *pass) sampleOf(m *metric, u *cluster.PodUsage, hint int) sample {
	s := sample{at: u.Timestamp, window: u.Window, source: u.Source}
	name := m.resource()
	if m.container != "" {
		for i := range u.Containers {
			if u.Containers[i].Name == m.container {
				s.value, s.ok = u.Containers[i].Usage.Get(name)
				break
			}
		}
		return s
	}
	for i := range u.Containers {
		v, ok := u.Containers[i].Usage.Get(name)
		if !ok {
			return s
		}
		s.value = p.num.add(s.value, v)
	}
	if s.ok = len(u.Containers) > 0; s.ok && !p.off.WholePods {
		s.lacks = p.leftOut(u, hint)
		s.ok = s.lacks == ""
	}
	return s
}

// leftOut is a container of a pod that runs and that a sample of the pod does not name; "" if there is none. What stands for a pod of one container may have a name of its own.
func (p *pass) leftOut(u *cluster.PodUsage, hint int) string {
	at := p.find(u.Pod, hint)
	if at < 0 || len(p.in.Pods[at].Containers)+len(p.in.Pods[at].InitContainers) == 1 {
		return ""
	}
	for c := range p.in.Pods[at].Lasting() {
		if !c.Done && c.Rests() == "" && !slices.ContainsFunc(u.Containers, func(x cluster.ContainerUsage) bool { return x.Name == c.Name }) {
			return c.Name
		}
	}
	return ""
}

// find finds a pod by name; -1 if there is none. Lists usually have the same order, so the neighbour is tried first; the map
// is made when that fails and there are many.
func (p *pass) find(name string, hint int) int {
	pods := p.in.Pods
	if hint < len(pods) && pods[hint].Name == name {
		return hint
	}
	if len(pods) <= 16 {
		for i := range pods {
			if pods[i].Name == name {
				return i
			}
		}
		return -1
	}
	if p.byName == nil {
		p.byName = make(map[string]int, len(pods))
		for i := range pods {
			p.byName[pods[i].Name] = i
		}
	}
	if i, ok := p.byName[name]; ok {
		return i
	}
	return -1
}
