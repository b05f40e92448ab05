package casefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/policy/strict"
)

// whole is the case of the design, with every field that a case can have.
const whole = `now: 2026-01-01T00:10:00Z
policy:
  minReplicas: 1
  maxReplicas: 10
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 100}}}
  - {type: Pods, pods: {metric: {name: qps}, target: {type: AverageValue, averageValue: "20"}}}
  - {type: Object, object: {metric: {name: qps}, describedObject: {kind: Service, name: web}, target: {type: Value, value: 20}}}
  - {type: External, external: {metric: {name: qps, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: 20}}}
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0, selectPolicy: Max, policies: [{type: Percent, value: 100, periodSeconds: 15}], tolerance: 0.05}
  mode: Auto
  window: 3s
  stableWindow: 60s
  confidence: 4
  tolerance: 0.1
  schedules: [{start: "0 8 * * *", end: "0 9 * * *", timeZone: Europe/Berlin, minReplicas: 2}]
target: {specReplicas: 3, statusReplicas: 3}
options:
  compat: hpa
  tolerance: 0.1
  cpuInitializationPeriod: 5m
  initialReadinessDelay: 30s
  downscaleStabilization: 5m
  scaleUpLimitFactor: 2
  scaleUpLimitMinimum: 4
pods:
- name: p1
  phase: Running
  ready: "True"
  readyTransition: 2026-01-01T00:00:30Z
  startTime: 2026-01-01T00:00:00Z
  deleting: false
  requests: {cpu: 200m}
  overhead: {memory: 10Mi}
  containers: [{name: c, requests: {cpu: 100m, memory: 64Mi}}]
  initContainers: [{name: s, restartPolicy: Always, requests: {cpu: 10m}}]
usage:
- {pod: p1, timestamp: 2026-01-01T00:09:55Z, window: 30s, containers: [{name: c, usage: {cpu: 150m, memory: 20Mi}}]}
looks:
- {metric: cpu, window: 3s, noise: 40m, usage: [{pod: p1, timestamp: 2026-01-01T00:09:59Z, window: 3s, containers: [{name: c, usage: {cpu: 180m}}]}]}
podsMetrics:     [{metric: qps, pods: [{pod: p1, value: "20", timestamp: 2026-01-01T00:09:55Z, window: 60s}]}]
objectMetrics:   [{metric: qps, describedObject: {kind: Service, name: web}, value: "20"}]
externalMetrics: [{metric: qps, selector: {matchLabels: {a: b}}, values: ["20"]}]
errors: {scale: "", usage: "", podsMetrics: "", objectMetrics: "", externalMetrics: ""}
state:
  recommendations: [{at: 2026-01-01T00:09:00Z, replicas: 5}]
  scaleUps:   [{at: 2026-01-01T00:09:00Z, change: 2, outdated: true}]
  scaleDowns: []
  scaledToZero: false
`

// small is a case with one pod at 150 % of its request.
const small = `now: 2026-01-01T00:10:00Z
policy: {maxReplicas: 10}
target: {specReplicas: 1}
options: {compat: hpa}
pods: [{name: p1, ready: "True", startTime: 2026-01-01T00:00:00Z, containers: [{name: c, requests: {cpu: 100m}}]}]
usage: [{pod: p1, timestamp: 2026-01-01T00:09:55Z, window: 30s, containers: [{name: c, usage: {cpu: 150m}}]}]
`

// run decides and returns the lines written.
func run(t *testing.T, in string) ([]string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(strings.NewReader(in), &out)
	if out.Len() > 0 && !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("the last line has no end: %q", out.String())
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), err
}

func TestRunWhole(t *testing.T) {
	lines, err := run(t, whole)
	if err != nil || len(lines) != 1 {
		t.Fatalf("Run: %v, %d lines", err, len(lines))
	}
	var d struct {
		Schema     string
		Action     string
		Desired    int `json:"desiredReplicas"`
		Metrics    []map[string]any
		Steps      []struct{ Step string }
		Conditions []map[string]string
		State      map[string]any
	}
	if err := json.Unmarshal([]byte(lines[0]), &d); err != nil {
		t.Fatal(err)
	}
	if d.Schema != "plimsoll.dev/decision/v1" || len(d.Metrics) != 4 || d.Steps[0].Step != "metrics" {
		t.Errorf("got %s", lines[0])
	}
	if got := d.Metrics[0]["utilization"]; got != 75.0 { // of the pod-level request of 200m
		t.Errorf("utilization %v, want 75", got)
	}
}

// TestRunLine is one decision to the letter: the contract of the wire.
func TestRunLine(t *testing.T) {
	lines, err := run(t, small)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"plimsoll.dev/decision/v1","action":"Up","currentReplicas":1,"desiredReplicas":2,"reason":"CPUAboveTarget",` +
		`"message":"Load is at 150 % of request, above its line of 80 %; 2 replicas bring it to 75 %.","error":"",` +
		`"metrics":[{"type":"Resource","name":"cpu","container":"","utilization":150,"averageValue":"150m","value":"","proposal":2,"error":"",` +
		`"pods":{"counted":1,"unready":[],"missing":[],"ignored":[]}}],"look":null,` +
		`"steps":[{"step":"metrics","before":1,"after":2,"why":"cpu 150 % of 80 %"},{"step":"stabilize","before":2,"after":2,"why":"highest in 5 min: 2"},{"step":"limits","before":2,"after":2,"why":"1 to 10"}],` +
		`"conditions":[{"type":"AbleToScale","status":"True","reason":"SucceededRescale"},{"type":"ScalingActive","status":"True","reason":"ValidMetricFound"},` +
		`{"type":"ScalingLimited","status":"False","reason":"DesiredWithinRange"},{"type":"ScaledToZero","status":"False","reason":"NotScaledToZero"}],` +
		`"state":{"recommendations":[{"at":"2026-01-01T00:10:00Z","replicas":1},{"at":"2026-01-01T00:10:00Z","replicas":2}],"scaleUps":[],"scaleDowns":[],"scaledToZero":false}}`
	if lines[0] != want {
		t.Errorf("got\n%s\nwant\n%s", lines[0], want)
	}
}

// TestRunMany: documents apart by ---, or JSON a line; the state of one can be given to the next.
func TestRunMany(t *testing.T) {
	f := func(name, in string, want int) {
		t.Helper()
		lines, err := run(t, in)
		if err != nil || len(lines) != want {
			t.Errorf("%s: %d lines, %v, want %d", name, len(lines), err, want)
		}
	}
	line := `{"now": "2026-01-01T00:10:00Z", "policy": {"maxReplicas": 10}, "target": {"specReplicas": 1}}` + "\n"
	pretty := "{\n\t\"now\": \"2026-01-01T00:10:00Z\",\n\t\"policy\": {\"maxReplicas\": 10},\n\t\"target\": {\"specReplicas\": 1}\n}\n"
	f("two documents", small+"---\n"+small, 2)
	f("markers and remarks", "# cases\n---\n"+small+"--- # next\n"+small+"...\n---\n# the end\n", 2)
	f("windows lines", strings.ReplaceAll(small+"---\n"+small, "\n", "\r\n"), 2)
	f("JSON a line", line+line+line, 3)
	f("JSON with tabs", pretty, 1)
	f("JSON apart", pretty+"---\n"+pretty, 2)
	f("no end of line", strings.TrimSuffix(small, "\n"), 1)
}

// TestRunErrors: what is wrong is told with document, line, column and field; the cases before it were decided.
func TestRunErrors(t *testing.T) {
	f := func(in, want string, before int) {
		t.Helper()
		lines, err := run(t, in)
		if lines[0] == "" {
			lines = nil
		}
		var e *strict.Error
		if err == nil || !errors.As(err, &e) || !strings.Contains(err.Error(), want) || len(lines) != before {
			t.Errorf("got %d lines and %v, want %d and an error with %q", len(lines), err, before, want)
		}
	}
	with := func(old, new string) string { return strings.Replace(small, old, new, 1) }
	f(with("specReplicas", "specReplica"), `document 1, line 3, column 10: target: unknown field "specReplica"`, 0)
	f(small+"---\n"+with("maxReplicas: 10", "maxReplicas: ten"), `document 2, line 9, column 23: policy.maxReplicas: "ten" is not a whole number`, 1)
	f(with("maxReplicas: 10", "minReplicas: 5, maxReplicas: 2"), `document 1, line 2, column 39: policy.maxReplicas: "2" must be at least minReplicas, which is 5`, 0)
	f(with("maxReplicas: 10", `maxReplicas: 20, schedules: [{start: "0 0 * * *", end: "0 6 * * *", minReplicas: 30}]`), `document 1, line 2, column 91: policy.schedules[0].minReplicas: "30" must be at most the policy's maxReplicas, which is 20`, 0)
	f(with("{maxReplicas: 10}", "{}"), `line 2, column 9: policy.maxReplicas: "0" must be at least 1`, 0)
	f(with("maxReplicas: 10", "maxReplicas: 10, window: -3s"), `policy.window: "-3s" must be at least 1s`, 0)
	f(with("cpu: 100m", "cpu: -100m"), `pods[0].containers[0].requests.cpu: "-100m" must not be negative`, 0)
	f(with("cpu: 150m", "cpu: .nan"), `usage[0].containers[0].usage.cpu: ".nan" cannot be read`, 0)
	f(with("cpu: 150m", "cpu: 1e-2147483648"), `usage[0].containers[0].usage.cpu: "1e-2147483648" has an exponent that is out of reach`, 0)
	f(with("now: 2026-01-01T00:10:00Z", "now: yesterday"), `now: "yesterday" is not a time`, 0)
	f(with("now: 2026-01-01T00:10:00Z", ""), `now: is missing`, 0)
	f(with("compat: hpa", "compat: keda"), `options: compat "keda" is not known`, 0)
	f(with("compat: hpa", "tolerance: .nan"), `options.tolerance: ".nan" is not a number`, 0)
	f(with("compat: hpa", "tolerance: -1"), `options: tolerance -1 must be a number of at least 0`, 0)
	f(with(`ready: "True"`, `ready: True`), `pods[0].ready: must be text; write "True" with quotes`, 0)
	f(with(`ready: "True"`, `ready: "Yes"`), `pods[0].ready: "Yes" is not True, False or Unknown`, 0)
	f(with("options: {compat: hpa}", "options: {compat: hpa}\noptions: {}"), `line 5, column 1: field "options" is given twice`, 0)
	f(with("{specReplicas: 1}", "{specReplicas: -1}"), `target.specReplicas: "-1" must not be negative`, 0)
	f(with("{specReplicas: 1}", "{specReplicas: 99999999999}"), `"99999999999" is too large`, 0)
	f(with("{specReplicas: 1}", "[1]"), `target: must be a mapping, not a list`, 0)
	f(with("usage: [{pod: p1", "usage: [{pod: p1}, {pod: p1"), `usage[1].pod: "p1" is given twice`, 0)
	f(small+"looks: [{metric: cpu, window: 5s}, {metric: memory, window: 5s}, {metric: cpu, window: 3s}]\n", `looks[2].window: "3s" does not come after "5s"`, 0)
	f(small+"externalMetrics: [{metric: q, selector: {matchExpressions: [{key: a, operator: Near}]}, values: []}]\n", `externalMetrics[0].selector: cannot be used`, 0)
	f(small+"objectMetrics: [{metric: q, labels: {a: b}, value: 1}]\n", `objectMetrics[0]: unknown field "labels"`, 0)
	f("now: [\n", `cannot be read as YAML`, 0)
	f(small+"---\nnow: {\n", `document 2, line `, 1)
	f("a: &a [x]\n"+small, `unknown field "a"`, 0)
	f(small+strings.Repeat("# remark\n", 500_000), `larger than 4 MiB`, 0)
}

// TestNoSuchResource: a pod whose fresh sample lacks the resource is not said to have no sample.
func TestNoSuchResource(t *testing.T) {
	f := func(metric, want string) {
		t.Helper()
		lines, err := run(t, strings.NewReplacer("maxReplicas: 10", "maxReplicas: 10, metrics: ["+metric+"]", "options: {compat: hpa}\n", "").Replace(small))
		if err != nil || !strings.Contains(lines[0], `"message":"`+want) {
			t.Errorf("%s: got %v %v, want %q", metric, lines, err, want)
		}
	}
	f("{type: Resource, resource: {name: CPU, target: {type: AverageValue, averageValue: 100m}}}", "The sample of p1 has no CPU. Nothing is scaled on missing data.")
	f("{type: ContainerResource, containerResource: {name: cpu, container: d, target: {type: AverageValue, averageValue: 100m}}}", "The sample of p1 has no cpu of a container d. ")
}

// TestBelowZero: what a sum below zero would be for another count is said of the sum, not of shares that were rounded, and what the HPA takes
// it for is no number that anybody measured.
func TestBelowZero(t *testing.T) {
	f := func(options, want string) {
		t.Helper()
		lines, err := run(t, `{now: 2026-01-01T00:10:00Z, policy: {maxReplicas: 10, metrics: [{type: External, external: {metric: {name: q}, target: {type: AverageValue, averageValue: 10}}}]},
 target: {specReplicas: 3}, options: {`+options+`}, externalMetrics: [{metric: q, values: ["-5"]}], state: {recommendations: []}}`)
		if err != nil || !strings.Contains(lines[0], `"message":"`+want) {
			t.Errorf("%s: got %v %v, want %q", options, lines, err, want)
		}
	}
	f("downscaleStabilization: 0s", "q fell to -1.667 for each replica; 1 replica carries it at -5.")
	f("compat: hpa", "The values of q add up to less than zero, or to more than can be counted, and the HPA takes both for the most that there is.")
}

func TestRunEmpty(t *testing.T) {
	for _, in := range []string{"", "\n", "---\n", "# nothing\n---\n...\n"} {
		if err := Run(strings.NewReader(in), &bytes.Buffer{}); !errors.Is(err, ErrNoCase) {
			t.Errorf("Run(%q) = %v, want %v", in, err, ErrNoCase)
		}
	}
}

// TestHugeNumbers: what is beyond every range is held at its end.
func TestHugeNumbers(t *testing.T) {
	for _, cpu := range []string{"1e30", "9223372036854775807", "1E", "0.0000000001", "1e-30", "1e999", "1e-999", "99999999999999999999Ei"} {
		lines, err := run(t, strings.Replace(small, "cpu: 150m", "cpu: "+cpu, 1))
		if err != nil || !strings.Contains(lines[0], `"desiredReplicas":`) {
			t.Errorf("cpu %s: %v %v", cpu, lines, err)
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(small + "---\n" + small))
	f.Add([]byte(`{"now": "2026-01-01T00:10:00Z", "policy": {"maxReplicas": 10}, "target": {"specReplicas": 1}}` + "\n{}"))
	f.Add([]byte("a: &a {b: *a}\n"))
	f.Add([]byte(strings.Replace(small, "cpu: 150m", "cpu: 1e-2147483648", 1)))
	f.Add([]byte(strings.Replace(whole, "compat: hpa", "", 1)))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		err := Run(bytes.NewReader(in), &out)
		for line := range bytes.Lines(out.Bytes()) {
			if !json.Valid(line) {
				t.Errorf("not JSON: %s", line)
			}
		}
		var e *strict.Error
		if err != nil && !errors.Is(err, ErrNoCase) && !errors.As(err, &e) {
			t.Errorf("an error without a place: %v", err)
		}
	})
}

// The case in the docs decides as they say.
func TestExampleOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/decide.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	n := 0
	err = Each(strings.NewReader(example), func(d policy.Decision) error {
		n++
		if d.Action != policy.Up || d.Current != 3 || d.Desired != 6 {
			t.Errorf("got %s from %d to %d: %s", d.Action, d.Current, d.Desired, d.Message)
		}
		return nil
	})
	if !ok || err != nil || n != 1 {
		t.Errorf("%d cases, %v", n, err)
	}
}
