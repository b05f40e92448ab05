package policy

import (
	"fmt"
	"slices"
	"strings"

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
	return slices.ContainsFunc(pod.Requests, func(r cluster.Resource) bool { return podLevelResource(r.Name) })
}

// podLevelResource says whether Kubernetes knows a resource at the level of the pod.
func podLevelResource(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// podRequest is the request of a pod that has pod-level requests: its own of this resource, else what its containers add
// up to, which is never below what its start needs; and its overhead.
func podRequest(pod *cluster.Pod, name corev1.ResourceName) (request cluster.Milli, lack string) {
	overhead, found := pod.Overhead.Get(name)
	if podLevelResource(name) {
		if v, ok := pod.Requests.Get(name); ok {
			return addMilli(v, overhead), ""
		}
	}
	add := func(c *cluster.Container, sum *cluster.Milli) {
		if v, ok := c.Requests.Get(name); ok {
			*sum, found = addMilli(*sum, v), true
		}
	}
	for i := range pod.Containers {
		add(&pod.Containers[i], &request)
	}
	var sidecars, start cluster.Milli
	for i := range pod.InitContainers {
		c := &pod.InitContainers[i]
		if c.Always {
			add(c, &request)
			add(c, &sidecars)
			start = max(start, sidecars)
			continue
		}
		during := sidecars
		add(c, &during)
		start = max(start, during)
	}
	if !found {
		return 0, fmt.Sprintf("missing pod-level request for %s in Pod %s", name, pod.Name)
	}
	return addMilli(max(request, start), overhead), ""
}
