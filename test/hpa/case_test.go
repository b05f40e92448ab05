package hpa

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/policy/casefile"
)

type object = map[string]any

// fromCase writes the world down as a case for "plimsoll decide", and reads it.
func (w *world) fromCase(t *testing.T, now time.Time, state *policy.State) policy.Input {
	t.Helper()
	text, err := json.Marshal(object{
		"now": now, "policy": w.written, "state": state,
		"target": object{"specReplicas": w.scale.Spec.Replicas, "statusReplicas": w.scale.Status.Replicas},
		"options": object{"compat": w.flags.Compat, "tolerance": w.flags.Tolerance, "cpuInitializationPeriod": w.flags.CPUInitializationPeriod.String(),
			"initialReadinessDelay": w.flags.InitialReadinessDelay.String(), "downscaleStabilization": w.flags.DownscaleStabilization.String()},
		"pods": w.casePods(), "usage": w.caseUsage(),
		"podsMetrics": w.casePodsMetrics(), "objectMetrics": w.caseObjects(), "externalMetrics": w.caseExternal(),
		"errors": object{"scale": w.hiddenText(), "usage": w.errs.Usage, "podsMetrics": w.errs.PodsMetrics, "objectMetrics": w.errs.ObjectMetrics, "externalMetrics": w.errs.ExternalMetrics},
	})
	if err != nil {
		t.Fatal(err)
	}
	in, err := casefile.NewReader(bytes.NewReader(text)).Next()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return in
}

func (w *world) casePods() (out []object) {
	for _, p := range w.pods {
		o := object{"name": p.Name, "phase": p.Status.Phase, "deleting": p.DeletionTimestamp != nil, "startTime": p.Status.StartTime,
			"containers": caseContainers(p.Spec.Containers), "initContainers": caseContainers(p.Spec.InitContainers)}
		for _, c := range p.Status.Conditions {
			o["ready"], o["readyTransition"] = c.Status, c.LastTransitionTime
		}
		if p.Spec.Resources != nil {
			o["requests"] = p.Spec.Resources.Requests
		}
		if p.Spec.Overhead != nil {
			o["overhead"] = p.Spec.Overhead
		}
		out = append(out, o)
	}
	return out
}

func caseContainers(cs []corev1.Container) (out []object) {
	for _, c := range cs {
		out = append(out, object{"name": c.Name, "restartPolicy": c.RestartPolicy, "requests": c.Resources.Requests})
	}
	return out
}

func (w *world) caseUsage() (out []object) {
	for _, u := range w.usage {
		var cs []object
		for _, c := range u.Containers {
			cs = append(cs, object{"name": c.Name, "usage": c.Usage})
		}
		out = append(out, object{"pod": u.Name, "timestamp": u.Timestamp, "window": u.Window.Duration.String(), "containers": cs})
	}
	return out
}

func (w *world) casePodsMetrics() (out []object) {
	for id, values := range w.custom {
		var pods []object
		for _, v := range values {
			pods = append(pods, object{"pod": v.DescribedObject.Name, "value": v.Value, "timestamp": v.Timestamp})
		}
		out = append(out, object{"metric": id.metric, "selector": id.labels(), "pods": pods})
	}
	return out
}

func (w *world) caseObjects() (out []object) {
	for id, v := range w.object {
		kind, name, _ := strings.Cut(id.object, "/")
		out = append(out, object{"metric": id.metric, "selector": id.labels(), "value": v.Value,
			"describedObject": object{"apiVersion": "apps/v1", "kind": kind, "name": name}})
	}
	return out
}

func (w *world) caseExternal() (out []object) {
	for id, values := range w.external {
		var vs []any
		for _, v := range values {
			vs = append(vs, v.Value)
		}
		out = append(out, object{"metric": id.metric, "selector": id.labels(), "values": vs})
	}
	return out
}

func (w *world) hiddenText() string {
	if w.hidden {
		return hiddenScale
	}
	return ""
}

// checkCase writes the world down as a case, and holds what is decided on that against d.
func (w *world) checkCase(t *testing.T, now time.Time, state *policy.State, d *policy.Decision) {
	t.Helper()
	got, err := json.Marshal(policy.Decide(w.fromCase(t, now, state)))
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("as a case it is decided as\n%s\nwant\n%s", got, want)
	}
}
