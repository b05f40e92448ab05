package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/collector/doctor"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// running is a real `plimsoll run`: this test binary in that role.
type running struct {
	cmd  *exec.Cmd
	url  string
	mu   sync.Mutex
	logs strings.Builder
	done chan struct{}
}

func (r *running) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logs.String()
}

// startRun starts it on a free port and waits until it says where.
func startRun(t *testing.T, args ...string) *running {
	t.Helper()
	return startRole(t, "run", args...)
}

// startRole does so for any command that serves.
func startRole(t *testing.T, role string, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.Command("/proc/self/exe", append([]string{role, "--listen", "127.0.0.1:0", "--log-format", "json"}, args...)...), done: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), "PLIMSOLL_TEST_MAIN=1")
	pipe, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.done
		_ = r.cmd.Wait()
	})
	page := make(chan string, 1)
	go func() {
		defer close(r.done)
		s := bufio.NewScanner(pipe)
		for s.Scan() {
			r.mu.Lock()
			r.logs.WriteString(s.Text() + "\n")
			r.mu.Unlock()
			var line struct{ Page, Metrics string }
			if json.Unmarshal(s.Bytes(), &line) == nil && line.Page+line.Metrics != "" {
				page <- strings.TrimSuffix(line.Page+line.Metrics, "/metrics")
			}
		}
	}()
	select {
	case r.url = <-page:
	case <-r.done:
		t.Fatalf("it ended: %s", r.log())
	case <-time.After(2 * time.Minute):
		t.Fatalf("it did not say where it is: %s", r.log())
	}
	return r
}

func (r *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%v: %s", err, r.log())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// until polls a real process; the deadline is for one that never gets there, and long, as a busy machine takes its time.
func until(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	within = max(within, 2*time.Minute)
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %v: %s", within, what)
}

func (r *running) overview(t *testing.T) api.Overview {
	t.Helper()
	status, body := r.get(t, "/plimsoll/v1/overview")
	var o api.Overview
	if err := json.Unmarshal([]byte(body), &o); err != nil || status != 200 {
		t.Fatalf("overview: %d, %v: %s", status, err, body)
	}
	return o
}

func (r *running) terminate(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.done:
	case <-time.After(2 * time.Minute):
		t.Fatalf("it did not end within two minutes of SIGTERM: %s", r.log())
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, r.log())
	}
}

func TestRunServesEverything(t *testing.T) {
	r := startRun(t, "--data", t.TempDir(), "--node", "n1")
	until(t, "the node's CPU is known", 2*time.Minute, func() bool {
		o := r.overview(t)
		return o.Node.CPU != nil && o.Node.Cores != nil && o.Node.Memory != nil
	})
	until(t, "history can be queried", 2*time.Minute, func() bool {
		_, body := r.get(t, "/api/v1/query?query=node_memory_working_set_bytes")
		return strings.Contains(body, `"node":"n1"`)
	})
	for path, want := range map[string]string{
		"/":                                "<html",
		"/readyz?verbose":                  "[+]collector ok",
		"/livez":                           "ok",
		"/metrics":                         "plimsoll_collector_tick_duration_seconds",
		"/plimsoll/v1/nodes":               `"name":"n1"`,
		"/plimsoll/v1/workloads":           "plimsoll.dev/workloads/v1",
		"/plimsoll/v1/missing":             "plimsoll.dev/missing/v1",
		"/plimsoll/v1/decisions":           "plimsoll.dev/decisions/v1",
		"/api/v1/model/nodes/":             `"n1"`,
		"/api/v1/model/debug/allkeys":      "node:n1",
		"/api/v1/metric-export-schema":     "cpu/usage",
		"/api/v1/status/buildinfo":         `"status":"success"`,
		"/api/v1/label/__name__/values":    "node_cpu_usage_seconds_total",
		"/api/v1/format_query?query=a%2Bb": "a + b",
	} {
		if status, body := r.get(t, path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d, %.300s; want %q in it", path, status, body, want)
		}
	}
	if status, body := r.get(t, "/plimsoll/v1/nothing"); status != 404 {
		t.Errorf("an unknown path: got %d, %.100s; want 404", status, body)
	}
	r.terminate(t)
}

func TestTopAgainstARunningServer(t *testing.T) {
	r := startRun(t, "--data", t.TempDir(), "--node", "n1")
	until(t, "the node's CPU is known", 2*time.Minute, func() bool { return r.overview(t).Node.CPU != nil })
	f := func(want string, args ...string) {
		t.Helper()
		got := call(t, map[string]string{"PLIMSOLL_SERVER": r.url}, "", args...)
		if got.code != exitDone || !strings.Contains(got.out, want) {
			t.Errorf("%q: got exit %d, %.300s %s; want %q", args, got.code, got.out, got.err, want)
		}
	}
	f("n1", "top", "nodes")
	f(`"schema": "plimsoll.dev/nodes/v1"`, "top", "nodes", "-o", "json")
	f("NAME,CPU(cores)", "top", "nodes", "-o", "csv")
	f("CONTAINERS", "top", "pods", "--sort-by", "memory")
	f("NAMESPACE", "top", "containers", "-o", "wide")
	f("KIND", "top", "workloads")
	until(t, "the history has the node", 2*time.Minute, func() bool {
		return strings.Contains(call(t, map[string]string{"PLIMSOLL_SERVER": r.url}, "", "top", "nodes", "--over", "1m").out, "n1 ")
	})
	f("CPU(mean)", "top", "containers", "--over", "1m", "--sort-by", "memory")
	f(`"schema": "plimsoll.dev/top/v1"`, "top", "workloads", "--over", "1m", "-o", "json")
	f("", "explain", "--missing")
	if got := call(t, nil, "", "top", "pods", "-n", "nowhere", "--server", r.url); got.code != exitDone || !strings.Contains(got.err, `nothing is known in namespace "nowhere"`) {
		t.Errorf("top of nothing: got exit %d, %q; want 0 and the namespace", got.code, got.err)
	}
	if got := call(t, nil, "", "explain", "no/body", "--server", r.url); got.code != exitFailed || !strings.Contains(got.err, `"no/body"`) {
		t.Errorf("explain of nothing: got exit %d, %q; want 1 and its name", got.code, got.err)
	}
	r.terminate(t)
}

func TestTopLocal(t *testing.T) {
	got := call(t, nil, "", "top", "nodes", "--local", "-o", "json")
	var list api.NodeList
	if err := json.Unmarshal([]byte(got.out), &list); err != nil || len(list.Items) != 1 || list.Items[0].CPU == nil || list.Items[0].Cores == nil {
		t.Errorf("got exit %d, %v, %s %s; want one node with its CPU", got.code, err, got.out, got.err)
	}
}

func TestTwoProcessesOnOneFolder(t *testing.T) {
	dir := t.TempDir()
	r := startRun(t, "--data", dir)
	got := call(t, nil, "", "run", "--data", dir, "--listen", "127.0.0.1:0")
	if got.code != exitFailed || !strings.Contains(got.err, dir) || !strings.Contains(got.err, fmt.Sprint(r.cmd.Process.Pid)) {
		t.Errorf("got exit %d, %q; want 1, the folder and the other process's id", got.code, got.err)
	}
	r.terminate(t)
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	r := startRun(t, "--data", t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(want string, args ...string) {
		t.Helper()
		got := call(t, nil, "", append([]string{"run"}, args...)...)
		if got.code == exitDone || !strings.Contains(got.err, want) {
			t.Errorf("%q: got exit %d, %q; want an error with %q", args, got.code, got.err, want)
		}
	}
	addr := strings.TrimPrefix(r.url, "http://")
	none := filepath.Join(t.TempDir(), "none") // a start that is refused makes no folder
	f("another process is there", "--listen", addr, "--data", none)
	f("wants host:port", "--listen", "127.0.0.1:99999", "--data", none)
	f("not a loopback address", "--listen", "0.0.0.0:0", "--data", none)
	f(file, "--listen", "127.0.0.1:0", "--data", filepath.Join(file, "below"))
	f("absent.yaml", "--listen", "127.0.0.1:0", "--data", none, "--policies", "absent.yaml")
	f(`"/absent"`, "--listen", "127.0.0.1:0", "--data", none, "--cgroup-root", "/absent")
	f(`"sys"`, "--listen", "127.0.0.1:0", "--data", none, "--proc-root", "sys")
	if _, err := os.Stat(none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused start left its data folder: %v", err)
	}
	if got := call(t, nil, "", "run", "--listen", addr, "--data", none, "--log-format", "json"); strings.Contains(got.err, "has ended") {
		t.Errorf("what never began has ended: %s", got.err)
	}
	r.terminate(t)
}

func TestDoctorFindsAnythingAtAll(t *testing.T) {
	got := call(t, nil, "", "doctor", "-o", "json", "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	var doc struct{ Findings []doctor.Finding }
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil {
		t.Fatalf("%v: %s", err, got.out)
	}
	seen := map[string]string{}
	for _, f := range doc.Findings {
		seen[f.Check] = f.Status
	}
	for _, check := range []string{"cgroups", "pressure (PSI)", "reading", "full reading", "open files", "data folder", "server", "clock", "user"} {
		if seen[check] == "" {
			t.Errorf("doctor did not look at %q: %s", check, got.out)
		}
	}
	for _, args := range [][]string{{"--data", "/proc", "--listen", "127.0.0.1:0"}, {"--data", t.TempDir(), "--listen", "127.0.0.1:99999"}} {
		got := call(t, nil, "", append([]string{"doctor"}, args...)...)
		if got.code != exitFailed || strings.Contains(got.out, "is taken") {
			t.Errorf("%q: got exit %d, %s; want 1", args, got.code, got.out)
		}
	}
	for listen, want := range map[string]string{"0.0.0.0:0": "without TLS and a login", ":0": "without TLS and a login"} {
		got := call(t, nil, "", "doctor", "--data", t.TempDir(), "--listen", listen)
		if got.code != exitFailed || !strings.Contains(got.out, want) || strings.Contains(got.out, "is free") {
			t.Errorf("at %s: got exit %d, %s; want %d and %q, as of 'run'", listen, got.code, got.out, exitFailed, want)
		}
		absent := filepath.Join(t.TempDir(), "absent.yaml")
		if got := call(t, nil, "", "doctor", "--data", t.TempDir(), "--listen", listen, "--web.config.file", absent); got.code != exitFailed || !strings.Contains(got.out, absent) {
			t.Errorf("at %s with a web configuration that is not there: got exit %d, %s", listen, got.code, got.out)
		}
	}
	if got := call(t, nil, "", "doctor", "--cgroup-root", "/absent"); got.code != exitFailed || !strings.Contains(got.out, "FAIL") {
		t.Errorf("without cgroups: got exit %d, %s; want 1 and FAIL", got.code, got.out)
	}
}

// cgroupsOf lists the folders of a Plimsoll process's own cgroups, in all hierarchies.
func cgroupsOf(t *testing.T, pid int) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"/sys/fs/cgroup/plimsoll-%d", "/sys/fs/cgroup/*/plimsoll-%d"} {
		found, err := filepath.Glob(fmt.Sprintf(pattern, pid))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

func TestDemoIsScaledAndEndsWithPlimsoll(t *testing.T) {
	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		r := startRun(t, "--demo", "--receive", "--data", t.TempDir(), "--node", "n1")
		var pids []int
		until(t, "the demo's replica is measured and decided on", 2*time.Minute, func() bool {
			o := r.overview(t)
			if len(o.Scaled) != 1 || o.Scaled[0].Ready < 1 || o.Scaled[0].Last == nil || len(o.Scaled[0].Metrics) != 1 || o.Scaled[0].Metrics[0].Load == nil ||
				len(o.Scaled[0].Members) < 1 || o.Scaled[0].Members[0].CPU == nil || o.Scaled[0].Members[0].Memory == nil {
				return false
			}
			for _, c := range o.Containers {
				if c.Namespace == "demo" && c.CPU != nil && c.CPURequest != nil && *c.CPURequest > 0 {
					return true
				}
			}
			return false
		})
		if how == syscall.SIGTERM {
			checkManual(t, r)
		}
		pids = childrenOf(t, r.cmd.Process.Pid)
		if len(pids) == 0 {
			t.Fatal("the demo runs no process")
		}
		if how == syscall.SIGTERM {
			r.terminate(t)
		} else if err := r.cmd.Process.Signal(how); err != nil {
			t.Fatal(err)
		}
		until(t, fmt.Sprintf("all that it started has ended after %v", how), 2*time.Minute, func() bool {
			for _, pid := range pids {
				if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(raw), ") Z ") {
					return false
				}
			}
			return len(cgroupsOf(t, r.cmd.Process.Pid)) == 0
		})
	}
}

// clusterAlone are the metrics that only a server in a cluster has.
var clusterAlone = regexp.MustCompile(`^plimsoll_(metricsapi_|kubelet_|metrics_|certificates_|autoscaler_untold_|autoscaler_call_wait)`)

// checkManual says which of its own metrics the manual names and the process does not have.
func checkManual(t *testing.T, r *running) {
	t.Helper()
	_, metrics := r.get(t, "/metrics")
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`plimsoll_[a-z_]+`).FindAllString(string(manual), -1)
	if len(named) < 10 {
		t.Errorf("the manual names only %d own metrics", len(named))
	}
	for _, name := range named {
		if strings.HasPrefix(name, "plimsoll_queue_") || strings.HasPrefix(name, "plimsoll_collector_live_") {
			continue // only a process that sends what it reads has those
		}
		if clusterAlone.MatchString(name) {
			continue
		}
		if !strings.Contains(metrics, "# TYPE "+name+" ") && name != "plimsoll_http_requests_refused_total" { // a counter that has refused nothing yet
			t.Errorf("the manual names %q, which /metrics does not have", name)
		}
	}
}

func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	var out []int
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for f := range strings.FieldsSeq(string(raw)) {
			var child int
			if _, err := fmt.Sscan(f, &child); err != nil {
				t.Fatal(err)
			}
			out = append(out, child)
		}
	}
	return out
}

func TestReloadKeepsOldPoliciesOnABadFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policies.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy := func(max string) string {
		return `apiVersion: plimsoll.dev/v1alpha1
kind: ProcessService
metadata: {name: sleeper, namespace: test}
spec:
  command: [sleep, "600"]
  resources: {requests: {cpu: 100m}}
---
apiVersion: plimsoll.dev/v1alpha1
kind: ScalePolicy
metadata: {name: sleeper, namespace: test}
spec:
  scaleTargetRef: {kind: ProcessService, name: sleeper}
  minReplicas: 1
  maxReplicas: ` + max + `
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
`
	}
	write(policy("3"))
	r := startRun(t, "--policies", file, "--data", t.TempDir())
	scaled := func() api.Scaled {
		o := r.overview(t)
		if len(o.Scaled) != 1 {
			return api.Scaled{}
		}
		return o.Scaled[0]
	}
	most := func(n int32) bool { most := scaled().Max; return most != nil && *most == n }
	until(t, "the policy is in force", 2*time.Minute, func() bool { return most(3) && scaled().Ready == 1 })
	hup := func() {
		t.Helper()
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	write(policy("many"))
	hup()
	until(t, "the page tells of the bad line", 2*time.Minute, func() bool {
		for _, c := range r.overview(t).Conditions {
			if c.Type == "PoliciesLoaded" && strings.Contains(c.Message, file+":14:") {
				return most(3)
			}
		}
		return false
	})
	write(policy("5"))
	hup()
	until(t, "the new policy is in force", 2*time.Minute, func() bool { return most(5) && len(r.overview(t).Conditions) == 0 })
	r.terminate(t)
}

// What others send is taken only where that was asked for, and of the machine itself nothing is believed even there: nobody on it steers what
// is scaled by samples of its own.
func TestOthersMaySayNothingOfThisMachine(t *testing.T) {
	for _, receive := range []bool{false, true} {
		args := []string{"--data", t.TempDir(), "--node", "n1"}
		if receive {
			args = append(args, "--receive")
		}
		r := startRun(t, args...)
		for _, path := range []string{"/metrics", "/plimsoll/v1/overview", "/", "/readyz"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, r.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(resp.Header.Get("Allow"), "GET") {
				t.Errorf("PUT %s: got %s, allowed %q", path, resp.Status, resp.Header.Get("Allow"))
			}
		}
		for _, node := range []string{"n1", "n2"} {
			status, want := http.StatusForbidden, `node "n1" is read by this process itself`
			switch {
			case !receive:
				status, want = http.StatusNotFound, "--receive"
			case node == "n2":
				status, want = http.StatusNoContent, ""
			}
			at := time.Now().Add(4 * time.Second) // ahead of what there is
			body, err := remotewrite.Encode(&metric.Batch{Node: node, Groups: []metric.Group{{
				Entity: &metric.Entity{Level: metric.Container, Node: node, Namespace: "demo", Pod: "web-1", Container: "web"},
				Points: []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: 1e6}}}}}, identity.Wire)
			if err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/api/v1/write", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			remotewrite.SetLiveHeader(req.Header, true)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != status || !strings.Contains(string(text), want) {
				t.Errorf("receive %v, node %q: got %s %s, want %d %q", receive, node, resp.Status, text, status, want)
			}
		}
		r.terminate(t)
	}
}
