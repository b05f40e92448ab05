package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// resize fills in what is set aside for a pod and its containers where that is not what they ask for. The scheduler counts the most of what is asked for, what the
// node has set aside and what is in force, and nothing of what the node can never give.
func resize(out *cluster.Pod, p *corev1.Pod) {
	if !tells(p) {
		return
	}
	held := resource.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true, ExcludeOverhead: true}
	out.Resized = unlike(resource.PodRequests(p, held), resource.PodRequests(p, resource.PodResourcesOptions{ExcludeOverhead: true}))
	if out.Resized == nil {
		return
	}
	each := func(to []cluster.Container, specs []corev1.Container) {
		for i := range to {
			one := corev1.Pod{Spec: corev1.PodSpec{Containers: specs[i : i+1]}, Status: p.Status}
			one.Status.Resources, one.Status.AllocatedResources = nil, nil
			to[i].Resized = unlike(resource.PodRequests(&one, held), specs[i].Resources.Requests)
		}
	}
	each(out.InitContainers, p.Spec.InitContainers)
	each(out.Containers, p.Spec.Containers)
}

// tells says whether a pod's node says anything of its requests.
func tells(p *corev1.Pod) bool {
	says := func(s corev1.ContainerStatus) bool { return s.Resources != nil || s.AllocatedResources != nil }
	return p.Status.AllocatedResources != nil || p.Status.Resources != nil || conditionOf(p, corev1.PodResizePending) != nil ||
		slices.ContainsFunc(p.Status.ContainerStatuses, says) || slices.ContainsFunc(p.Status.InitContainerStatuses, says)
}

// unlike are the amounts that are held, with a 0 for what is asked for and not held at all; nil where they are those asked for.
func unlike(held, asked corev1.ResourceList) cluster.Resources {
	has, want := resources(held), resources(asked)
	if slices.Equal(has, want) {
		return nil
	}
	for _, r := range want {
		if _, ok := has.Get(r.Name); !ok {
			has = append(has, cluster.Resource{Name: r.Name})
		}
	}
	return has
}
