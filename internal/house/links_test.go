package house

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// clouds are the libraries of cloud vendors. Prometheus' service discovery and remote write bring them with the embedded store
// (github.com/prometheus/prometheus/config links the logins of AWS, Azure and Google Cloud, and client-go); nothing else may.
var clouds = []string{"github.com/aws", "github.com/Azure", "github.com/AzureAD", "cloud.google.com/go", "google.golang.org/api", "google.golang.org/grpc", "k8s.io/client-go"}

// What each role may link: what lands in a program besides what its own files name.
func TestWhatEachRoleLinks(t *testing.T) {
	links := linked(t)
	none := func(folder string, libs ...string) {
		t.Helper()
		seen := false
		for pkg, deps := range links {
			if !under(pkg, folder) {
				continue
			}
			seen = true
			for _, d := range deps {
				if slices.ContainsFunc(libs, func(l string) bool { return under(d, l) }) {
					t.Errorf("%s links %q", pkg, d)
				}
			}
		}
		if !seen {
			t.Errorf("there is no package below %q: the rule checks nothing", folder)
		}
	}
	kubernetes := []string{"k8s.io/apiserver", "k8s.io/metrics", "k8s.io/component-base", "sigs.k8s.io/controller-runtime"}
	stores := []string{"github.com/prometheus/prometheus", "github.com/influxdata", module + "/internal/store/tsdb", module + "/internal/store/influx"}
	none("collector", slices.Concat(kubernetes, clouds, stores)...)
	none("autoscaler", slices.Concat(kubernetes, clouds, stores)...)
	none("aggregator", stores...)
	none("dashboards", slices.Concat(kubernetes, clouds, stores)...)
	for pkg, deps := range links {
		if under(pkg, "aggregator") && !under(pkg, "aggregator/metricsapi") {
			none(pkg, slices.Concat(kubernetes, clouds)...)
		}
		if slices.Contains(deps, module+"/internal/store/tsdb") || pkg == "internal/store/tsdb" || under(pkg, "internal/kube") || under(pkg, "aggregator/metricsapi") { // the doors to Kubernetes
			continue
		}
		for _, d := range deps {
			if slices.ContainsFunc(clouds, func(l string) bool { return under(d, l) }) {
				t.Errorf("%s links %q without the embedded store", pkg, d)
			}
		}
	}
	// The brain knows Kubernetes' types and what they need, and of ours the words alone.
	for _, d := range links["autoscaler/policy"] {
		switch {
		case under(d, module) && !under(d, module+"/autoscaler/policy") && d != module+"/internal/cluster":
			t.Errorf("the brain links %q", d)
		case under(d, "k8s.io") && !slices.ContainsFunc([]string{"k8s.io/api", "k8s.io/apimachinery", "k8s.io/klog", "k8s.io/kube-openapi", "k8s.io/utils"}, func(l string) bool { return under(d, l) }):
			t.Errorf("the brain links %q", d)
		}
	}
}

// linked lists for each of our packages all that it links, tests not counted.
func linked(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...")
	cmd.Dir = root(t)
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot list what packages link: %v", err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		out[strings.TrimPrefix(f[0], module+"/")] = f[1:]
	}
	if len(out) < 30 {
		t.Fatalf("found only %d packages: the rules would check nothing", len(out))
	}
	return out
}
