// Package policyfile reads the file given by --policies: ScalePolicies and the process services that they scale,
// as YAML documents. It is strict: an unknown field, a value that is impossible, a policy without a target is an
// error with file, line and column. docs/examples/policies.yaml explains every field.
package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/policy/strict"
	"plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
)

// maxBytes is the largest file that is read, maxErrors how many mistakes are told at once.
const (
	maxBytes  = 8 << 20
	maxErrors = 10
)

// maxPort is the last port there is.
const maxPort = 65535

// File is what a file says.
type File struct {
	Policies []autoscaler.Policy
	Services []process.Service
}

// Load reads a file. The error tells of up to ten mistakes, each with its place: `policies.yaml:14:3: spec.maxReplicas: "x" is not a
// whole number`.
func Load(path string) (*File, error) {
	text, err := disk.Within(path, func() ([]byte, error) { return text(path) })
	if err != nil {
		return nil, fmt.Errorf("cannot read policies: %w", err)
	}
	return Parse(path, text)
}

// text reads a file that is one: a pipe would be waited for.
func text(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no regular file", path)
	}
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// Parse reads the text of a file of the given name.
func Parse(name string, text []byte) (*File, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("cannot read policies: %q is larger than %d MiB", name, maxBytes>>20)
	}
	p := parser{name: name}
	docs := strict.NewReader(bytes.NewReader(text))
	for {
		doc, err := docs.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if p.note(err) {
			break // a document that is not YAML may have hidden where the next one begins
		}
		p.docs = append(p.docs, &read{doc: doc, text: withoutMarkers(doc.Text)})
	}
	for _, r := range p.docs {
		p.note(r.decide())
	}
	if len(p.errs) == 0 {
		p.cross()
	}
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	var out File
	for _, r := range p.docs {
		if r.service != nil {
			out.Services = append(out.Services, *r.service)
		} else {
			out.Policies = append(out.Policies, *r.policy)
		}
	}
	return &out, nil
}

// parser is the reading of one file.
type parser struct {
	name string
	docs []*read
	errs []error
}

// read is a document that was read, and what it is: one of the two.
type read struct {
	doc     *strict.Document
	text    string
	policy  *autoscaler.Policy
	needs   []need // of the policy
	service *process.Service
}

// note keeps an error with the place that it names, and says whether there was one.
func (p *parser) note(err error) bool {
	if err == nil {
		return false
	}
	var s *strict.Error
	if errors.As(err, &s) {
		field := s.Field
		if field != "" {
			field += ": "
		}
		err = fmt.Errorf("%s:%d:%d: %s%w", p.name, max(s.Line, 1), max(s.Column, 1), field, s.Err)
	}
	if len(p.errs) < maxErrors {
		p.errs = append(p.errs, err)
	}
	return true
}

// withoutMarkers is the text of a document without the lines that only divide it from others.
func withoutMarkers(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if bare := strings.TrimRight(line, " \t\r\n"); bare != "..." && (b.Len() > 0 || bare != "---") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// decide reads a document by its kind.
func (r *read) decide() error {
	var top map[string]any
	if err := yaml.Unmarshal([]byte(r.text), &top); err != nil {
		if placed := r.doc.Decode(&document[policy.Spec]{}); placed != nil {
			return placed
		}
		return r.doc.At("kind", err)
	}
	switch top["kind"] {
	case "ScalePolicy":
		return r.scalePolicy()
	case cluster.ProcessService:
		return r.processService()
	}
	_ = r.doc.Decode(&document[policy.Spec]{}) // so that the kind's place is known
	switch top["kind"] {
	case "Service":
		return r.doc.At("kind", fmt.Errorf("%q is Kubernetes' own kind: a service of local processes is a %q", "Service", cluster.ProcessService))
	case nil:
		return r.doc.At("kind", errors.New(`must be there: "ScalePolicy" or "ProcessService"`))
	}
	return r.doc.At("kind", fmt.Errorf(`%q is not known: "ScalePolicy" or "ProcessService" can be used`, fmt.Sprint(top["kind"])))
}

// cross checks what concerns several documents: names that are used twice, policies without a target. A service that does not say how
// many replicas it begins with begins with its policy's minimum.
func (p *parser) cross() {
	services, targets, names := map[process.Key]*process.Service{}, map[cluster.Target]string{}, map[string]bool{}
	for _, r := range p.docs {
		s := r.service
		if s == nil {
			continue
		}
		if services[s.Key()] != nil {
			p.note(r.doc.At("metadata.name", fmt.Errorf("ProcessService %q is there twice", s.Key())))
		}
		services[s.Key()] = s
		if s.Port > 0 && s.Port+int(s.Replicas)-1 > maxPort {
			p.note(r.doc.At("spec.port", fmt.Errorf("%d leaves no ports for %d replicas, which take one each: at most %d", s.Port, s.Replicas, maxPort-int(s.Replicas)+1)))
		}
	}
	for _, r := range p.docs {
		pol := r.policy
		if pol == nil {
			continue
		}
		full := pol.Target.Namespace + "/" + pol.Name
		if names[full] {
			p.note(r.doc.At("metadata.name", fmt.Errorf("ScalePolicy %q is there twice", full)))
		}
		names[full] = true
		if other, twice := targets[pol.Target]; twice {
			p.note(r.doc.At("spec.scaleTargetRef", fmt.Errorf("%s %q is scaled by ScalePolicy %q already", pol.Target.Kind, pol.Target.Name, other)))
		}
		targets[pol.Target] = pol.Name
		k := process.Key{Namespace: pol.Target.Namespace, Name: pol.Target.Name}
		s := services[k]
		if s == nil {
			p.note(r.doc.At("spec.scaleTargetRef.name", fmt.Errorf("there is no ProcessService %q in this file", k)))
			continue
		}
		for _, n := range r.needs {
			if has := map[corev1.ResourceName]int64{corev1.ResourceCPU: s.Requests.CPU, corev1.ResourceMemory: s.Requests.Memory}; has[n.resource] == 0 {
				p.note(r.doc.At(n.field, fmt.Errorf("a utilization is a share of the request, and ProcessService %q has none of %s: give it resources.requests.%s, or the metric an averageValue", k, n.resource, n.resource)))
			}
		}
		if most := int(pol.Compiled.Max()); s.Port > 0 && s.Port+most-1 > maxPort {
			p.note(r.doc.At("spec.maxReplicas", fmt.Errorf("%d replicas of ProcessService %q would need the ports %d to %d: %d is the last", most, k, s.Port, s.Port+most-1, maxPort)))
		}
		if s.Replicas == unsaid {
			s.Replicas = max(1, int32(pol.Compiled.Min()))
		}
	}
	for _, s := range services {
		if s.Replicas == unsaid {
			s.Replicas = 1
		}
	}
}

// Join puts files together, for what is built in beside what a person wrote.
func Join(files ...*File) (*File, error) {
	var out File
	services, targets := map[process.Key]bool{}, map[cluster.Target]bool{}
	for _, f := range files {
		for _, s := range f.Services {
			if services[s.Key()] {
				return nil, fmt.Errorf("ProcessService %q is there twice", s.Key())
			}
			services[s.Key()] = true
		}
		for _, p := range f.Policies {
			if targets[p.Target] {
				return nil, fmt.Errorf("%q is scaled by two policies", p.Target)
			}
			targets[p.Target] = true
		}
		out.Services, out.Policies = append(out.Services, f.Services...), append(out.Policies, f.Policies...)
	}
	return &out, nil
}
