package policy

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// series is what a value of the custom or external API is said to be of.
type series struct {
	metric   string
	selector *metav1.LabelSelector                      // nil: not said
	object   *autoscalingv2.CrossVersionObjectReference // nil: not said
}

// selectorText writes a selector in the one way that equal ones share; "" selects everything.
func selectorText(s *metav1.LabelSelector) (string, error) {
	if s == nil {
		return "", nil
	}
	parsed, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return "", fmt.Errorf("the selector of the metric cannot be used: %w", err)
	}
	return parsed.String(), nil
}

// objectOf writes what an object is asked for by: group, kind and name. Of a namespace there is only the target's own.
func objectOf(o *autoscalingv2.CrossVersionObjectReference) string {
	group, _, grouped := strings.Cut(o.APIVersion, "/")
	switch {
	case !grouped && o.Kind == "Namespace":
		return "/Namespace/"
	case !grouped:
		group = ""
	}
	return group + "/" + o.Kind + "/" + o.Name
}

// fit says whether a value may be a metric's, and whether it says all that tells it from those of other metrics of the name.
func (s *series) fit(m *metric) (may, sure bool) {
	may, sure = s.metric == m.name, true
	switch {
	case s.selector != nil:
		text, err := selectorText(s.selector)
		may = may && err == nil && text == m.selector
	case m.selector != "":
		sure = false
	}
	switch {
	case s.object != nil:
		may = may && objectOf(s.object) == m.object
	case m.object != "":
		sure = false
	}
	return may, sure
}

// answer finds the value of a metric among n; -1 if there is none. One that says of which series it is goes before one that does
// not. Of several that do not, each is for one of the policy's metrics of that name, in their order.
func (p *pass) answer(m *metric, n int, of func(i int) series) int {
	var open []int
	for i := range n {
		s := of(i)
		may, sure := s.fit(m)
		switch {
		case may && sure && m.selector+m.object != "":
			return i
		case may:
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return -1
	}
	before := 0
	for i := range p.policy.metrics {
		other := &p.policy.metrics[i]
		if other == m {
			break
		}
		if other.source == m.source && other.name == m.name {
			before++
		}
	}
	return open[min(before, len(open)-1)]
}
