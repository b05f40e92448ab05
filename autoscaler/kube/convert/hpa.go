package convert

import (
	"fmt"
	"strings"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"plimsoll.dev/plimsoll/autoscaler/kube"
	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// autoscaler converts a HorizontalPodAutoscaler, whose fields a ScalePolicy has under the same names.
func (c *conversion) autoscaler() error {
	for i := range c.of.Metadata.OwnerReferences {
		if o := &c.of.Metadata.OwnerReferences[i]; o.Kind == "ScaledObject" {
			return fmt.Errorf("ScaledObject %q made it: convert that one, by 'plimsoll convert scaledobject'", o.Name)
		}
	}
	switch version := strings.TrimPrefix(c.of.APIVersion, "autoscaling/"); version {
	case "v1":
		if err := c.first(); err != nil {
			return err
		}
	case "v2", "v2beta2": // the same fields
		var s autoscalingv2.HorizontalPodAutoscalerSpec
		if err := c.decode(&s); err != nil {
			return err
		}
		c.spec = policy.Spec{ScaleTargetRef: &s.ScaleTargetRef, MinReplicas: s.MinReplicas, MaxReplicas: s.MaxReplicas, Metrics: s.Metrics, Behavior: s.Behavior}
	default:
		return fmt.Errorf("apiVersion %q is none of autoscaling/v2, v2beta2 and v1: convert what 'kubectl get hpa.v2.autoscaling' prints", c.of.APIVersion)
	}
	if c.of.Metadata.Annotations[kube.Boost] == "true" {
		c.spec.Mode = policy.Mode(c.of.Metadata.Annotations[kube.Mode])
		c.note("metadata.annotations["+kube.Boost+"]", "left out: the policy scales by itself")
	}
	for i := range c.spec.Metrics {
		c.ownNamespace(i, &c.spec.Metrics[i])
		c.rights(i, &c.spec.Metrics[i])
	}
	return nil
}

// first reads the specification of autoscaling/v1.
func (c *conversion) first() error {
	var s autoscalingv1.HorizontalPodAutoscalerSpec
	if err := c.decode(&s); err != nil {
		return err
	}
	ref := autoscalingv2.CrossVersionObjectReference(s.ScaleTargetRef)
	c.spec = policy.Spec{ScaleTargetRef: &ref, MinReplicas: s.MinReplicas, MaxReplicas: s.MaxReplicas}
	if u := s.TargetCPUUtilizationPercentage; u != nil {
		c.spec.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: u}}}}
	}
	return nil
}

// ownNamespace names the namespace that an HPA reads whatever it names.
func (c *conversion) ownNamespace(i int, m *autoscalingv2.MetricSpec) {
	own := c.of.Metadata.Namespace
	if m.Object == nil || own == "" || !kube.OfNamespace(&m.Object.DescribedObject) || m.Object.DescribedObject.Name == own {
		return
	}
	c.note(fmt.Sprintf("spec.metrics[%d].object.describedObject.name", i), "%q became %q: of namespaces an HPA reads its own, whatever it names", m.Object.DescribedObject.Name, own)
	m.Object.DescribedObject.Name = own
}

// rights tells which metrics Plimsoll may not read before somebody lets it.
func (c *conversion) rights(i int, m *autoscalingv2.MetricSpec) {
	var name string
	value := "custom"
	switch {
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		name = "pods/" + m.Pods.Metric.Name
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		name = resourceOf(&m.Object.DescribedObject) + "/" + m.Object.Metric.Name
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		value, name = "external", m.External.Metric.Name
	default:
		return
	}
	c.note(fmt.Sprintf("spec.metrics[%d]", i), "the autoscaler may read it once the chart's value autoscaler.metrics.%s names it (%s)", value, name)
}

// resourceOf is how the custom metrics API calls an object's kind, as the chart's values name it.
func resourceOf(o *autoscalingv2.CrossVersionObjectReference) string {
	if kube.OfNamespace(o) {
		return "metrics"
	}
	r, _ := meta.UnsafeGuessKindToResource(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
	return r.GroupResource().String()
}

// meaning tells what is the same in words and not in effect.
func (c *conversion) meaning() {
	c.note("spec", "window, stableWindow and confidence are Plimsoll's own and left at their defaults: it grows on the last %s as far as they stand clear of noise, and shrinks on %s; an HPA looks every 15s",
		policy.DefaultWindow, policy.DefaultStableWindow)
	b := c.spec.Behavior
	switch {
	case b != nil && b.ScaleDown != nil && b.ScaleDown.StabilizationWindowSeconds != nil:
		if w := time.Duration(*b.ScaleDown.StabilizationWindowSeconds) * time.Second; w < policy.DefaultStableWindow {
			c.note("spec.behavior.scaleDown.stabilizationWindowSeconds", "shorter than stableWindow: what was needed within the last %s holds the count all the same", policy.DefaultStableWindow)
		}
	default:
		c.note("spec.behavior.scaleDown.stabilizationWindowSeconds", "left out, so 5 minutes, whatever --horizontal-pod-autoscaler-downscale-stabilization your controller has")
	}
	if b == nil || b.ScaleUp == nil || b.ScaleUp.Tolerance == nil || b.ScaleDown == nil || b.ScaleDown.Tolerance == nil {
		c.note("spec.tolerance", "left out, so 0.1, whatever --horizontal-pod-autoscaler-tolerance your controller has")
	}
}
