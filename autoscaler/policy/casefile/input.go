package casefile

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// problem is an error about a field of a case.
type problem struct {
	field string
	err   error
}

func (p *problem) Error() string { return p.field + ": " + p.err.Error() }

func wrong(field, format string, args ...any) error {
	return &problem{field, fmt.Errorf(format, args...)}
}

// Input checks a case and turns it into the input of the brain.
func (c *Case) Input() (policy.Input, error) {
	in := policy.Input{Now: c.Now, Options: c.Options, Errors: c.Errors.Errors, State: c.State}
	if err := c.check(); err != nil {
		return in, err
	}
	compiled, err := policy.Compile(c.Policy)
	if err != nil {
		var f *policy.FieldError
		if errors.As(err, &f) {
			return in, wrong("policy."+f.Field, "%q %s", f.Value, f.Problem)
		}
		return in, wrong("policy", "%w", err)
	}
	if err := in.Options.Validate(); err != nil {
		return in, wrong("options", "%w", err)
	}
	in.Policy = compiled
	in.Target.SpecReplicas = cluster.DesiredReplicas(*c.Target.SpecReplicas)
	in.Target.StatusReplicas = cluster.ObservedReplicas(*c.Target.SpecReplicas)
	if s := c.Target.StatusReplicas; s != nil {
		in.Target.StatusReplicas = cluster.ObservedReplicas(*s)
	}
	if c.Errors.Scale != "" {
		in.Target.Problem = &policy.Problem{Reason: policy.FailedGetScale, Message: c.Errors.Scale}
	}
	if in.Pods, err = convertPods(c.Pods); err != nil {
		return in, err
	}
	if err := c.measurements(&in); err != nil {
		return in, err
	}
	return in, checkState(c.State)
}

// check refuses a case that lacks fields that must be there.
func (c *Case) check() error {
	switch t := &c.Target; {
	case c.Now.IsZero():
		return wrong("now", "is missing: give the time of the pass, such as 2026-01-01T00:10:00Z")
	case t.SpecReplicas == nil:
		return wrong("target.specReplicas", "is missing")
	case *t.SpecReplicas < 0:
		return wrong("target.specReplicas", "\"%d\" must not be negative", *t.SpecReplicas)
	case t.StatusReplicas != nil && *t.StatusReplicas < 0:
		return wrong("target.statusReplicas", "\"%d\" must not be negative", *t.StatusReplicas)
	}
	return nil
}

// measurements converts what was measured.
func (c *Case) measurements(in *policy.Input) (err error) {
	if in.Usage, err = convertUsage("usage", c.Usage); err != nil {
		return err
	}
	if in.Departed, err = usedBy("departed", c.Departed); err != nil {
		return err
	}
	longest := map[corev1.ResourceName]time.Duration{}
	for i, l := range c.Looks {
		at := fmt.Sprintf("looks[%d]", i)
		out := policy.Look{Metric: l.Metric, Window: l.Window}
		switch {
		case l.Metric == "":
			return wrong(at+".metric", "is missing")
		case l.Window <= 0:
			return wrong(at+".window", "%q must be more than 0", l.Window)
		case l.Window <= longest[l.Metric]:
			return wrong(at+".window", "%q does not come after %q: the looks of a metric are given shortest first", l.Window, longest[l.Metric])
		}
		longest[l.Metric] = l.Window
		if l.Noise != nil {
			if out.Noise, out.NoiseKnown = l.Noise.AsApproximateFloat64(), true; !(out.Noise >= 0) {
				return wrong(at+".noise", "%q must not be negative", l.Noise.String())
			}
		}
		if out.Usage, err = convertUsage(at+".usage", l.Usage); err != nil {
			return err
		}
		if out.Departed, err = usedBy(at+".departed", l.Departed); err != nil {
			return err
		}
		in.Looks = append(in.Looks, out)
	}
	return c.customMetrics(in)
}

// customMetrics converts the metrics of the custom and external APIs.
func (c *Case) customMetrics(in *policy.Input) error {
	for i, m := range c.PodsMetrics {
		at := fmt.Sprintf("podsMetrics[%d]", i)
		if err := checkSelector(at, m.Selector); err != nil {
			return err
		}
		out := policy.PodsMetric{Metric: m.Metric, Selector: m.Selector}
		seen := map[string]bool{}
		for j, v := range m.Pods {
			if err := once(seen, fmt.Sprintf("%s.pods[%d].pod", at, j), v.Pod); err != nil {
				return err
			}
			value := policy.PodValue{Pod: v.Pod, Value: cluster.MilliOf(v.Value), Timestamp: v.Timestamp, Window: time.Minute}
			if v.Window != nil {
				value.Window = *v.Window
			}
			out.Pods = append(out.Pods, value)
		}
		in.PodsMetrics = append(in.PodsMetrics, out)
	}
	for i, m := range c.ObjectMetrics {
		if err := checkSelector(fmt.Sprintf("objectMetrics[%d]", i), m.Selector); err != nil {
			return err
		}
		in.ObjectMetrics = append(in.ObjectMetrics, policy.ObjectMetric{Metric: m.Metric, Selector: m.Selector, DescribedObject: m.DescribedObject, Value: cluster.MilliOf(m.Value)})
	}
	for i, m := range c.ExternalMetrics {
		if err := checkSelector(fmt.Sprintf("externalMetrics[%d]", i), m.Selector); err != nil {
			return err
		}
		out := policy.ExternalMetric{Metric: m.Metric, Selector: m.Selector}
		for _, v := range m.Values {
			out.Values = append(out.Values, cluster.MilliOf(v))
		}
		in.ExternalMetrics = append(in.ExternalMetrics, out)
	}
	return nil
}

// checkSelector refuses a selector that selects nothing for its mistakes.
func checkSelector(at string, s *metav1.LabelSelector) error {
	if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
		return wrong(at+".selector", "cannot be used: %w", err)
	}
	return nil
}

// once refuses a name that is empty or comes twice.
func once(seen map[string]bool, field, name string) error {
	switch {
	case name == "":
		return wrong(field, "is missing")
	case seen[name]:
		return wrong(field, "%q is given twice", name)
	}
	seen[name] = true
	return nil
}

// checkState refuses numbers that no decision leaves behind.
func checkState(s *policy.State) error {
	if s == nil {
		return nil
	}
	for i, r := range s.Recommendations {
		if r.Replicas < 0 {
			return wrong(fmt.Sprintf("state.recommendations[%d].replicas", i), "\"%d\" must not be negative", r.Replicas)
		}
	}
	return cmp.Or(checkEvents("state.scaleUps", s.ScaleUps), checkEvents("state.scaleDowns", s.ScaleDowns))
}

func checkEvents(field string, es []policy.ScaleEvent) error {
	for i, e := range es {
		if e.Change < 0 {
			return wrong(fmt.Sprintf("%s[%d].change", field, i), "\"%d\" must not be negative: a change counts up in both lists", e.Change)
		}
	}
	return nil
}
