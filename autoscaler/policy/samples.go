package policy

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// fillResource fills the table for a Resource or ContainerResource metric from the samples. problem is "" or why the
// metric fails. Samples older than maxAge count as missing; zero keeps all.
func (p *pass) fillResource(m *metric, usage []cluster.PodUsage, maxAge time.Duration) (problem string) {
	if text := p.in.Errors.Usage; text != "" {
		return "unable to get metrics for resource " + m.name + ": unable to fetch metrics from resource metrics API: " + text
	}
	if len(usage) == 0 {
		return "unable to get metrics for resource " + m.name + ": no metrics returned from resource metrics API"
	}
	p.table.reset(len(p.in.Pods))
	var finder finder
	for i := range usage {
		u := &usage[i]
		pod := finder.find(p.in.Pods, u.Pod, i)
		s := sampleOf(m, u)
		if s.ok && maxAge > 0 && !s.at.IsZero() && p.in.Now.Sub(s.at) > maxAge {
			s.ok = false
			p.table.stale++
		}
		if pod >= 0 {
			p.table.samples[pod] = s
		} else if s.ok {
			p.table.add(row{value: s.value, class: stranger, pod: -1})
		}
	}
	if problem := p.fillPods(m.resource() == corev1.ResourceCPU); problem != "" {
		return problem
	}
	if m.target == autoscalingv2.UtilizationMetricType {
		return p.fillRequests(m)
	}
	return ""
}

// fillCustom fills the table for a Pods metric.
func (p *pass) fillCustom(m *metric) (problem string) {
	if text := p.in.Errors.PodsMetrics; text != "" {
		return "unable to get metric " + m.name + ": unable to fetch metrics from custom metrics API: " + text
	}
	var values []PodValue
	for i := range p.in.PodsMetrics {
		if p.in.PodsMetrics[i].Metric == m.name {
			values = p.in.PodsMetrics[i].Pods
			break
		}
	}
	if len(values) == 0 {
		return "unable to get metric " + m.name + ": no metrics returned from custom metrics API"
	}
	p.table.reset(len(p.in.Pods))
	var finder finder
	for i := range values {
		v := &values[i]
		s := sample{value: v.Value, at: v.Timestamp, window: v.Window, ok: true}
		if !p.off.DropStale && !v.Timestamp.IsZero() && p.in.Now.Sub(v.Timestamp) > p.in.Options.MaxUsageAge {
			p.table.stale++
			s.ok = false
		}
		if pod := finder.find(p.in.Pods, v.Pod, i); pod >= 0 {
			p.table.samples[pod] = s
		} else if s.ok {
			p.table.add(row{value: s.value, class: stranger, pod: -1})
		}
	}
	return p.fillPods(false)
}

// fillPods classifies the pods; their samples are in place.
func (p *pass) fillPods(cpu bool) (problem string) {
	if len(p.in.Pods) == 0 {
		return "no pods returned by selector while calculating replica count"
	}
	for i := range p.in.Pods {
		s := &p.table.samples[i]
		p.table.add(row{value: s.value, class: p.classify(&p.in.Pods[i], s, cpu), pod: int32(i)})
	}
	if p.table.groups[counted]+p.table.groups[stranger] == 0 {
		return "did not receive metrics for targeted pods (pods might be unready)"
	}
	return ""
}

// sampleOf reads a pod's value of a resource: of the named container, or the sum over all. It is not ok when the container
// is not there, or any container lacks the resource.
func sampleOf(m *metric, u *cluster.PodUsage) sample {
	s := sample{at: u.Timestamp, window: u.Window}
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
		s.value = addMilli(s.value, v)
	}
	s.ok = len(u.Containers) > 0
	return s
}

// finder finds pods by name. Lists usually have the same order, so the neighbour is tried first; the map is made when
// that fails and there are many.
type finder struct{ byName map[string]int }

func (f *finder) find(pods []cluster.Pod, name string, hint int) int {
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
	if f.byName == nil {
		f.byName = make(map[string]int, len(pods))
		for i := range pods {
			f.byName[pods[i].Name] = i
		}
	}
	if i, ok := f.byName[name]; ok {
		return i
	}
	return -1
}
