package convert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/autoscaler/kube"
	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// Kind is a kind of object that can be converted.
type Kind struct {
	Name, Group, Version, Resource string
	convert                        func(*conversion) error
}

// HPA is a HorizontalPodAutoscaler, ScaledObject KEDA's.
func HPA() Kind {
	return Kind{"HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers", (*conversion).autoscaler}
}

// ScaledObject is KEDA's.
func ScaledObject() Kind {
	return Kind{"ScaledObject", "keda.sh", "v1alpha1", "scaledobjects", (*conversion).scaledObject}
}

// Note says of a field of what was converted what became of it.
type Note struct{ Path, Text string }

func (n Note) String() string { return n.Path + ": " + n.Text }

// Result is what became of an object.
type Result struct {
	Of     Object
	Policy *kube.Written // nil: none could be made,
	Err    error         // because of this
	Notes  []Note
}

// What names the object that was converted.
func (r *Result) What() string {
	if r.Of.Metadata.Namespace == "" {
		return fmt.Sprintf("%s %q", r.Of.Kind, r.Of.Metadata.Name)
	}
	return fmt.Sprintf("%s %q in namespace %q", r.Of.Kind, r.Of.Metadata.Name, r.Of.Metadata.Namespace)
}

// Is says whether an object is of the kind, whatever the version of its API.
func (k Kind) Is(o *Object) bool {
	group, _, _ := strings.Cut(o.APIVersion, "/")
	return o.Kind == k.Name && group == k.Group
}

// conversion is one object on its way.
type conversion struct {
	of    *Object
	spec  policy.Spec
	notes []Note
}

func (c *conversion) note(path, text string, args ...any) {
	c.notes = append(c.notes, Note{path, fmt.Sprintf(text, args...)})
}

// Convert makes a ScalePolicy of an object. What it makes can be used: it has passed the check of the policies that are in force.
func (k Kind) Convert(o Object) Result {
	c := &conversion{of: &o}
	err := func() error {
		if o.Metadata.Name == "" {
			return errors.New("metadata.name must be there")
		}
		var spec any
		if err := json.Unmarshal(o.Spec, &spec); err != nil || spec == nil {
			return errors.New("spec must be there")
		}
		if err := kube.Quantities(spec); err != nil {
			return fmt.Errorf("spec: %w", err)
		}
		if err := k.convert(c); err != nil {
			return err
		}
		if len(c.spec.Metrics) > 32 || len(c.spec.Schedules) > 32 {
			return errors.New("a ScalePolicy has at most 32 metrics and 32 schedules")
		}
		if ref := c.spec.ScaleTargetRef; ref == nil || ref.Kind == "" || ref.Name == "" {
			return errors.New("spec.scaleTargetRef must name a target")
		}
		_, err := policy.Compile(c.spec)
		if err = cmp.Or(err, kube.Check(&c.spec, o.Metadata.Namespace)); err != nil {
			return fmt.Errorf("it makes no policy that can be used: %w", err)
		}
		return nil
	}()
	if err != nil {
		return Result{Of: o, Err: err, Notes: c.notes}
	}
	c.meaning()
	c.labels()
	p := kube.Write(o.Metadata.Namespace, o.Metadata.Name, c.spec)
	return Result{Of: o, Policy: &p, Notes: c.notes}
}

// labels tells of what is left out of the metadata: the tools that put labels there would take the policy for an object of theirs.
func (c *conversion) labels() {
	m := &c.of.Metadata
	if names := slices.Sorted(maps.Keys(m.Labels)); len(names) > 0 {
		c.note("metadata.labels", "%s: left out: who put them there, such as Helm or Argo CD, could take the policy for a part of its own", strings.Join(names, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Annotations)) {
		group, _, _ := strings.Cut(name, "/")
		switch {
		case name == "kubectl.kubernetes.io/last-applied-configuration", group == "autoscaling.keda.sh", name == kube.Boost, name == kube.Mode:
		case group == "autoscaling.alpha.kubernetes.io":
			c.note("metadata.annotations["+name+"]", "left out: it has fields of autoscaling/v2; convert what 'kubectl get hpa.v2.autoscaling' prints")
		default:
			c.note("metadata.annotations["+name+"]", "left out: it speaks of the %s", c.of.Kind)
		}
	}
	for _, o := range m.OwnerReferences {
		c.note("metadata.ownerReferences", "%s %q may make the %s anew when it is deleted", o.Kind, o.Name, c.of.Kind)
	}
}

// decode reads the specification and tells of fields that nobody knows.
func (c *conversion) decode(into any) error {
	if err := json.Unmarshal(c.of.Spec, into); err != nil {
		return fmt.Errorf("spec cannot be read: %w", err)
	}
	back, err := json.Marshal(into)
	if err != nil {
		return err
	}
	var given, read any
	if err := errors.Join(json.Unmarshal(c.of.Spec, &given), json.Unmarshal(back, &read)); err != nil {
		return err
	}
	c.unknown("spec", given, read)
	return nil
}

// unknown tells of what was given and not read.
func (c *conversion) unknown(path string, given, read any) {
	switch given := given.(type) {
	case map[string]any:
		read, _ := read.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(given)) {
			at := path + "." + name
			switch r, ok := read[name]; {
			case ok:
				c.unknown(at, given[name], r)
			case !empty(given[name]):
				c.note(at, "left out: it is no field of a %s that is known", c.of.Kind)
			}
		}
	case []any:
		read, _ := read.([]any)
		for i := range min(len(given), len(read)) {
			c.unknown(fmt.Sprintf("%s[%d]", path, i), given[i], read[i])
		}
	}
}

// empty says whether a value says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}
