package policy

import (
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

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

// compile fills m from its specification. It refuses what the API server refuses in an HPA, and accepts what that accepts.
func (m *metric) compile(path string, s *autoscalingv2.MetricSpec) error {
	m.source = s.Type
	section, err := sectionOf(path, s)
	if err != nil {
		return err
	}
	path += "." + section
	switch s.Type {
	case autoscalingv2.ResourceMetricSourceType:
		if m.name = string(s.Resource.Name); m.name == "" {
			return fieldErr(path+".name", "", "must name the resource")
		}
		return m.compileByPod(path+".target", &s.Resource.Target)
	case autoscalingv2.ContainerResourceMetricSourceType:
		c := s.ContainerResource
		m.name, m.container = string(c.Name), c.Container
		switch {
		case !containerResource(m.name):
			return fieldErr(path+".name", m.name, "must be a resource of containers, such as cpu or memory")
		case m.container == "":
			return fieldErr(path+".container", "", "must name a container")
		case len(validation.IsDNS1123Label(m.container)) > 0:
			return fieldErr(path+".container", m.container, "is not the name of a container (a DNS label: lower case letters, digits and hyphens, at most 63)")
		}
		return m.compileByPod(path+".target", &c.Target)
	case autoscalingv2.PodsMetricSourceType:
		if err := m.identify(path+".metric", &s.Pods.Metric); err != nil {
			return err
		}
		return m.compileCustom(path+".target", &s.Pods.Target)
	case autoscalingv2.ObjectMetricSourceType:
		if err := m.identify(path+".metric", &s.Object.Metric); err != nil {
			return err
		}
		if err := checkObject(path+".describedObject", &s.Object.DescribedObject); err != nil {
			return err
		}
		m.object, m.described = objectOf(&s.Object.DescribedObject), &s.Object.DescribedObject
		return m.compileObject(path+".target", &s.Object.Target)
	}
	if err := m.identify(path+".metric", &s.External.Metric); err != nil {
		return err
	}
	return m.compileExternal(path+".target", &s.External.Target)
}

// sectionOf is the section of a metric that its type needs; it must be there, and no other.
func sectionOf(path string, s *autoscalingv2.MetricSpec) (needed string, err error) {
	sections := []struct {
		source autoscalingv2.MetricSourceType
		name   string
		given  bool
	}{
		{autoscalingv2.ResourceMetricSourceType, "resource", s.Resource != nil}, {autoscalingv2.ContainerResourceMetricSourceType, "containerResource", s.ContainerResource != nil},
		{autoscalingv2.PodsMetricSourceType, "pods", s.Pods != nil}, {autoscalingv2.ObjectMetricSourceType, "object", s.Object != nil},
		{autoscalingv2.ExternalMetricSourceType, "external", s.External != nil},
	}
	found := false
	for _, c := range sections {
		if c.source == s.Type {
			needed, found = c.name, c.given
		}
	}
	switch {
	case needed == "":
		return "", fieldErr(path+".type", s.Type, "must be Resource, ContainerResource, Pods, Object or External")
	case !found:
		return "", fieldErr(path+".type", s.Type, "needs the section %q, which is missing", needed)
	}
	for _, c := range sections {
		if c.given && c.name != needed {
			return "", fieldErr(path+"."+c.name, "", "does not go with the type %s: give one metric an entry of its own", s.Type)
		}
	}
	return needed, nil
}

// identify sets the name and the selector of a metric of the custom or external API.
func (m *metric) identify(path string, id *autoscalingv2.MetricIdentifier) error {
	if id.Name == "" {
		return fieldErr(path+".name", "", "must name the metric")
	}
	if why := pathSegment(id.Name); why != "" {
		return fieldErr(path+".name", id.Name, "%s", why)
	}
	m.name = id.Name
	selector, err := selectorText(id.Selector)
	if err != nil {
		m.broken = err.Error() // the API server accepts it; the HPA says so at each pass
	}
	m.selector = selector
	return nil
}

// checkObject checks the object that a metric describes.
func checkObject(path string, o *autoscalingv2.CrossVersionObjectReference) error {
	for _, f := range []struct{ name, value string }{{"kind", o.Kind}, {"name", o.Name}} {
		if f.value == "" {
			return fieldErr(path+"."+f.name, "", "must be there")
		}
		if why := pathSegment(f.value); why != "" {
			return fieldErr(path+"."+f.name, f.value, "%s", why)
		}
	}
	if strings.Count(o.APIVersion, "/") > 1 {
		return fieldErr(path+".apiVersion", o.APIVersion, "must be a version, or a group and a version, such as apps/v1")
	}
	return nil
}

// pathSegment says why a name cannot stand in the path of a URL, "" if it can.
func pathSegment(name string) string {
	switch {
	case name == "." || name == "..":
		return "must not be . or .."
	case strings.ContainsAny(name, "/%"):
		return "must not contain / or %"
	}
	return ""
}

// containerResource says whether a container can ask for a resource of this name.
func containerResource(name string) bool {
	domain, _, qualified := strings.Cut(name, "/")
	switch {
	case len(validation.IsQualifiedName(name)) > 0:
		return false
	case !qualified:
		return cluster.PodLevel(corev1.ResourceName(name)) || name == string(corev1.ResourceEphemeralStorage)
	case domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io"):
		return true
	}
	return !strings.HasPrefix(name, corev1.DefaultResourceRequestsPrefix) && len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+name)) == 0
}

// checkTarget checks what every target must have: a type, and no value that is not positive. A value that the type or the
// source does not ask for is not used.
func checkTarget(path string, t *autoscalingv2.MetricTarget) error {
	switch t.Type {
	case autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType:
	default:
		return fieldErr(path+".type", t.Type, "must be Utilization, Value or AverageValue")
	}
	for _, v := range []struct {
		field string
		q     *resource.Quantity
	}{{".value", t.Value}, {".averageValue", t.AverageValue}} {
		if v.q != nil && v.q.Sign() <= 0 {
			return fieldErr(path+v.field, v.q.String(), "must be more than 0")
		}
	}
	if u := t.AverageUtilization; u != nil && *u < 1 {
		return fieldErr(path+".averageUtilization", *u, "must be at least 1 (percent of request)")
	}
	return nil
}

// use makes a value the target.
func (m *metric) use(kind autoscalingv2.MetricTargetType, q *resource.Quantity) {
	m.target, m.milli = kind, cluster.MilliOf(*q)
}

// compileByPod checks the target of a resource: a utilization or an average, whatever its type says.
func (m *metric) compileByPod(path string, t *autoscalingv2.MetricTarget) error {
	if err := checkTarget(path, t); err != nil {
		return err
	}
	switch {
	case t.AverageUtilization != nil && t.AverageValue != nil:
		return fieldErr(path+".averageValue", t.AverageValue.String(), "does not go with averageUtilization: give one of the two")
	case t.AverageValue != nil:
		m.use(autoscalingv2.AverageValueMetricType, t.AverageValue)
	case t.AverageUtilization != nil:
		m.target, m.percent = autoscalingv2.UtilizationMetricType, *t.AverageUtilization
	case t.Type == autoscalingv2.AverageValueMetricType:
		return fieldErr(path+".averageValue", "", "is needed")
	default:
		return fieldErr(path+".averageUtilization", "", "is needed, or averageValue")
	}
	return nil
}

// compileCustom checks the target of a Pods metric: an average, whatever its type says.
func (m *metric) compileCustom(path string, t *autoscalingv2.MetricTarget) error {
	if err := checkTarget(path, t); err != nil {
		return err
	}
	if t.AverageValue == nil {
		return fieldErr(path+".averageValue", "", "is needed")
	}
	m.use(autoscalingv2.AverageValueMetricType, t.AverageValue)
	return nil
}

// compileObject checks the target of an Object metric: of two values the one that the type names. The API server accepts a type
// whose value is missing; the HPA then says at each pass that there is none.
func (m *metric) compileObject(path string, t *autoscalingv2.MetricTarget) error {
	if err := checkTarget(path, t); err != nil {
		return err
	}
	switch {
	case t.Value == nil && t.AverageValue == nil:
		return fieldErr(path+".averageValue", "", "is needed, or value")
	case t.Type == autoscalingv2.ValueMetricType && t.Value != nil:
		m.use(autoscalingv2.ValueMetricType, t.Value)
	case t.Type == autoscalingv2.AverageValueMetricType && t.AverageValue != nil:
		m.use(autoscalingv2.AverageValueMetricType, t.AverageValue)
	default:
		m.broken = fmt.Sprintf("invalid object metric source: a target of type %s has no such value", t.Type)
		if q := t.Value; q != nil {
			m.use(autoscalingv2.ValueMetricType, q)
		} else {
			m.use(autoscalingv2.AverageValueMetricType, t.AverageValue)
		}
	}
	return nil
}

// compileExternal checks the target of an External metric: one of two values, whatever its type says.
func (m *metric) compileExternal(path string, t *autoscalingv2.MetricTarget) error {
	if err := checkTarget(path, t); err != nil {
		return err
	}
	switch {
	case t.Value == nil && t.AverageValue == nil:
		return fieldErr(path+".averageValue", "", "is needed, or value")
	case t.Value != nil && t.AverageValue != nil:
		return fieldErr(path+".value", t.Value.String(), "does not go with averageValue: give one of the two")
	case t.Value != nil:
		m.use(autoscalingv2.ValueMetricType, t.Value)
	default:
		m.use(autoscalingv2.AverageValueMetricType, t.AverageValue)
	}
	return nil
}
