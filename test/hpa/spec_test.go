package hpa

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	defaults "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
)

// drawHPA draws a specification. The controller is given it as the API server stores it, with its defaults; the brain as it was
// written.
func (w *world) drawHPA() {
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: "uid"}}
	h.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name}
	for i := range pick(w.r, 1, 1, 1, 1, 1, 2, 2, 3, 3, 0) {
		h.Spec.Metrics = append(h.Spec.Metrics, w.drawMetric(fmt.Sprintf("m%d", i)))
	}
	w.hpa = h
	w.written = *h.Spec.DeepCopy()
	if w.one(2) {
		w.behave()
	}
	w.limits()
}

// behave draws the behavior anew, or changes no more than a period.
func (w *world) behave() {
	b := w.written.Behavior
	if b != nil && !w.one(4) {
		for _, rules := range []*autoscalingv2.HPAScalingRules{b.ScaleUp, b.ScaleDown} {
			if rules != nil && len(rules.Policies) > 0 {
				rules.Policies[0].PeriodSeconds = w.drawPeriod()
			}
		}
	} else {
		w.written.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: w.drawRules(), ScaleDown: w.drawRules()}
	}
	w.store()
}

func (w *world) drawPeriod() int32 { return pick[int32](w.r, 1, 15, 30, 60, 600) }

// limits draws the minimum and the maximum anew.
func (w *world) limits() {
	w.written.MaxReplicas = pick[int32](w.r, 20, 20, 20, 10, 6, 3)
	if w.edge && w.one(3) {
		w.written.MaxReplicas = 1_000_000_000
	}
	w.written.MinReplicas = nil
	if !w.one(4) {
		w.written.MinReplicas = new(1 + w.r.Int32N(3))
	}
	for _, m := range w.written.Metrics {
		if (m.Object != nil || m.External != nil) && w.one(2) {
			w.written.MinReplicas = new(int32(0))
		}
	}
	w.store()
}

// store puts what was written into the HPA as the API server does.
func (w *world) store() {
	w.hpa = w.hpa.DeepCopy()
	w.hpa.Spec = *w.written.DeepCopy()
	defaults.SetDefaults_HorizontalPodAutoscaler(w.hpa)
}

func (w *world) drawMetric(id string) (m autoscalingv2.MetricSpec) {
	target := func(kind autoscalingv2.MetricTargetType, text string) (t autoscalingv2.MetricTarget) {
		t.Type = kind
		q := resource.MustParse(text)
		if kind == autoscalingv2.ValueMetricType {
			t.Value = &q
		} else {
			t.AverageValue = &q
		}
		return t
	}
	const average, value = autoscalingv2.AverageValueMetricType, autoscalingv2.ValueMetricType
	percent := pick[int32](w.r, 50, 50, 60, 70, 80, 100, 150)
	utilization := autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent}
	which := autoscalingv2.MetricIdentifier{Name: id}
	if w.one(4) { // two of one name, told apart by their labels
		which.Name, which.Selector = "shared", &metav1.LabelSelector{MatchLabels: map[string]string{"of": pick(w.r, id, "all")}}
	}
	switch w.r.IntN(8) {
	case 0, 1, 2:
		m = autoscalingv2.MetricSpec{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: pick[corev1.ResourceName](w.r, "cpu", "cpu", "memory"), Target: utilization}}
	case 3:
		m = autoscalingv2.MetricSpec{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: target(average, pick(w.r, "50m", "100m", "333m"))}}
		if w.one(3) {
			m.Resource.Name, m.Resource.Target = "memory", target(average, pick(w.r, "100Mi", "100Mi", "500m"))
		}
	case 4:
		m = autoscalingv2.MetricSpec{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricSource{
			Name: "cpu", Container: pick(w.r, "c", "c", "c", "d", "s"), Target: pick(w.r, utilization, target(average, "50m")),
		}}
	case 5:
		m = autoscalingv2.MetricSpec{Type: "Pods", Pods: &autoscalingv2.PodsMetricSource{Metric: which, Target: target(average, "20")}}
	case 6:
		of := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: pick(w.r, "queue", "queue", "other")}
		m = autoscalingv2.MetricSpec{Type: "Object", Object: &autoscalingv2.ObjectMetricSource{Metric: which, DescribedObject: of, Target: pick(w.r, target(value, "30"), target(average, "10"))}}
	case 7:
		m = autoscalingv2.MetricSpec{Type: "External", External: &autoscalingv2.ExternalMetricSource{Metric: which, Target: pick(w.r, target(value, "30"), target(average, "10"))}}
	}
	if w.one(4) {
		w.mistype(&m)
	}
	return m
}

// mistype gives a target another type than that of its value, and a second value where the API server accepts one.
func (w *world) mistype(m *autoscalingv2.MetricSpec) {
	kind := pick(w.r, autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType)
	fifty, forty := resource.MustParse("50"), int32(40)
	switch {
	case m.Resource != nil:
		m.Resource.Target.Type = kind
		if w.one(2) {
			m.Resource.Target.Value = &fifty
		}
	case m.ContainerResource != nil:
		m.ContainerResource.Target.Type = kind
	case m.Pods != nil:
		m.Pods.Target.Type = kind
		if w.one(2) {
			m.Pods.Target.Value = &fifty
		}
	case m.Object != nil:
		m.Object.Target.Type = kind
		if w.one(2) {
			m.Object.Target.Value, m.Object.Target.AverageValue = &fifty, &fifty
		}
	case m.External != nil:
		m.External.Target.Type = kind
		if w.one(2) {
			m.External.Target.AverageUtilization = &forty
		}
	}
}

// drawRules draws one direction of a behavior; what it leaves out is defaulted.
func (w *world) drawRules() *autoscalingv2.HPAScalingRules {
	if w.one(3) {
		return nil
	}
	s := &autoscalingv2.HPAScalingRules{}
	if w.one(2) {
		s.StabilizationWindowSeconds = new(pick[int32](w.r, 0, 15, 60, 120, 300, 600))
	}
	if w.one(2) {
		s.SelectPolicy = new(pick(w.r, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect))
	}
	if w.one(3) {
		s.Tolerance = new(resource.MustParse(pick(w.r, "0", "0.05", "0.2", "500m")))
	}
	for range w.r.IntN(4) {
		s.Policies = append(s.Policies, autoscalingv2.HPAScalingPolicy{
			Type:  pick(w.r, autoscalingv2.PodsScalingPolicy, autoscalingv2.PercentScalingPolicy),
			Value: pick[int32](w.r, 1, 2, 4, 10, 50, 100, 150), PeriodSeconds: w.drawPeriod(),
		})
		if w.edge {
			s.Policies[len(s.Policies)-1].Value = pick[int32](w.r, 5, 1_000_000_000, 2_147_483_600, 2_147_483_647)
		}
	}
	return s
}
