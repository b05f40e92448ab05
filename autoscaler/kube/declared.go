package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// Kind and Resource are how the API server calls ScalePolicies; Group and Version are those of cluster.APIVersion.
const (
	Group    = "plimsoll.dev"
	Version  = "v1alpha1"
	Kind     = "ScalePolicy"
	Resource = "scalepolicies"
)

// GVR is all of that but the kind.
func GVR() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: Group, Version: Version, Resource: Resource}
}

// Boost is the annotation by which a HorizontalPodAutoscaler asks to be boosted, with the value "true".
const Boost = "plimsoll.dev/boost"

// Mode is the annotation by which a boosted HorizontalPodAutoscaler, or a workload that is scaled by annotations, says what becomes of decisions, as mode does in a
// ScalePolicy.
const Mode = "plimsoll.dev/mode"

const hpaKind = "HorizontalPodAutoscaler"

// annotation is what people call a workload's own word of how it is to be scaled.
const annotation = "annotation"

// Declared is what somebody said of how a target is to be scaled: a ScalePolicy, or a HorizontalPodAutoscaler.
type Declared struct {
	ref     corev1.ObjectReference // what people are told of
	created time.Time
	spec    policy.Spec
	err     error            // why the specification cannot be read
	boost   bool             // of an HPA
	what    string           // "ScalePolicy"
	by      string           // the same with its name
	short   string           // as people call it: "ScalePolicy web", "HPA web"
	rank    int              // of several the lowest goes first
	was     status           // of a ScalePolicy: as it was found
	zeroed  metav1.Condition // what its status says of a count of 0; none of that type: nothing
	version int64            // generation
}

// ReadPolicy reads a ScalePolicy.
func ReadPolicy(u *unstructured.Unstructured) *Declared {
	d := &Declared{ref: corev1.ObjectReference{APIVersion: cluster.APIVersion, Kind: Kind, Namespace: u.GetNamespace(), Name: u.GetName(), UID: u.GetUID()},
		created: u.GetCreationTimestamp().Time, version: u.GetGeneration(), what: Kind}
	d.by, d.short = fmt.Sprintf("%s %q", Kind, u.GetName()), Kind+" "+u.GetName()
	if d.err = quantities(u.Object["spec"], quantity); d.err == nil {
		d.err = into(u.Object["spec"], &d.spec)
	}
	if d.err != nil { // its target is told of it all the same
		var some struct {
			ScaleTargetRef *autoscalingv2.CrossVersionObjectReference `json:"scaleTargetRef"`
			MinReplicas    *int32                                     `json:"minReplicas"`
			MaxReplicas    int32                                      `json:"maxReplicas"`
		}
		_ = into(u.Object["spec"], &some)
		d.spec = policy.Spec{ScaleTargetRef: some.ScaleTargetRef, MinReplicas: some.MinReplicas, MaxReplicas: some.MaxReplicas}
	}
	if d.err == nil {
		if err := Check(&d.spec, u.GetNamespace()); err != nil {
			d.err = fmt.Errorf("spec.%w", err)
		}
	}
	if into(u.Object["status"], &d.was) != nil {
		d.was = status{}
	}
	if !d.was.ofAnother(d) {
		d.zeroed = d.was.get(zeroCondition)
	}
	return d
}

// Quantities says which of a specification's would keep their parser busy for ever.
func Quantities(v any) error {
	return quantities(v, func(v any) error {
		if text, ok := v.(string); ok {
			return cluster.WithinReach(text)
		}
		return Quantities(v)
	})
}

// quantities checks what is where a specification has quantities, and names the first that fails.
func quantities(v any, check func(any) error) error {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if err := quantities(x, check); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			err := error(nil)
			switch k {
			case "matchLabels": // their values are text
			case "value", "averageValue", "tolerance":
				err = check(v[k])
			default:
				err = quantities(v[k], check)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
		}
	}
	return nil
}

// quantity says why a value is none; one that is not given is one.
func quantity(v any) error {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text := string(raw)
	if s, ok := v.(string); ok {
		text = s
	}
	if err := cluster.WithinReach(text); err != nil {
		return err
	}
	if _, err := resource.ParseQuantity(text); err != nil {
		return fmt.Errorf("%s is no quantity, such as 0.1, 250m or 1Gi", raw)
	}
	return nil
}

// into turns what was decoded from JSON into a struct.
func into(from, to any) error {
	raw, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, to)
}

// ReadAutoscaler reads a HorizontalPodAutoscaler.
func ReadAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) *Declared {
	d := &Declared{ref: corev1.ObjectReference{APIVersion: "autoscaling/v2", Kind: hpaKind, Namespace: h.Namespace, Name: h.Name, UID: h.UID}, created: h.CreationTimestamp.Time,
		what: hpaKind, boost: h.Annotations[Boost] == "true", version: h.Generation, spec: policy.Spec{ScaleTargetRef: &h.Spec.ScaleTargetRef, MinReplicas: h.Spec.MinReplicas, MaxReplicas: h.Spec.MaxReplicas,
			Metrics: h.Spec.Metrics, Behavior: h.Spec.Behavior, RaiseOnly: true}}
	d.by, d.short = fmt.Sprintf("%s %q", hpaKind, h.Name), "HPA "+h.Name
	d.mode(h.Annotations)
	if text, ok := h.Annotations[Boost]; ok && text != "true" && text != "false" {
		d.boost, d.err = true, fmt.Errorf("%s %q must be true or false", Boost, text)
	}
	for _, c := range h.Status.Conditions {
		if c.Type == autoscalingv2.ScaledToZero {
			d.zeroed = metav1.Condition{Status: metav1.ConditionStatus(c.Status), LastTransitionTime: c.LastTransitionTime, ObservedGeneration: d.version}
		}
	}
	if owner := metav1.GetControllerOf(h); owner != nil { // KEDA's ScaledObjects scale by HPAs
		d.by, d.short = fmt.Sprintf("%s %q, by %s,", owner.Kind, owner.Name, d.by), owner.Kind+" "+owner.Name
	}
	return d
}

// mode reads the annotation Mode.
func (d *Declared) mode(annotations map[string]string) {
	text, ok := annotations[Mode]
	if d.spec.Mode = policy.Mode(text); ok && d.spec.Mode != policy.Auto && d.spec.Mode != policy.DryRun && d.spec.Mode != policy.Paused {
		d.err = fmt.Errorf("%s %q must be Auto, DryRun or Paused", Mode, text)
	}
}

// The annotations by which a workload is scaled without any other object: percent of the CPU that is requested, and limits.
const (
	annotatedCPU = "plimsoll.dev/cpu"
	annotatedMin = "plimsoll.dev/min"
	annotatedMax = "plimsoll.dev/max"
)

// Annotated says whether a workload with these annotations is scaled by them.
func Annotated(all map[string]string) bool {
	for _, name := range []string{annotatedCPU, annotatedMin, annotatedMax} {
		if _, ok := all[name]; ok {
			return true
		}
	}
	return false
}

// ReadAnnotated returns what reads the annotations of a kind of workload; one without them is nil.
func ReadAnnotated(apiVersion, kind string) func(*metav1.PartialObjectMetadata) *Declared {
	return func(m *metav1.PartialObjectMetadata) *Declared {
		if !Annotated(m.Annotations) {
			return nil
		}
		d := &Declared{ref: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: m.Namespace, Name: m.Name, UID: m.UID}, created: m.CreationTimestamp.Time, what: annotation, short: annotation,
			by: fmt.Sprintf("the annotation of %s %q", kind, m.Name), rank: 1, spec: policy.Spec{ScaleTargetRef: &autoscalingv2.CrossVersionObjectReference{APIVersion: apiVersion, Kind: kind, Name: m.Name}}}
		number := func(name string) *int32 {
			text, ok := m.Annotations[name]
			if !ok {
				return nil
			}
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				d.err = fmt.Errorf("%s %q is not a whole number", name, text)
				return nil
			}
			return new(int32(n))
		}
		if cpu := number(annotatedCPU); cpu != nil {
			d.spec.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: cpu}}}}
		}
		d.spec.MinReplicas = number(annotatedMin)
		if most := number(annotatedMax); most != nil {
			d.spec.MaxReplicas = *most
		} else if _, given := m.Annotations[annotatedMax]; !given {
			d.err = fmt.Errorf("%s must be there", annotatedMax)
		}
		d.mode(m.Annotations)
		return d
	}
}

// target is what is to be scaled; ok is false where nothing is named.
func (d *Declared) target() (t cluster.Target, ok bool) {
	ref := d.spec.ScaleTargetRef
	if ref == nil {
		return t, false
	}
	return cluster.Target{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: d.ref.Namespace, Name: ref.Name}, true
}

// subject names the target in a status, whatever the version of its API: Deployment.apps/web. "" where none is named.
func (d *Declared) subject() string {
	t, ok := d.target()
	if !ok {
		return ""
	}
	return t.GroupKind() + "/" + t.Name
}

// declarations name the object by which a target is declared to be scaled; none where the target's own annotations do so.
func (d *Declared) declarations() []cluster.Declaration {
	if d.what == annotation {
		return nil
	}
	return []cluster.Declaration{{Kind: d.ref.Kind, Name: d.ref.Name}}
}

// object names a target whatever the version of its API.
type object struct{ group, kind, namespace, name string }

func objectOf(t cluster.Target) object {
	return object{t.Group(), t.Kind, t.Namespace, t.Name}
}

// same says whether two readings of an object ask for the same.
func (d *Declared) same(e *Declared) bool {
	return d.boost == e.boost && d.by == e.by && (d.err == nil) == (e.err == nil) && reflect.DeepEqual(&d.spec, &e.spec)
}

// Written is a ScalePolicy as a person would write it.
type Written struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Metadata   Metadata    `json:"metadata"`
	Spec       policy.Spec `json:"spec"`
}

// Metadata is what a written ScalePolicy has of it.
type Metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"` // "": the one that it is applied to
}

// Write makes a ScalePolicy of a specification.
func Write(namespace, name string, spec policy.Spec) Written {
	return Written{APIVersion: cluster.APIVersion, Kind: Kind, Metadata: Metadata{Name: name, Namespace: namespace}, Spec: spec}
}

// text is a policy as a person would write it.
func (d *Declared) text() string {
	head := ""
	if d.what != Kind {
		head = "# from " + d.by + "\n"
	}
	raw, err := yaml.Marshal(Write(d.ref.Namespace, d.ref.Name, d.spec))
	if err != nil {
		return ""
	}
	return head + string(raw)
}

// Usable says whether what was declared can be read.
func (d *Declared) Usable() bool { return d.err == nil }
