package hpa

import (
	"math/rand/v2"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	defaults "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	"k8s.io/kubernetes/pkg/apis/autoscaling/validation"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// TestSameAsServer: what the API server refuses in an HPA is refused, and all else is accepted.
func TestSameAsServer(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var refused, accepted int
	for range number(t, "PLIMSOLL_TEST_SPECS", 200_000) {
		h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: drawSpec(r)}
		written := *h.Spec.DeepCopy()
		_, ours := policy.Compile(policy.Spec{MinReplicas: written.MinReplicas, MaxReplicas: written.MaxReplicas, Metrics: written.Metrics, Behavior: written.Behavior})
		theirs := admit(t, h)
		if (ours == nil) != (theirs == nil) {
			t.Fatalf("the API server says %v, the brain says %v to\n%+v", theirs, ours, written)
		}
		if theirs != nil {
			refused++
		} else {
			accepted++
		}
	}
	if t.Logf("%d refused, %d accepted", refused, accepted); refused < 10*accepted/100 || accepted < 10*refused/100 {
		t.Error("the specifications are too much alike")
	}
}

// admit is what the API server says of an HPA that is created.
func admit(t *testing.T, h *autoscalingv2.HorizontalPodAutoscaler) error {
	defaults.SetDefaults_HorizontalPodAutoscaler(h)
	var in autoscaling.HorizontalPodAutoscaler
	if err := defaults.Convert_v2_HorizontalPodAutoscaler_To_autoscaling_HorizontalPodAutoscaler(h, &in, nil); err != nil {
		t.Fatal(err)
	}
	return validation.ValidateHorizontalPodAutoscaler(&in, validation.HorizontalPodAutoscalerSpecValidationOptions{
		ObjectMetricsValidationOptions: validation.CrossVersionObjectReferenceValidationOptions{AllowEmptyAPIGroup: true},
	}).ToAggregate()
}

// drawSpec draws a specification, right or wrong.
func drawSpec(r *rand.Rand) autoscalingv2.HorizontalPodAutoscalerSpec {
	some := func(n int32) *int32 {
		if r.IntN(3) == 0 {
			return nil
		}
		return &n
	}
	s := autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: some(pick[int32](r, 0, 1, 2, 2, 3, -1)), MaxReplicas: pick[int32](r, 5, 5, 5, 3, 1, 0, -1)}
	s.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name}
	for range r.IntN(3) {
		s.Metrics = append(s.Metrics, drawAny(r))
	}
	if r.IntN(4) == 0 {
		s.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: drawAnyRules(r), ScaleDown: drawAnyRules(r)}
	}
	return s
}

func drawAny(r *rand.Rand) (m autoscalingv2.MetricSpec) {
	names := func() string { return pick(r, "cpu", "memory", "qps", "a.b_c-d", "a/b", "a%b", "..", "", "cpu") }
	id := func() autoscalingv2.MetricIdentifier {
		m := autoscalingv2.MetricIdentifier{Name: names()}
		if r.IntN(4) == 0 {
			m.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: pick[metav1.LabelSelectorOperator](r, "In", "Near"), Values: []string{"b"}}}}
		}
		return m
	}
	quantity := func() *resource.Quantity {
		if r.IntN(2) == 0 {
			return nil
		}
		q := resource.MustParse(pick(r, "1", "10", "1n", "500m", "1", "0", "-1"))
		return &q
	}
	target := func() (t autoscalingv2.MetricTarget) {
		t.Type = pick[autoscalingv2.MetricTargetType](r, "Utilization", "Value", "AverageValue", "Utilization", "Value", "AverageValue", "", "utilization")
		t.Value, t.AverageValue = quantity(), quantity()
		if r.IntN(2) == 0 {
			t.AverageUtilization = new(pick[int32](r, 50, 100, 1, 0, -5))
		}
		return t
	}
	m.Type = pick[autoscalingv2.MetricSourceType](r, "Resource", "ContainerResource", "Pods", "Object", "External", "", "resource")
	here := func(kind autoscalingv2.MetricSourceType) bool { return (m.Type == kind) != (r.IntN(15) == 0) }
	if here("Resource") {
		m.Resource = &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceName(names()), Target: target()}
	}
	if here("ContainerResource") {
		m.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{Target: target(), Container: pick(r, "c", "web-1", "c", "", "C", "a.b"),
			Name: pick[corev1.ResourceName](r, "cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "CPU", "pods", "storage", "example.com/gpu", "kubernetes.io/x", "requests.example.com/x", "a/b/c", "")}
	}
	if here("Pods") {
		m.Pods = &autoscalingv2.PodsMetricSource{Metric: id(), Target: target()}
	}
	if here("Object") {
		m.Object = &autoscalingv2.ObjectMetricSource{Metric: id(), Target: target(), DescribedObject: autoscalingv2.CrossVersionObjectReference{
			APIVersion: pick(r, "v1", "apps/v1", "", "a/b/c", "/", "v1/"), Kind: pick(r, "Service", "Service", "", "a/b"), Name: pick(r, "web", "web", "", "x%y", ".")}}
	}
	if here("External") {
		m.External = &autoscalingv2.ExternalMetricSource{Metric: id(), Target: target()}
	}
	return m
}

func drawAnyRules(r *rand.Rand) *autoscalingv2.HPAScalingRules {
	if r.IntN(3) == 0 {
		return nil
	}
	s := &autoscalingv2.HPAScalingRules{}
	if r.IntN(2) == 0 {
		s.StabilizationWindowSeconds = new(pick[int32](r, 0, 300, 3600, 3601, -1))
	}
	if r.IntN(2) == 0 {
		s.SelectPolicy = new(pick[autoscalingv2.ScalingPolicySelect](r, "Max", "Min", "Disabled", "Max", ""))
	}
	if r.IntN(2) == 0 {
		s.Tolerance = new(resource.MustParse(pick(r, "0", "0.1", "-0.1", "7")))
	}
	if r.IntN(2) == 0 {
		s.Policies = []autoscalingv2.HPAScalingPolicy{}
	}
	for range r.IntN(3) {
		s.Policies = append(s.Policies, autoscalingv2.HPAScalingPolicy{
			Type: pick[autoscalingv2.HPAScalingPolicyType](r, "Pods", "Percent", "Pods", "Percent", "pods"), Value: pick[int32](r, 1, 100, 0), PeriodSeconds: pick[int32](r, 1, 60, 1800, 1801, 0)})
	}
	return s
}
