package hpa

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// input is the world as the brain is given it, in compat. state is what its decision before left behind.
func (w *world) input(t *testing.T, now time.Time, state *policy.State) policy.Input {
	t.Helper()
	p, err := policy.Compile(policy.Spec{MinReplicas: w.written.MinReplicas, MaxReplicas: w.written.MaxReplicas, Metrics: w.written.Metrics, Behavior: w.written.Behavior})
	if err != nil {
		t.Fatal(err)
	}
	in := policy.Input{Now: now, Policy: p, Options: w.flags, Errors: w.errs, State: state}
	in.Target = policy.Target{SpecReplicas: cluster.DesiredReplicas(w.scale.Spec.Replicas), StatusReplicas: cluster.ObservedReplicas(w.scale.Status.Replicas)}
	if w.hidden {
		in.Target.Problem = &policy.Problem{Reason: policy.FailedGetScale, Message: hiddenScale}
	}
	for _, p := range w.pods {
		in.Pods = append(in.Pods, podOf(p))
	}
	for i := range w.usage {
		u := &w.usage[i]
		to := cluster.PodUsage{Pod: u.Name, Timestamp: u.Timestamp.Time, Window: u.Window.Duration}
		for _, c := range u.Containers {
			to.Containers = append(to.Containers, cluster.ContainerUsage{Name: c.Name, Usage: resourcesOf(c.Usage)})
		}
		in.Usage = append(in.Usage, to)
	}
	for id, values := range w.custom {
		m := policy.PodsMetric{Metric: id.metric, Selector: id.labels()}
		for _, v := range values {
			m.Pods = append(m.Pods, policy.PodValue{Pod: v.DescribedObject.Name, Value: cluster.MilliOf(v.Value), Timestamp: v.Timestamp.Time, Window: time.Minute})
		}
		in.PodsMetrics = append(in.PodsMetrics, m)
	}
	for id, v := range w.object {
		kind, name, _ := strings.Cut(id.object, "/")
		in.ObjectMetrics = append(in.ObjectMetrics, policy.ObjectMetric{Metric: id.metric, Selector: id.labels(), Value: cluster.MilliOf(v.Value),
			DescribedObject: &autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: kind, Name: name}})
	}
	for id, values := range w.external {
		m := policy.ExternalMetric{Metric: id.metric, Selector: id.labels()}
		for _, v := range values {
			m.Values = append(m.Values, cluster.MilliOf(v.Value))
		}
		in.ExternalMetrics = append(in.ExternalMetrics, m)
	}
	return in
}

// labels is the selector of a series as a specification has it.
func (s series) labels() *metav1.LabelSelector {
	parsed, err := metav1.ParseToLabelSelector(s.selector)
	if err != nil {
		panic(err) // this test wrote it
	}
	return parsed
}

func podOf(p *corev1.Pod) cluster.Pod {
	to := cluster.Pod{Name: p.Name, Phase: p.Status.Phase, Deleting: p.DeletionTimestamp != nil}
	if p.Status.StartTime != nil {
		to.StartTime = p.Status.StartTime.Time
	}
	for _, c := range p.Status.Conditions {
		to.Ready, to.ReadyTransition = c.Status, c.LastTransitionTime.Time
	}
	if p.Spec.Resources != nil {
		to.Requests = resourcesOf(p.Spec.Resources.Requests)
	}
	to.Overhead = resourcesOf(p.Spec.Overhead)
	to.Containers, to.InitContainers = containersOf(p.Spec.Containers), containersOf(p.Spec.InitContainers)
	return to
}

func containersOf(cs []corev1.Container) (out []cluster.Container) {
	for _, c := range cs {
		always := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		out = append(out, cluster.Container{Name: c.Name, Always: always, Requests: resourcesOf(c.Resources.Requests)})
	}
	return out
}

func resourcesOf(list corev1.ResourceList) (out cluster.Resources) {
	for id, q := range list {
		out = append(out, cluster.Resource{Name: id, Milli: cluster.MilliOf(q)})
	}
	slices.SortFunc(out, func(a, b cluster.Resource) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// forget takes the conditions of the last pass out of the HPA's status, so that those found after the next are that pass's.
// ScaledToZero stays where it is True: the controller reads it.
func (w *world) forget() {
	w.hpa = w.hpa.DeepCopy()
	w.hpa.Status.Conditions = slices.DeleteFunc(w.hpa.Status.Conditions, func(c autoscalingv2.HorizontalPodAutoscalerCondition) bool {
		return c.Type != autoscalingv2.ScaledToZero || c.Status != corev1.ConditionTrue
	})
}
