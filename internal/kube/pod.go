package kube

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// mirrorOf is the annotation of a static pod's mirror: the UID by which its kubelet names the pod's cgroups.
const mirrorOf = "kubernetes.io/config.mirror"

// metricsPath is the annotation of a node whose resource metrics are elsewhere, as metrics-server has it: many simulated nodes share an address.
const metricsPath = "metrics.k8s.io/resource-metrics-path"

// PodOf keeps of a pod what is asked for. Its owner is resolved by the caller.
func PodOf(p *corev1.Pod) *cluster.Pod {
	out := &cluster.Pod{UID: string(p.UID), CgroupUID: p.Annotations[mirrorOf], Namespace: p.Namespace, Name: p.Name, Node: p.Spec.NodeName, HostNetwork: p.Spec.HostNetwork,
		Phase: p.Status.Phase, Deleting: p.DeletionTimestamp != nil}
	if p.Status.StartTime != nil {
		out.StartTime = p.Status.StartTime.Time
	}
	if p.Spec.Resources != nil {
		out.Requests, out.Limits = resources(p.Spec.Resources.Requests), resources(p.Spec.Resources.Limits)
	}
	out.Overhead = resources(p.Spec.Overhead)
	ready := conditionOf(p, corev1.PodReady)
	if ready != nil {
		out.Ready, out.ReadyTransition = ready.Status, ready.LastTransitionTime.Time
	}
	init := p.Spec.RestartPolicy
	if init != corev1.RestartPolicyNever { // one that has done its work is not started again
		init = corev1.RestartPolicyOnFailure
	}
	out.InitContainers = containers(p.Spec.InitContainers, p.Status.InitContainerStatuses, init)
	out.Containers = containers(p.Spec.Containers, p.Status.ContainerStatuses, p.Spec.RestartPolicy)
	for i := range p.Spec.EphemeralContainers {
		c := corev1.Container(p.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		out.Ephemeral = append(out.Ephemeral, container(&c, p.Status.EphemeralContainerStatuses, corev1.RestartPolicyNever))
	}
	out.Status = statusOf(p)
	resize(out, p)
	return out
}

func conditionOf(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func containers(specs []corev1.Container, statuses []corev1.ContainerStatus, policy corev1.RestartPolicy) []cluster.Container {
	out := make([]cluster.Container, len(specs))
	for i := range specs {
		out[i] = container(&specs[i], statuses, policy)
	}
	return out
}

// container is one of a pod, whose policy says when it is started again, unless it has one of its own.
func container(spec *corev1.Container, statuses []corev1.ContainerStatus, policy corev1.RestartPolicy) cluster.Container {
	if spec.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*spec.RestartPolicy)
	}
	c := cluster.Container{Name: spec.Name, Image: spec.Image, Requests: resources(spec.Resources.Requests), Limits: resources(spec.Resources.Limits),
		Always: spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways}
	for i := range statuses {
		s := &statuses[i]
		if s.Name != spec.Name {
			continue
		}
		_, c.ID, _ = strings.Cut(s.ContainerID, "://")
		c.Restarts = int(s.RestartCount)
		if s.State.Running != nil {
			c.Started = s.State.Running.StartedAt.Time
		}
		if s.State.Waiting != nil {
			c.Waiting = once(s.State.Waiting.Reason)
		}
		for _, t := range [...]*corev1.ContainerStateTerminated{s.LastTerminationState.Terminated, s.State.Terminated} {
			if t != nil && s.State.Running == nil {
				c.Began = t.StartedAt.Time
			}
			if t != nil && t.Reason == "OOMKilled" && t.ExitCode == 137 { // else another process of it was
				_, life, _ := strings.Cut(t.ContainerID, "://")
				c.Kills = append(c.Kills, cluster.Kill{Life: life, At: t.FinishedAt.Time})
			}
		}
		if t := s.State.Terminated; t != nil {
			if c.Done = policy == corev1.RestartPolicyNever || policy == corev1.RestartPolicyOnFailure && t.ExitCode == 0; !c.Done {
				c.Ended = once(ended(t)) // a kubelet calls it waiting some time later
			}
		}
		if s.Resources != nil { // as they are in force, which a resize changes
			c.Limits = resources(s.Resources.Limits)
		}
	}
	return c
}

// resources keeps CPU, memory and ephemeral storage, in the order of their names.
func resources(list corev1.ResourceList) cluster.Resources {
	var out cluster.Resources
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceEphemeralStorage, corev1.ResourceMemory} {
		if q, ok := list[name]; ok {
			out = append(out, cluster.Resource{Name: name, Milli: cluster.MilliOf(q)})
		}
	}
	return out
}

// maxDetail is how much is kept of what others say of a pod: a container may leave a page behind as it ends.
const maxDetail = 512

// statusOf says how a pod is doing, in the word that kubectl shows as STATUS, and in a clause that many pods may share.
func statusOf(p *corev1.Pod) cluster.Status {
	s := wordOf(p)
	s.State, s.Detail = once(s.State), once(strings.Clone(cut(s.Detail, maxDetail)))
	return s
}

func wordOf(p *corev1.Pod) cluster.Status {
	s := cluster.Status{State: string(p.Status.Phase), Detail: p.Status.Message, Since: p.CreationTimestamp.Time}
	if p.Status.Reason != "" {
		s.State = p.Status.Reason
	}
	if sched := conditionOf(p, corev1.PodScheduled); sched != nil {
		switch {
		case sched.Reason == corev1.PodReasonSchedulingGated:
			s.State = sched.Reason
		case sched.Status == corev1.ConditionFalse:
			s.Detail, s.Since = sched.Message, sched.LastTransitionTime.Time
		}
	}
	starting := starting(p, &s)
	if !starting {
		running(p, &s)
	}
	if ready := conditionOf(p, corev1.PodReady); ready != nil && !ready.LastTransitionTime.IsZero() {
		s.Since = ready.LastTransitionTime.Time
	}
	if p.DeletionTimestamp == nil {
		return s
	}
	s.State, s.Since = "Terminating", p.DeletionTimestamp.Time
	if p.Status.Reason == "NodeLost" {
		s.State, s.Detail = "Unknown", "its node does not answer"
	}
	return s
}

// starting says whether init containers still run, and what the first of them that has not ended does.
func starting(p *corev1.Pod, s *cluster.Status) bool {
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		sidecar := i < len(p.Spec.InitContainers) && p.Spec.InitContainers[i].RestartPolicy != nil && *p.Spec.InitContainers[i].RestartPolicy == corev1.ContainerRestartPolicyAlways
		switch t, w := c.State.Terminated, c.State.Waiting; {
		case t != nil && t.ExitCode == 0, sidecar && c.Started != nil && *c.Started:
			continue
		case t != nil:
			s.State, s.Detail = "Init:"+ended(t), t.Message
		case w != nil && w.Reason != "" && w.Reason != "PodInitializing":
			s.State, s.Detail = "Init:"+w.Reason, w.Message
		default:
			s.State = fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
		}
		return true
	}
	return false
}

// running says what the containers do: the first of them that waits or has ended gives the pod its word.
func running(p *corev1.Pod, s *cluster.Status) {
	alive := false
	for i := len(p.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := &p.Status.ContainerStatuses[i]
		switch t, w := c.State.Terminated, c.State.Waiting; {
		case w != nil && w.Reason != "":
			s.State, s.Detail = w.Reason, w.Message
		case t != nil:
			s.State, s.Detail = ended(t), t.Message
		case c.Ready && c.State.Running != nil:
			alive = true
		}
	}
	if s.State == "Completed" && alive { // some have ended, others go on
		s.State = "NotReady"
		if ready := conditionOf(p, corev1.PodReady); ready != nil && ready.Status == corev1.ConditionTrue {
			s.State = "Running"
		}
	}
}

func ended(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

// nodeOf keeps of a node what is asked for.
func nodeOf(n *corev1.Node) *cluster.Node {
	out := &cluster.Node{UID: string(n.UID), Name: n.Name, Labels: n.Labels, Pool: pool(n.Labels), Unschedulable: n.Spec.Unschedulable,
		Capacity: resources(n.Status.Capacity), Allocatable: resources(n.Status.Allocatable), Since: n.CreationTimestamp.Time}
	if q, ok := n.Status.Allocatable[corev1.ResourcePods]; ok {
		out.MaxPods = int(q.Value())
	}
	for i := range n.Status.Conditions {
		c := &n.Status.Conditions[i]
		if c.Type == corev1.NodeReady {
			out.Ready, out.ReadyTransition = c.Status, c.LastTransitionTime.Time
		}
		if c.Type != corev1.NodeReady && c.Status == corev1.ConditionTrue {
			out.Pressure = append(out.Pressure, string(c.Type))
		}
		out.Conditions = append(out.Conditions, cluster.NodeCondition{Type: once(string(c.Type)), Status: once(string(c.Status)), Reason: once(c.Reason), Message: once(c.Message), Since: c.LastTransitionTime.Time})
	}
	for _, a := range n.Status.Addresses {
		out.Addresses = append(out.Addresses, cluster.Address{Type: string(a.Type), Address: a.Address})
	}
	if path := n.Annotations[metricsPath]; strings.HasPrefix(path, "/") {
		out.MetricsPath = path
	}
	out.KubeletPort = int(n.Status.DaemonEndpoints.KubeletEndpoint.Port)
	return out
}

// pools are the labels by which clouds and operators name a group of like nodes, the most deliberate first.
var pools = []string{"plimsoll.dev/pool", "cloud.google.com/gke-nodepool", "eks.amazonaws.com/nodegroup", "karpenter.sh/nodepool", "kubernetes.azure.com/agentpool", "agentpool",
	"doks.digitalocean.com/node-pool", "k8s.scaleway.com/pool-name", "node.kubernetes.io/instancegroup", "kops.k8s.io/instancegroup", "pool"}

// pool is the node's pool by its labels, else its role.
func pool(labels map[string]string) string {
	for _, l := range pools {
		if v := labels[l]; v != "" {
			return v
		}
	}
	for l := range labels {
		if role, ok := strings.CutPrefix(l, "node-role.kubernetes.io/"); ok && (role == "control-plane" || role == "master") {
			return "control-plane"
		}
	}
	return ""
}
