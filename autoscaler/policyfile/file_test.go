package policyfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	k8syaml "sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/internal/cluster"
)

func TestExample(t *testing.T) {
	f, err := Load("../../docs/examples/policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := []process.Service{{
		Namespace: "shop", Name: "thumbnails", Command: []string{"python3", "-m", "http.server", "--bind", "127.0.0.1", "$(PORT)"},
		Env: map[string]string{"CACHE": "/tmp/thumbnails/$(REPLICA)"}, Dir: "/tmp", Port: 9001, Replicas: 2, Drain: 10 * time.Second,
		Requests: process.Resources{CPU: 250, Memory: 64 << 20}, Processes: 4096, Limits: process.Resources{CPU: 1000, Memory: 256 << 20},
		ReadyWhen: process.Readiness{Connect: "127.0.0.1:$(PORT)", After: time.Second},
	}}
	if diff := cmp.Diff(want, f.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if len(f.Policies) != 1 {
		t.Fatalf("%d policies, want 1", len(f.Policies))
	}
	p := f.Policies[0]
	if p.Name != "thumbnails" || p.Target != (cluster.Target{APIVersion: cluster.APIVersion, Kind: "ProcessService", Namespace: "shop", Name: "thumbnails"}) {
		t.Errorf("policy %q for %v", p.Name, p.Target)
	}
	if p.Compiled.Min() != 2 || p.Compiled.Max() != 10 || p.Compiled.Window() != 3*time.Second {
		t.Errorf("compiled: %+v", p.Compiled)
	}
	if !strings.HasPrefix(p.Text, "apiVersion: plimsoll.dev/v1alpha1\nkind: ScalePolicy\n") || !strings.HasSuffix(p.Text, "minReplicas: 4\n") {
		t.Errorf("text:\n%s", p.Text)
	}
}

// service and scale are the shortest documents.
const (
	service = "apiVersion: plimsoll.dev/v1alpha1\nkind: ProcessService\nmetadata: {name: web}\nspec:\n  command: [sleep, \"1\"]\n"
	scale   = "---\napiVersion: plimsoll.dev/v1alpha1\nkind: ScalePolicy\nmetadata: {name: web}\nspec:\n  scaleTargetRef: {kind: ProcessService, name: web}\n  maxReplicas: 3\n" + used
	used    = "  metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 100m}}}]\n"
)

func TestShortest(t *testing.T) {
	f, err := Parse("f", []byte(service+scale))
	if err != nil {
		t.Fatal(err)
	}
	if s := f.Services[0]; s.Namespace != "default" || s.Replicas != 1 {
		t.Errorf("service %+v", s)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n---\n"} {
		if f, err := Parse("f", []byte(empty)); err != nil || len(f.Services)+len(f.Policies) != 0 {
			t.Errorf("%q: %v, %v", empty, f, err)
		}
	}
	f, err = Parse("f", []byte(service+strings.Replace(scale, "  maxReplicas: 3", "  minReplicas: 2\n  maxReplicas: 3", 1)))
	if err != nil || f.Services[0].Replicas != 2 {
		t.Errorf("replicas to begin with are not the policy's minimum: %+v, %v", f, err)
	}
}

// TestDivided: a file may divide its documents in any way that YAML and JSON know.
func TestDivided(t *testing.T) {
	second := strings.TrimPrefix(scale, "---\n")
	object := func(text string) string {
		out, err := k8syaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for _, text := range []string{service + "...\n" + second, service + "...\n---\n" + second + "...\n", "---\n" + service + scale,
		object(service) + object(second), object(service) + "\n" + object(second) + "\n"} {
		f, err := Parse("f", []byte(text))
		if err != nil || len(f.Services) != 1 || len(f.Policies) != 1 {
			t.Errorf("%+v, %v, of:\n%s", f, err, text)
			continue
		}
		if got := f.Policies[0].Text; strings.Contains(got, "Service\nmetadata") || strings.Contains(got, "...") || strings.Contains(got, "---") {
			t.Errorf("the policy's text is:\n%s", got)
		}
	}
}

func TestMistakes(t *testing.T) {
	replace := func(text, old, new string) string {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in the text", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	for _, c := range []struct{ text, want string }{
		{"a: [", "f:1:1: cannot be read as YAML"},
		{"hello", `f:1:1: must be a mapping, not "hello"`},
		{"metadata: {name: x}", `f:1:1: kind: must be there: "ScalePolicy" or "ProcessService"`},
		{"kind: Deployment", `f:1:7: kind: "Deployment" is not known`},
		{replace(service, "plimsoll.dev/v1alpha1", "v1"), `f:1:13: apiVersion: "v1" is not known: it must be "plimsoll.dev/v1alpha1"`},
		{replace(service, "  command", "  comand"), `f:5:3: spec: unknown field "comand"`},
		{replace(service, "command: [sleep, \"1\"]", "dir: /"), `f:5:3: spec.command: must be there`},
		{replace(service, "name: web", "name: Web"), `f:3:18: metadata.name: "Web" is not a DNS label`},
		{service + "  port: 99999\n", `f:5:3: spec: port 99999 is not between 1 and 65535`},
		{service + "  port: 65534\n  replicas: 3\n", `f:6:9: spec.port: 65534 leaves no ports for 3 replicas, which take one each: at most 65533`},
		{service + "  port: 65534\n  replicas: 2\n" + scale, `spec.maxReplicas: 3 replicas of ProcessService "default/web" would need the ports 65534 to 65536: 65535 is the last`},
		{service + "  replicas: 1.5\n", `f:6:13: spec.replicas: "1.5" is not a whole number`},
		{service + "  replicas: -2\n", `f:6:13: spec.replicas: -2 is not between 0 and 1000`},
		{service + "  terminationGracePeriodSeconds: 0\n", `f:6:34: spec.terminationGracePeriodSeconds: 0 is not between 1 and 86400`},
		{service + "  resources: {requests: {cpu: 1x}}\n", `f:6:31: spec.resources.requests.cpu: "1x" cannot be read`},
		{service + "  resources: {requests: {cpu: 0}}\n", `f:6:31: spec.resources.requests.cpu: "0" must be more than zero`},
		{service + "  resources: {requests: {gpu: 1}}\n", `f:6:31: spec.resources.requests.gpu: "gpu" is not known`},
		{service + "  resources: {requests: {cpu: 2}, limits: {cpu: 1}}\n", `the CPU request of 2000m is over the limit of 1000m`},
		{service + "  readiness: {exec: [a], connect: b}\n", `readiness can have either exec or connect, not both`},
		{service + "  env: [{name: A, value: x}, {name: A, value: y}]\n", `f:6:37: spec.env[1].name: "A" is there twice or empty`},
		{service + "---\n" + service, `f:9:18: metadata.name: ProcessService "default/web" is there twice`},
		{scale, `f:6:48: spec.scaleTargetRef.name: there is no ProcessService "default/web" in this file`},
		{service + replace(scale, "maxReplicas: 3", "maxReplicas: 0"), `f:12:16: spec.maxReplicas: "0" must be at least 1`},
		{service + replace(scale, "maxReplicas: 3", "maxReplicas: 3\n  minReplicas: 5"), `f:12:16: spec.maxReplicas: "3" must be at least minReplicas, which is 5`},
		{service + replace(scale, "maxReplicas: 3", "maxReplicas: 3000"), `f:12:16: spec.maxReplicas: 3000 is over 1000`},
		{service + replace(scale, "maxReplicas: 3", "maxReplicas: 3\n  window: -3s"), `f:13:11: spec.window: "-3s" must be at least 1s`},
		{service + replace(scale, "maxReplicas: 3", "maxReplicas: 3\n  mode: Off"), `f:13:9: spec.mode: "Off" must be Auto, DryRun or Paused`},
		{service + replace(scale, "kind: ProcessService, name", "kind: Deployment, name"), `spec.scaleTargetRef.kind: "Deployment" cannot be scaled on one machine`},
		{service + replace(scale, used, ""), `f:11:3: spec: a utilization is a share of the request, and ProcessService "default/web" has none of cpu: give it resources.requests.cpu, or the metric an averageValue`},
		{service + replace(scale, "cpu, target: {type: AverageValue, averageValue: 100m}", "memory, target: {type: Utilization, averageUtilization: 70}"), `f:13:103: spec.metrics[0].resource.target.averageUtilization: a utilization is a share of the request, and ProcessService "default/web" has none of memory`},
		{service + replace(scale, "name: cpu", "name: CPU"), `f:13:47: spec.metrics[0].resource.name: "CPU" is not measured: cpu and memory are`},
		{service + replace(scale, "Resource, resource: {name: cpu", "ContainerResource, containerResource: {name: cpu, container: app"), `spec.metrics[0].containerResource.container: "app" is not there: the only container of a ProcessService is called like it, "web"`},
		{service + replace(scale, "Resource, resource: {name: cpu", "External, external: {metric: {name: jobs}"), `f:13:20: spec.metrics[0].type: "External" is not measured of a ProcessService: Resource and ContainerResource are`},
		{service + replace(scale, "Resource, resource: {name: cpu", "Pods, pods: {metric: {name: jobs}"), `f:13:20: spec.metrics[0].type: "Pods" is not measured of a ProcessService`},
		{service + replace(scale, "Resource, resource: {name: cpu", "Object, object: {describedObject: {kind: Service, name: web}, metric: {name: jobs}"), `f:13:20: spec.metrics[0].type: "Object" is not measured of a ProcessService`},
		{service + replace(scale, "maxReplicas: 3", "maxReplicas: 3\n  schedules: [{start: 0 8 * * *, end: 0 8 * * *, minReplicas: 2}]"), `f:13:39: spec.schedules[0].end: "0 8 * * *" comes whenever the start does`},
		{service + replace(scale, "maxReplicas: 3", "maxReplicas: 3\n  schedules: [{start: 0 8 * * *, end: 0 9 * * *, minReplicas: 4}]"), `f:13:63: spec.schedules[0].minReplicas: "4" must be at most the policy's maxReplicas, which is 3`},
		{service + scale + replace(scale, "metadata: {name: web}", "metadata: {name: again}"), `spec.scaleTargetRef: ProcessService "web" is scaled by ScalePolicy "web" already`},
		{service + scale + scale, `ScalePolicy "default/web" is there twice`},
	} {
		if _, err := Parse("f", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s\nof:\n%s", err, c.want, c.text)
		}
	}
}

// Several mistakes are told at once, each with its place.
func TestSeveralMistakes(t *testing.T) {
	text := strings.Replace(service, "  command", "  comand", 1) + strings.Replace(scale, "maxReplicas: 3", "maxReplicas: 0", 1)
	_, err := Parse("f", []byte(text))
	if got := strings.Count(fmt.Sprint(err), "f:"); got != 2 {
		t.Errorf("got %d mistakes, want 2: %v", got, err)
	}
}

func TestLoadErrors(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "cannot read policies: open") {
		t.Error(err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
}

func TestJoin(t *testing.T) {
	f, err := Parse("f", []byte(service+scale))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Join(f, f); err == nil {
		t.Error("a service that is there twice was accepted")
	}
	if got, err := Join(f, &File{}); err != nil || len(got.Services) != 1 || len(got.Policies) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("../../docs/examples/policies.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(example), service, scale, service + scale, "a: &a [*a]", "{", "--- ---", "kind: [ProcessService]", "kind: ProcessService\nspec: 3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("f", text)
		if err != nil {
			if !strings.Contains(err.Error(), "f:") && !strings.Contains(err.Error(), "larger") {
				t.Errorf("an error without a place: %v", err)
			}
			return
		}
		for i := range file.Services {
			if err := file.Services[i].Validate(); err != nil {
				t.Error(err)
			}
		}
		if _, err := process.New(process.Options{Services: file.Services}); err != nil {
			t.Error(err)
		}
		for _, p := range file.Policies {
			if p.Compiled == nil || p.Text == "" {
				t.Errorf("policy %+v", p)
			}
		}
	})
}

// The file that the page shows to be copied is one that runs as it stands.
func TestExampleOfThePage(t *testing.T) {
	f, err := Load("../../dashboards/web/src/example.yaml")
	if err != nil || len(f.Policies) != 1 || len(f.Services) != 1 {
		t.Errorf("got %+v, %v", f, err)
	}
}
