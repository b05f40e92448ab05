package policy

import (
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// FieldError says which field of a specification cannot be used, its value, and why.
type FieldError struct {
	Field   string // its path: metrics[0].resource.target.averageUtilization
	Value   string
	Problem string
}

// Error reads "maxReplicas "2" must be at least minReplicas, which is 5".
func (e *FieldError) Error() string { return fmt.Sprintf("%s %q %s", e.Field, e.Value, e.Problem) }

func fieldErr(field string, value any, problem string, args ...any) error {
	return &FieldError{Field: field, Value: fmt.Sprint(value), Problem: fmt.Sprintf(problem, args...)}
}

// compileMetrics checks the metrics; none means cpu at 80 %.
func compileMetrics(specs []autoscalingv2.MetricSpec) ([]metric, error) {
	if len(specs) == 0 {
		return []metric{{source: autoscalingv2.ResourceMetricSourceType, name: string(corev1.ResourceCPU), target: autoscalingv2.UtilizationMetricType, percent: DefaultCPU}}, nil
	}
	out := make([]metric, len(specs))
	for i := range specs {
		if err := out[i].compile(fmt.Sprintf("metrics[%d]", i), &specs[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// hasWhole says whether there is a metric of the whole target, which can be seen without pods.
func hasWhole(ms []metric) bool {
	return slices.ContainsFunc(ms, func(m metric) bool {
		return m.source == autoscalingv2.ObjectMetricSourceType || m.source == autoscalingv2.ExternalMetricSourceType
	})
}

// compile fills m from its specification.
func (m *metric) compile(path string, s *autoscalingv2.MetricSpec) error {
	m.source = s.Type
	var target *autoscalingv2.MetricTarget
	var field string
	allowed := []autoscalingv2.MetricTargetType{autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType}
	switch {
	case s.Type == autoscalingv2.ResourceMetricSourceType && s.Resource != nil:
		field, m.name, target = "resource", string(s.Resource.Name), &s.Resource.Target
		allowed[0] = autoscalingv2.UtilizationMetricType
	case s.Type == autoscalingv2.ContainerResourceMetricSourceType && s.ContainerResource != nil:
		field, m.name, target = "containerResource", string(s.ContainerResource.Name), &s.ContainerResource.Target
		m.container = s.ContainerResource.Container
		if m.container == "" {
			return fieldErr(path+".containerResource.container", "", "must name a container")
		}
		allowed[0] = autoscalingv2.UtilizationMetricType
	case s.Type == autoscalingv2.PodsMetricSourceType && s.Pods != nil:
		field, m.name, target = "pods", s.Pods.Metric.Name, &s.Pods.Target
		allowed = allowed[1:]
	case s.Type == autoscalingv2.ObjectMetricSourceType && s.Object != nil:
		field, m.name, target = "object", s.Object.Metric.Name, &s.Object.Target
	case s.Type == autoscalingv2.ExternalMetricSourceType && s.External != nil:
		field, m.name, target = "external", s.External.Metric.Name, &s.External.Target
	default:
		return compileSource(path, s.Type)
	}
	if m.name == "" {
		return fieldErr(path+"."+field+nameField(field), "", "must name the metric")
	}
	return m.compileTarget(path+"."+field+".target", target, allowed)
}

// nameField is where a source's name is written.
func nameField(source string) string {
	if source == "resource" || source == "containerResource" {
		return ".name"
	}
	return ".metric.name"
}

// compileSource says what is wrong with a metric whose type has no section.
func compileSource(path string, t autoscalingv2.MetricSourceType) error {
	known := map[autoscalingv2.MetricSourceType]string{
		autoscalingv2.ResourceMetricSourceType: "resource", autoscalingv2.ContainerResourceMetricSourceType: "containerResource",
		autoscalingv2.PodsMetricSourceType: "pods", autoscalingv2.ObjectMetricSourceType: "object", autoscalingv2.ExternalMetricSourceType: "external",
	}
	if section, ok := known[t]; ok {
		return fieldErr(path+".type", t, "needs the section %q, which is missing", section)
	}
	return fieldErr(path+".type", t, "must be Resource, ContainerResource, Pods, Object or External")
}

// compileTarget checks a target: one value, of an allowed type. A type that is left out is that of the value given.
func (m *metric) compileTarget(path string, t *autoscalingv2.MetricTarget, allowed []autoscalingv2.MetricTargetType) error {
	given := map[autoscalingv2.MetricTargetType]bool{
		autoscalingv2.UtilizationMetricType:  t.AverageUtilization != nil,
		autoscalingv2.ValueMetricType:        t.Value != nil,
		autoscalingv2.AverageValueMetricType: t.AverageValue != nil,
	}
	m.target = t.Type
	var names []string
	for _, a := range allowed {
		names = append(names, string(a))
		if t.Type == "" && given[a] && m.target == "" {
			m.target = a
		}
	}
	for _, a := range allowed {
		if m.target != a {
			continue
		}
		if !given[a] {
			return fieldErr(path+"."+valueField(a), "", "is needed by a target of type %s", a)
		}
		for other, yes := range given {
			if yes && other != a {
				return fieldErr(path+"."+valueField(other), "", "does not go with a target of type %s", a)
			}
		}
		return m.compileValue(path+"."+valueField(a), t)
	}
	return fieldErr(path+".type", t.Type, "must be %s", strings.Join(names, " or "))
}

// valueField is the field that holds the value of a target type.
func valueField(t autoscalingv2.MetricTargetType) string {
	switch t {
	case autoscalingv2.UtilizationMetricType:
		return "averageUtilization"
	case autoscalingv2.AverageValueMetricType:
		return "averageValue"
	}
	return "value"
}

func (m *metric) compileValue(path string, t *autoscalingv2.MetricTarget) error {
	if m.target == autoscalingv2.UtilizationMetricType {
		m.percent = *t.AverageUtilization
		if m.percent < 1 {
			return fieldErr(path, m.percent, "must be at least 1 (percent of request)")
		}
		return nil
	}
	var q *resource.Quantity
	if q = t.Value; m.target == autoscalingv2.AverageValueMetricType {
		q = t.AverageValue
	}
	if m.milli = cluster.MilliOf(*q); m.milli < 1 {
		return fieldErr(path, q.String(), "must be more than 0")
	}
	return nil
}
