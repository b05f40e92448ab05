package policy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// fillRequests sets the request of every row that needs one. A pod without a request fails the metric; with the switch
// UsedRequests only if it is counted, missing or unready, not when it is on its way out.
func (p *pass) fillRequests(m *metric) (problem string) {
	for i := range p.table.rows {
		r := &p.table.rows[i]
		if r.pod < 0 {
			continue
		}
		pod := &p.in.Pods[r.pod]
		request, lack := p.requestOf(m, pod)
		switch {
		case lack == "":
			r.request = request
		case r.class == ignored && !p.off.UsedRequests:
			p.note("usedRequests: pod %q is on its way out; the HPA would fail the metric: %s", pod.Name, lack)
		default:
			return lack
		}
	}
	return ""
}

// requestOf is a pod's request of a resource, or that of its named container; lack is "" or what is missing.
func (p *pass) requestOf(m *metric, pod *cluster.Pod) (request cluster.Milli, lack string) {
	name := m.resource()
	if m.container == "" && podLevel(pod) {
		return podRequest(pod, name)
	}
	for c := range pod.Lasting() {
		if m.container != "" && c.Name != m.container {
			continue
		}
		v, ok := c.Requests.Get(name)
		if !ok {
			return 0, fmt.Sprintf("missing request for %s in container %s of Pod %s", name, c.Name, pod.Name)
		}
		if m.container != "" {
			return v, ""
		}
		request = p.num.add(request, v)
	}
	if m.container != "" {
		return 0, fmt.Sprintf("container %s not found in Pod %s", m.container, pod.Name)
	}
	return request, ""
}

// podLevel says whether a pod has requests of its own.
func podLevel(pod *cluster.Pod) bool {
	return slices.ContainsFunc(pod.Requests, func(r cluster.Resource) bool { return cluster.PodLevel(r.Name) })
}

// podRequest is the request of a pod that has pod-level requests: all of what it asks for.
func podRequest(pod *cluster.Pod, name corev1.ResourceName) (request cluster.Milli, lack string) {
	request, ok := pod.Asks(name)
	if !ok {
		return 0, fmt.Sprintf("missing pod-level request for %s in Pod %s", name, pod.Name)
	}
	return request, ""
}
