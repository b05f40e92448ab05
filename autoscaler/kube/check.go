package kube

import (
	"fmt"
	"regexp"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/metric"
)

// words are what a name must look like, how long it may be, and what people are told of one that is not so. The CustomResourceDefinition
// is made of them too.
type words struct {
	pattern *regexp.Regexp
	most    int
	want    string
}

var (
	versionWords = words{regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-z]([-a-z0-9]*[a-z0-9])?$`), 253, "must be a version, or a group and a version, such as apps/v1"}
	kindWords    = words{regexp.MustCompile(`^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$`), 63, "must be the name of a kind, such as Deployment"}
	nameWords    = words{regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`), 253, "must be the name of an object: lower case letters, digits, hyphens and dots"}
	keyWords     = words{regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`), 317, "must be the name of a label: at most 63 letters, digits, hyphens, underscores and dots, behind a domain and a slash or not"}
	valueWords   = words{regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`), 63, "must be the value of a label: at most 63 letters, digits, hyphens, underscores and dots"}
)

// An API server reckons what its rules may cost by how much there may be of everything.
const (
	mostLabels = 16 // in a selector; and as many expressions
	mostValues = 32 // of an expression
)

const (
	someValues = "needs values with this operator"
	noValues   = "has no values with this operator"
)

// Check says what of a ScalePolicy's specification can never work, beside what policy.Compile refuses. Of an HPA the API server takes
// that, so that a boost of it lives with it: its metric fails at each pass and says so, or is that of the HPA's own namespace, as it is for the HPA. namespace is the policy's; "" where
// that is not known.
func Check(s *policy.Spec, namespace string) error {
	c := checker{namespace: namespace}
	if ref := s.ScaleTargetRef; ref != nil {
		c.must("scaleTargetRef.apiVersion", ref.APIVersion, versionWords)
		c.must("scaleTargetRef.kind", ref.Kind, kindWords)
		c.must("scaleTargetRef.name", ref.Name, nameWords)
	}
	for i := range s.Metrics {
		c.metric(fmt.Sprintf("metrics[%d].", i), &s.Metrics[i])
	}
	return c.err
}

// checker keeps the first fault.
type checker struct {
	namespace string
	err       error
}

// OfNamespace says whether what an Object metric describes is a namespace.
func OfNamespace(o *autoscalingv2.CrossVersionObjectReference) bool {
	return o.Kind == "Namespace" && !strings.Contains(o.APIVersion, "/")
}

func (c *checker) fault(field string, value any, problem string) {
	if c.err == nil {
		c.err = &policy.FieldError{Field: field, Value: fmt.Sprint(value), Problem: problem}
	}
}

func (c *checker) must(field, value string, w words) {
	if c.err == nil && (len(value) > w.most || !w.pattern.MatchString(value)) {
		c.fault(field, value, w.want)
	}
}

func (c *checker) metric(at string, m *autoscalingv2.MetricSpec) {
	if r := m.Resource; r != nil {
		c.resource(at+"resource.name", string(r.Name))
	}
	if r := m.ContainerResource; r != nil {
		c.resource(at+"containerResource.name", string(r.Name))
	}
	if p := m.Pods; p != nil {
		c.selector(at+"pods.metric.selector", p.Metric.Selector)
	}
	if o := m.Object; o != nil {
		if v := o.DescribedObject.APIVersion; v != "" {
			c.must(at+"object.describedObject.apiVersion", v, versionWords)
		}
		if of := &o.DescribedObject; OfNamespace(of) && c.namespace != "" && of.Name != c.namespace {
			c.fault(at+"object.describedObject.name", of.Name, fmt.Sprintf("must be %q, the policy's own namespace: metrics of another are not read", c.namespace))
		}
		c.selector(at+"object.metric.selector", o.Metric.Selector)
	}
	if e := m.External; e != nil {
		c.selector(at+"external.metric.selector", e.Metric.Selector)
	}
}

func (c *checker) resource(field, name string) {
	if _, ok := metric.OfResource(name); !ok {
		c.fault(field, name, "is not measured: cpu and memory are")
	}
}

func (c *checker) selector(at string, s *metav1.LabelSelector) {
	if s == nil {
		return
	}
	if n := max(len(s.MatchLabels), len(s.MatchExpressions)); n > mostLabels {
		c.fault(at, n, fmt.Sprintf("labels or expressions are more than %d", mostLabels))
	}
	for k, v := range s.MatchLabels {
		c.must(at+".matchLabels", k, keyWords)
		c.must(at+".matchLabels["+k+"]", v, valueWords)
	}
	for i := range s.MatchExpressions {
		e, at := &s.MatchExpressions[i], fmt.Sprintf("%s.matchExpressions[%d]", at, i)
		c.must(at+".key", e.Key, keyWords)
		switch e.Operator {
		case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
			if len(e.Values) == 0 {
				c.fault(at, e.Operator, someValues)
			}
		case metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
			if len(e.Values) > 0 {
				c.fault(at, e.Operator, noValues)
			}
		default:
			c.fault(at+".operator", e.Operator, "must be In, NotIn, Exists or DoesNotExist")
		}
		if n := len(e.Values); n > mostValues {
			c.fault(at+".values", n, fmt.Sprintf("are more than %d", mostValues))
		}
		for j, v := range e.Values {
			c.must(fmt.Sprintf("%s.values[%d]", at, j), v, valueWords)
		}
	}
}
