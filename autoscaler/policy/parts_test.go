package policy

import (
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// TestLeftOut has a sample of a pod name some of its containers: it is whole where all are in it that run.
func TestLeftOut(t *testing.T) {
	cpu := func(names ...string) (out []cluster.ContainerUsage) {
		for _, n := range names {
			out = append(out, cluster.ContainerUsage{Name: n, Usage: cluster.Resources{{Name: "cpu", Milli: 10_000}}})
		}
		return out
	}
	app, log := cluster.Container{Name: "app"}, cluster.Container{Name: "log"}
	for _, c := range []struct {
		what  string
		pod   cluster.Pod
		in    []cluster.ContainerUsage
		lacks string
	}{
		{"all", cluster.Pod{Containers: []cluster.Container{app, log}}, cpu("log", "app"), ""},
		{"one lacks", cluster.Pod{Containers: []cluster.Container{app, log}}, cpu("app"), "log"},
		{"one waits to be started", cluster.Pod{Containers: []cluster.Container{app, {Name: "log", Waiting: "CrashLoopBackOff"}}}, cpu("app"), ""},
		{"one has just crashed", cluster.Pod{Containers: []cluster.Container{app, {Name: "log", Ended: "Error"}}}, cpu("app"), ""},
		{"one is done for good", cluster.Pod{Containers: []cluster.Container{app, {Name: "log", Done: true}}}, cpu("app"), ""},
		{"an init container has ended", cluster.Pod{Containers: []cluster.Container{app}, InitContainers: []cluster.Container{log}}, cpu("app"), ""},
		{"a sidecar lacks", cluster.Pod{Containers: []cluster.Container{app}, InitContainers: []cluster.Container{{Name: "log", Always: true}}}, cpu("app"), "log"},
		{"what looks into it is not of it", cluster.Pod{Containers: []cluster.Container{app}, Ephemeral: []cluster.Container{log}}, cpu("app"), ""},
		{"the only one has a name of its own", cluster.Pod{Containers: []cluster.Container{app}}, cpu(""), ""},
	} {
		c.pod.Name = "web"
		p := &pass{in: &Input{Pods: []cluster.Pod{c.pod}}}
		s := p.sampleOf(&metric{source: autoscalingv2.ResourceMetricSourceType, name: "cpu"}, &cluster.PodUsage{Pod: "web", Containers: c.in}, 0)
		if s.lacks != c.lacks || s.ok != (c.lacks == "") {
			t.Errorf("%s: lacks %q, ok %v; want %q", c.what, s.lacks, s.ok, c.lacks)
		}
	}
}
