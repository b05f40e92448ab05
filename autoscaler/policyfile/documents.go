package policyfile

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`   // "default" if left out
	Labels      map[string]string `json:"labels"`      // for people
	Annotations map[string]string `json:"annotations"` // for people
}

type document[Spec any] struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

type serviceSpec struct {
	Command                       []string  `json:"command"`
	Env                           []envVar  `json:"env"`
	Dir                           string    `json:"dir"`
	Port                          int       `json:"port"`
	Replicas                      *int32    `json:"replicas"`
	Resources                     resources `json:"resources"`
	TerminationGracePeriodSeconds *int64    `json:"terminationGracePeriodSeconds"`
	Readiness                     readiness `json:"readiness"`
	MaxProcesses                  int64     `json:"maxProcesses"`
	AllowPrivilegeEscalation      bool      `json:"allowPrivilegeEscalation"`
}

type envVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type resources struct {
	Requests map[corev1.ResourceName]resource.Quantity `json:"requests"`
	Limits   map[corev1.ResourceName]resource.Quantity `json:"limits"`
}

type readiness struct {
	Exec    []string      `json:"exec"`
	Connect string        `json:"connect"`
	After   time.Duration `json:"after"`
}

// unsaid is the number of replicas of a service that does not give one, until its policy is known.
const unsaid = -1

// decode reads a document, checks what all begin with, and fills in the namespace.
func decode[Spec any](r *read) (d document[Spec], err error) {
	if err := r.doc.Decode(&d); err != nil {
		return d, err
	}
	m := &d.Metadata
	switch {
	case d.APIVersion != cluster.APIVersion:
		return d, r.doc.At("apiVersion", fmt.Errorf("%q is not known: it must be %q", d.APIVersion, cluster.APIVersion))
	case m.Name == "":
		return d, r.doc.At("metadata.name", errors.New("must be there"))
	}
	m.Namespace = cmp.Or(m.Namespace, "default")
	for _, f := range []struct{ field, value string }{{"metadata.name", m.Name}, {"metadata.namespace", m.Namespace}} {
		if !process.ValidName(f.value) {
			return d, r.doc.At(f.field, fmt.Errorf("%q is not a DNS label (lower case letters, digits and hyphens, at most 63)", f.value))
		}
	}
	return d, nil
}

// scalePolicy reads a ScalePolicy.
func (r *read) scalePolicy() error {
	d, err := decode[policy.Spec](r)
	if err != nil {
		return err
	}
	ref := d.Spec.ScaleTargetRef
	switch {
	case ref == nil:
		return r.doc.At("spec.scaleTargetRef", errors.New("must be there"))
	case ref.APIVersion != "" && ref.APIVersion != cluster.APIVersion:
		return r.doc.At("spec.scaleTargetRef.apiVersion", fmt.Errorf("%q is not known: leave it out or write %q", ref.APIVersion, cluster.APIVersion))
	case ref.Kind == "Service":
		return r.doc.At("spec.scaleTargetRef.kind", fmt.Errorf("%q is Kubernetes' own kind: a service of local processes is a %q", ref.Kind, cluster.ProcessService))
	case ref.Kind != cluster.ProcessService:
		return r.doc.At("spec.scaleTargetRef.kind", fmt.Errorf("%q cannot be scaled on one machine: it must be %q", ref.Kind, cluster.ProcessService))
	case ref.Name == "":
		return r.doc.At("spec.scaleTargetRef.name", errors.New("must be there"))
	case d.Spec.MaxReplicas > process.MaxReplicas:
		return r.doc.At("spec.maxReplicas", fmt.Errorf("%d is over %d, the most replicas of a process service", d.Spec.MaxReplicas, process.MaxReplicas))
	}
	compiled, err := policy.Compile(d.Spec)
	var field *policy.FieldError
	switch {
	case errors.As(err, &field):
		return r.doc.At("spec."+field.Field, fmt.Errorf("%q %s", field.Value, field.Problem))
	case err != nil:
		return r.doc.At("spec", err)
	}
	if err := r.measured(d.Spec.Metrics, ref.Name); err != nil {
		return err
	}
	r.policy = &autoscaler.Policy{
		Name:     d.Metadata.Name,
		By:       d.Kind + " " + d.Metadata.Name,
		Declared: []cluster.Declaration{{Kind: d.Kind, Name: d.Metadata.Name}},
		Target:   cluster.Target{APIVersion: cluster.APIVersion, Kind: ref.Kind, Namespace: d.Metadata.Namespace, Name: ref.Name},
		Compiled: compiled,
		Text:     strings.TrimRight(r.text, "\n") + "\n",
	}
	return nil
}

// need is a request that a policy's utilization is a share of, and the field that asks for it.
type need struct {
	resource corev1.ResourceName
	field    string
}

// measured checks that each metric is one that a process service has, and notes the requests that they need.
func (r *read) measured(ms []autoscalingv2.MetricSpec, service string) error {
	if len(ms) == 0 {
		r.needs = []need{{corev1.ResourceCPU, "spec"}}
	}
	for i := range ms {
		at := fmt.Sprintf("spec.metrics[%d]", i)
		var name corev1.ResourceName
		var target *autoscalingv2.MetricTarget
		switch m := &ms[i]; m.Type {
		case autoscalingv2.ResourceMetricSourceType:
			at, name, target = at+".resource", m.Resource.Name, &m.Resource.Target
		case autoscalingv2.ContainerResourceMetricSourceType:
			at, name, target = at+".containerResource", m.ContainerResource.Name, &m.ContainerResource.Target
			if c := m.ContainerResource.Container; c != service {
				return r.doc.At(at+".container", fmt.Errorf("%q is not there: the only container of a %s is called like it, %q", c, cluster.ProcessService, service))
			}
		default:
			return r.doc.At(at+".type", fmt.Errorf("%q is not measured of a %s: Resource and ContainerResource are", m.Type, cluster.ProcessService))
		}
		if _, ok := metric.OfResource(string(name)); !ok {
			return r.doc.At(at+".name", fmt.Errorf("%q is not measured: cpu and memory are", name))
		}
		if target.AverageUtilization != nil {
			r.needs = append(r.needs, need{name, at + ".target.averageUtilization"})
		}
	}
	return nil
}

// processService reads a ProcessService.
func (r *read) processService() error {
	d, err := decode[serviceSpec](r)
	if err != nil {
		return err
	}
	s := process.Service{
		Namespace: d.Metadata.Namespace, Name: d.Metadata.Name, Command: d.Spec.Command, Env: map[string]string{}, Dir: d.Spec.Dir, Port: d.Spec.Port, Replicas: unsaid,
		ReadyWhen: process.Readiness(d.Spec.Readiness), Processes: d.Spec.MaxProcesses, GainRights: d.Spec.AllowPrivilegeEscalation,
	}
	if len(s.Command) == 0 || s.Command[0] == "" {
		return r.doc.At("spec.command", errors.New("must be there: the program and its arguments, as a list"))
	}
	for i, v := range d.Spec.Env {
		if _, twice := s.Env[v.Name]; twice || v.Name == "" {
			return r.doc.At(fmt.Sprintf("spec.env[%d].name", i), fmt.Errorf("%q is there twice or empty", v.Name))
		}
		s.Env[v.Name] = v.Value
	}
	if s.Requests, err = r.amounts("spec.resources.requests", d.Spec.Resources.Requests); err != nil {
		return err
	}
	if s.Limits, err = r.amounts("spec.resources.limits", d.Spec.Resources.Limits); err != nil {
		return err
	}
	if g := d.Spec.TerminationGracePeriodSeconds; g != nil {
		if *g < 1 || *g > 86400 {
			return r.doc.At("spec.terminationGracePeriodSeconds", fmt.Errorf("%d is not between 1 and 86400", *g))
		}
		s.Drain = time.Duration(*g) * time.Second
	}
	if n := d.Spec.Replicas; n != nil {
		if *n < 0 || *n > process.MaxReplicas {
			return r.doc.At("spec.replicas", fmt.Errorf("%d is not between 0 and %d", *n, process.MaxReplicas))
		}
		s.Replicas = *n
	}
	check := s
	check.Replicas = 0
	if err := check.Validate(); err != nil {
		return r.doc.At("spec", errors.Unwrap(err))
	}
	r.service = &s
	return nil
}

// amounts reads requests or limits.
func (r *read) amounts(field string, in map[corev1.ResourceName]resource.Quantity) (out process.Resources, err error) {
	for name, q := range in {
		at := field + "." + string(name)
		if q.Sign() <= 0 {
			return out, r.doc.At(at, fmt.Errorf("%q must be more than zero", q.String()))
		}
		if q.AsApproximateFloat64() > math.MaxInt64/1e6 {
			return out, r.doc.At(at, fmt.Errorf("%q is too large", q.String()))
		}
		switch name {
		case corev1.ResourceCPU:
			out.CPU = q.MilliValue()
		case corev1.ResourceMemory:
			out.Memory = q.Value()
		default:
			return out, r.doc.At(at, fmt.Errorf("%q is not known: cpu and memory are", name))
		}
	}
	return out, nil
}
