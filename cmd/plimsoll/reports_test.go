package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/aggregator/capacity"
)

func TestReportUsage(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		got := call(t, nil, "", args...)
		if got.code != exitUsage || !strings.Contains(got.err, want) || got.out != "" {
			t.Errorf("%q: got exit %d, %q %q; want 2 and %q", args, got.code, got.out, got.err, want)
		}
	}
	f(`cannot report the capacity of "volumes": want one of cluster, pools, nodes, namespaces`, "capacity", "volumes")
	f(`"nodes pools"`, "capacity", "nodes", "pools")
	f(`--window "30m": want 1h to 400d`, "capacity", "--window", "30m")
	f(`--window "401d"`, "rightsize", "--window", "401d")
	f(`"soon" is no duration`, "fit", "--cpu", "1", "--window", "soon")
	f(`-o "pdf": want table, wide, json, yaml, csv, html`, "capacity", "-o", "pdf")
	f("say how large a replica is", "fit")
	f(`"much" is not an amount over 0`, "fit", "--cpu", "much")
	f(`"-1Gi" is not an amount over 0`, "fit", "--memory", "-1Gi")
	f(`--by "luck": want request or use`, "fit", "--cpu", "1", "--by", "luck")
	f(`takes no arguments, got "here"`, "fit", "here")
	f(`workload "cart": want namespace/name`, "rightsize", "cart")
	f(`workload "shop/": want namespace/name`, "rightsize", "shop/")
	f("or a namespace with -n", "rightsize", "shop/cart", "-n", "shop")
	f(`-n "shop" goes with namespaces`, "capacity", "nodes", "-n", "shop")
	f(`-n "shop" goes with namespaces`, "capacity", "-n", "shop", "-o", "html")
	f(`--missing is of all namespaces`, "explain", "--missing", "-n", "shop")
	f(`target "shop/Deployment/cart" has a namespace`, "explain", "shop/Deployment/cart", "-n", "shop")
	for _, c := range [][]string{{"top", "pods"}, {"top", "containers"}, {"top", "workloads"}, {"capacity"}, {"rightsize"}, {"explain", "cart"}} {
		f(`give -A or -n "shop", not both`, append(c, "-A", "-n", "shop")...)
	}
}

func TestReportCompletion(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		if got := call(t, nil, "", append([]string{"__complete"}, args...)...); !strings.Contains(got.out, want+"\n") {
			t.Errorf("%q: got %q, want %q among it", args, got.out, want)
		}
	}
	f("namespaces", "capacity", "n")
	f("html", "rightsize", "-o", "")
	f("use", "fit", "--by", "")
}

// Each report in each format, of a machine that was watched for a little while.
func TestReportsOfARunningMachine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, []byte(`apiVersion: plimsoll.dev/v1alpha1
kind: ProcessService
metadata: {name: sleeper, namespace: test}
spec:
  command: [sleep, "600"]
  resources: {requests: {cpu: 100m, memory: 64Mi}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startRun(t, "--data", t.TempDir(), "--node", "n1", "--interval", "1s", "--policies", file)
	env := map[string]string{"PLIMSOLL_SERVER": r.url}
	until(t, "the history has the node and the service", 60*time.Second, func() bool {
		var c capacity.CapacityReport
		got := call(t, env, "", "capacity", "--window", "1h", "-o", "json")
		if json.Unmarshal([]byte(got.out), &c) != nil || len(c.Scopes) < 2 || c.Scopes[0].Memory.P95 == nil || c.Scopes[0].CPU.Requests == nil {
			return false
		}
		return strings.Contains(call(t, env, "", "rightsize", "test/sleeper", "--window", "1h").out, "64Mi")
	})
	reports := []struct {
		args   []string
		schema string
		says   []string // in the table
	}{
		{[]string{"capacity", "--window", "1h"}, capacity.CapacitySchema, []string{"Cluster: 100m of ", " cores requested, p95 of use ", "; 64Mi of ", "cluster", "node", "n1", "namespace", "test"}},
		{[]string{"capacity", "nodes", "--window", "1h"}, capacity.CapacitySchema, []string{"Cluster: 100m of ", "node", "n1"}},
		{[]string{"fit", "--cpu", "10m", "--memory", "1Mi", "--by", "request", "--window", "1h"}, capacity.FitSchema, []string{"n1", "more replicas of 10m CPU and 1Mi memory fit"}},
		{[]string{"rightsize", "-n", "test", "--window", "1h"}, capacity.RightsizeSchema, []string{"test", "sleeper", "100m", "64Mi"}},
	}
	for _, rep := range reports {
		f := func(format string) string {
			t.Helper()
			got := call(t, env, "", append(rep.args, "-o", format)...)
			if got.code != exitDone || got.err != "" || got.out == "" {
				t.Fatalf("%q -o %s: got exit %d, %.200s %s", rep.args, format, got.code, got.out, got.err)
			}
			return got.out
		}
		table, wide := f("table"), f("wide")
		for _, want := range rep.says {
			if !strings.Contains(table, want) || !strings.Contains(wide, want) {
				t.Errorf("%q: want %q in\n%s", rep.args, want, table)
			}
		}
		var doc, same struct{ Schema string }
		if err := json.Unmarshal([]byte(f("json")), &doc); err != nil || doc.Schema != rep.schema {
			t.Errorf("%q: got %+v, %v; want schema %q", rep.args, doc, err, rep.schema)
		}
		if err := yaml.Unmarshal([]byte(f("yaml")), &same); err != nil || same != doc {
			t.Errorf("%q as YAML: got %+v, %v; want %+v", rep.args, same, err, doc)
		}
		rows, err := csv.NewReader(strings.NewReader(f("csv"))).ReadAll() // all rows have as many cells
		if err != nil || len(rows) < 2 {
			t.Errorf("%q as CSV: got %v, %v; want a header and rows", rep.args, rows, err)
		}
		if page := f("html"); !strings.Contains(page, "<html") || !strings.Contains(page, "</html>") {
			t.Errorf("%q as HTML: got %.200s", rep.args, page)
		}
	}
	if got := call(t, env, "", "capacity", "nodes", "--window", "1h"); strings.Contains(got.out, "namespace ") {
		t.Errorf("capacity of nodes alone has namespaces:\n%s", got.out)
	}
	out := filepath.Join(t.TempDir(), "capacity.html")
	if got := call(t, env, "", "capacity", "-o", "html", "--out", out); got.code != exitDone || got.out != "" {
		t.Errorf("--out: got exit %d, %.100s %s", got.code, got.out, got.err)
	}
	if raw, err := os.ReadFile(out); err != nil || !strings.Contains(string(raw), "</html>") {
		t.Errorf("--out: got %.100s, %v; want a page", raw, err)
	}
	if got := call(t, env, "", "fit", "--cpu", "1n"); got.code != exitFailed || !strings.Contains(got.err, "answered 400") {
		t.Errorf("too small a replica: got exit %d, %q", got.code, got.err)
	}
	if got := call(t, env, "", "capacity", "--out", "/absent/x"); got.code != exitFailed || !strings.Contains(got.err, "/absent/x") {
		t.Errorf("a file that cannot be: got exit %d, %q", got.code, got.err)
	}
	r.terminate(t)
}

func TestSlowServer(t *testing.T) {
	r := startRun(t, "--data", t.TempDir())
	got := call(t, nil, "", "capacity", "--server", r.url, "--timeout", "1ns")
	if got.code != exitFailed || !strings.Contains(got.err, `has not answered within "1ns"; give a longer --timeout`) {
		t.Errorf("got exit %d, %q; want 1 and the flag", got.code, got.err)
	}
}

// The manual names every column and its commands can be called.
func TestReportsManual(t *testing.T) {
	raw, err := os.ReadFile("../../docs/reports.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(raw)
	for _, r := range []tabled{&capacity.CapacityReport{}, &capacity.FitReport{}, &capacity.RightsizeReport{}} {
		for _, c := range r.Table(capacity.People).Columns {
			short := strings.TrimPrefix(strings.TrimPrefix(c.Name, "CPU "), "MEM ")
			if !strings.Contains(manual, "`"+c.Name+"`") && !strings.Contains(manual, "`"+short+"`") {
				t.Errorf("the manual does not name column %q", c.Name)
			}
		}
	}
	n := 0
	for line := range strings.Lines(manual) {
		command, _, _ := strings.Cut(line, "#")
		args := strings.Fields(command)
		if len(args) < 2 || args[0] != "plimsoll" {
			continue
		}
		n++
		if got := call(t, map[string]string{"PLIMSOLL_SERVER": "http://127.0.0.1:1"}, "", args[1:]...); got.code != exitFailed || !strings.Contains(got.err, "cannot reach") {
			t.Errorf("%q: got exit %d, %s", command, got.code, got.err)
		}
	}
	if n < 5 {
		t.Errorf("the manual has %d commands, want at least 5", n)
	}
}
