package policy_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

const asking = `
minReplicas: 1
maxReplicas: 20
metrics:
- {type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: "1"}}}
- {type: Pods, pods: {metric: {name: qps}, target: {type: AverageValue, averageValue: "10"}}}
- {type: Object, object: {metric: {name: lag}, describedObject: {apiVersion: apps/v1, kind: Deployment, name: db}, target: {type: Value, value: "100"}}}
- {type: External, external: {metric: {name: queue, selector: {matchLabels: {of: a}}}, target: {type: AverageValue, averageValue: "5"}}}
- {type: External, external: {metric: {name: queue, selector: {matchLabels: {of: b}}}, target: {type: AverageValue, averageValue: "5"}}}
`

func compile(t *testing.T, text string) *policy.Policy {
	t.Helper()
	var s policy.Spec
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// asked is an input of two ready pods that use half of what they may, and nothing else.
func asked(p *policy.Policy) policy.Input {
	now := time.Date(2026, 1, 1, 0, 10, 0, 0, time.UTC)
	in := policy.Input{Now: now, Policy: p, Options: policy.DefaultOptions(), Target: policy.Target{SpecReplicas: 2, StatusReplicas: 2}}
	for _, name := range []string{"a", "b"} {
		in.Pods = append(in.Pods, cluster.Pod{Name: name, Phase: corev1.PodRunning, Ready: corev1.ConditionTrue, StartTime: now.Add(-time.Hour), ReadyTransition: now.Add(-time.Hour)})
		in.Usage = append(in.Usage, cluster.PodUsage{Pod: name, Timestamp: now.Add(-time.Second), Window: 15 * time.Second, Containers: []cluster.ContainerUsage{{Name: "c", Usage: cluster.Resources{{Name: "cpu", Milli: 500}}}}})
	}
	return in
}

func TestQuestions(t *testing.T) {
	p := compile(t, asking)
	var got []string
	for _, q := range p.Questions() {
		object := ""
		if q.Object != nil {
			object = q.Object.Kind + "/" + q.Object.Name
		}
		got = append(got, string(q.Type)+" "+q.Metric+" "+q.Selector+object)
	}
	if want := "Pods qps |Object lag Deployment/db|External queue of=a|External queue of=b"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
}

// Each metric gets its own reading; one that could not be read fails alone, and says why.
func TestReadings(t *testing.T) {
	p := compile(t, asking)
	now := asked(p).Now
	good := func() []policy.Reading {
		return []policy.Reading{
			{Pods: []policy.PodValue{{Pod: "a", Value: 5000, Timestamp: now}, {Pod: "b", Value: 5000, Timestamp: now}}, Read: now},
			{Values: []cluster.Milli{50000}, At: now, Read: now},
			{Values: []cluster.Milli{1000, 2000}, At: now, Read: now},
			{Values: []cluster.Milli{4000}, At: now, Read: now},
		}
	}
	for name, f := range map[string]struct {
		change func([]policy.Reading)
		in     func(*policy.Input)
		want   cluster.DesiredReplicas
		reason policy.Reason
		says   string // in the message or the error
	}{
		"nothing is needed":        {want: 1, reason: policy.AllBelowTarget},
		"the pods need more":       {change: func(r []policy.Reading) { r[0].Pods[0].Value, r[0].Pods[1].Value = 30000, 30000 }, want: 4, reason: policy.PodsAboveTarget},
		"the object needs more":    {change: func(r []policy.Reading) { r[1].Values[0] = 200000 }, want: 4, reason: policy.ObjectAboveTarget},
		"the second queue is long": {change: func(r []policy.Reading) { r[3].Values[0] = 18000 }, want: 4, reason: policy.ExternalAboveTarget},
		"the sum is long":          {change: func(r []policy.Reading) { r[2].Values = []cluster.Milli{9000, 9000} }, want: 4, reason: policy.ExternalAboveTarget},
		"one fails":                {change: func(r []policy.Reading) { r[2] = policy.Reading{Problem: "no answer"} }, want: 2, reason: policy.FailedExternalMetric, says: "unable to get external metric queue: unable to fetch metrics from external metrics API: no answer"},
		"one fails, another is high": {change: func(r []policy.Reading) {
			r[2] = policy.Reading{Problem: "no answer"}
			r[3].Values[0] = 18000
		}, want: 4, reason: policy.ExternalAboveTarget, says: "no answer"},
		"the pods fail":      {change: func(r []policy.Reading) { r[0] = policy.Reading{Problem: "not found"} }, want: 2, reason: policy.FailedPodsMetric, says: "not found"},
		"an object of none":  {change: func(r []policy.Reading) { r[1] = policy.Reading{} }, want: 2, reason: policy.FailedObjectMetric, says: "it has no value"},
		"a queue of none":    {change: func(r []policy.Reading) { r[2] = policy.Reading{} }, want: 2, reason: policy.FailedExternalMetric, says: "no metrics returned"},
		"an old queue":       {change: func(r []policy.Reading) { r[2].At = now.Add(-6 * time.Minute) }, want: 2, reason: policy.FailedExternalMetric, says: "its newest value is 6 min old"},
		"an old object":      {change: func(r []policy.Reading) { r[1].At = now.Add(-time.Hour) }, want: 2, reason: policy.FailedObjectMetric, says: "its newest value is 60 min old"},
		"minutes are no age": {change: func(r []policy.Reading) { r[2].At, r[2].Values[0] = now.Add(-4*time.Minute), 18000 }, want: 4, reason: policy.ExternalAboveTarget},
		"old pods": {change: func(r []policy.Reading) {
			r[0].Pods[0].Timestamp, r[0].Pods[1].Timestamp = now.Add(-3*time.Minute), now.Add(-3*time.Minute)
		}, want: 2, reason: policy.FailedPodsMetric},
		"an age in compat":  {change: func(r []policy.Reading) { r[2].At, r[2].Values[0] = now.Add(-time.Hour), 18000 }, in: func(in *policy.Input) { in.Options.Compat = policy.CompatHPA }, want: 4, reason: ""},
		"a ratio of before": {change: func(r []policy.Reading) { r[1].Values[0] = 200000; r[1].Read = now.Add(-2 * time.Second) }, in: func(in *policy.Input) { in.Changed = now.Add(-time.Second) }, want: 2, reason: policy.AwaitingReading, says: "lag at 200, as it was read before"},
		"a ratio of after":  {change: func(r []policy.Reading) { r[1].Values[0] = 200000 }, in: func(in *policy.Input) { in.Changed = now.Add(-time.Second) }, want: 4, reason: policy.ObjectAboveTarget},
		"a sum of before":   {change: func(r []policy.Reading) { r[3].Values[0] = 18000; r[3].Read = now.Add(-2 * time.Second) }, in: func(in *policy.Input) { in.Changed = now.Add(-time.Second) }, want: 4, reason: policy.ExternalAboveTarget},
	} {
		readings := good()
		if f.change != nil {
			f.change(readings)
		}
		in := asked(p)
		in.State = &policy.State{Recommendations: []policy.Recommendation{}}
		if f.in != nil {
			f.in(&in)
		}
		in.Answer(readings)
		d := policy.Decide(in)
		if d.Desired != f.want || f.reason != "" && d.Reason != f.reason || !strings.Contains(d.Message+d.Error, f.says) {
			t.Errorf("%s: got %d %s %q %q, want %d %s with %q", name, d.Desired, d.Reason, d.Message, d.Error, f.want, f.reason, f.says)
		}
	}
}

// The story says who told of pods that no collector tells of.
func TestSources(t *testing.T) {
	p := compile(t, `{maxReplicas: 9, metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 100m}}}]}`)
	in := asked(p)
	in.Usage[1].Source = "metrics.k8s.io"
	if d := policy.Decide(in); d.Desired != 4 || !strings.HasSuffix(d.Message, " Of 2 pods 1 is measured by metrics.k8s.io.") || d.Metrics[0].Sources["metrics.k8s.io"] != 1 {
		t.Errorf("got %d: %q %v", d.Desired, d.Message, d.Metrics[0].Sources)
	}
	in.Usage[0].Source = "metrics.k8s.io"
	if d := policy.Decide(in); !strings.HasSuffix(d.Message, " Measured by metrics.k8s.io.") {
		t.Errorf("got %q", d.Message)
	}
}
