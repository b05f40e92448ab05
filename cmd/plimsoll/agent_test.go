package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

func TestAgentUsage(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		got := call(t, nil, "", args...)
		if got.code != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%q: got exit %d, %q; want 2 and %q", args, got.code, got.err, want)
		}
	}
	f("say where to send", "collector")
	f(`--server "ftp://x"`, "collector", "--server", "ftp://x")
	f("only https may leave this machine", "collector", "--server", "http://plimsoll.example:8082")
	f("--server-token-file, not in the address", "collector", "--server", "https://ann:secret@plimsoll.example")
	f("give one", "collector", "--history", "http://127.0.0.1:9/w", "--influx-url", "http://127.0.0.1:8086")
	f(`--queue-max-bytes "1Mi"`, "collector", "--server", "http://127.0.0.1:1", "--queue-max-bytes", "1Mi")
	f("say which node of the cluster", "collector", "--server", "http://127.0.0.1:1", "--kubernetes")
	f("give a kubeconfig in --kubeconfig", "collector", "--server", "http://127.0.0.1:1", "--kubernetes", "--node", "n1", "--queue", t.TempDir(), "--listen", "127.0.0.1:0")
	if got := call(t, map[string]string{"NODE_NAME": "n1"}, "", "collector", "--server", "http://127.0.0.1:1", "--kubernetes", "--queue", t.TempDir(), "--listen", "127.0.0.1:0"); !strings.Contains(got.err, "give a kubeconfig") {
		t.Errorf("the node's name in NODE_NAME: got %q", got.err)
	}
	f("/nowhere", "collector", "--server", "http://127.0.0.1:1", "--kubeconfig", "/nowhere", "--node", "n1", "--queue", t.TempDir(), "--listen", "127.0.0.1:0")
	f("need --influx-url", "run", "--influx-org", "ops")
	f("give one", "run", "--influx-url", "http://127.0.0.1:8086", "--remote-url", "http://127.0.0.1:9090/api/v1/write")
	f("need --remote-url", "server", "--remote-token-file", "x")
	f("heapsterr", "run", "--influx-url", "http://127.0.0.1:8086", "--influx-schema", "heapsterr")
	f("say what to do: setup", "influx")
	f("--influx-url", "influx", "setup")
}

// A collector and a server as two processes: the machine shows as a node, its history arrives through the queue, and
// when it falls silent the server says since when.
func TestCollectorAndServer(t *testing.T) {
	server := startRole(t, "server", "--data", t.TempDir(), "--interval", "2s")
	healthy := func(want int, says string) {
		t.Helper()
		if status, body := server.get(t, "/healthz?verbose"); status != want || !strings.Contains(body, says) {
			t.Errorf("the server's /healthz: got %d %s, want %d and %q", status, body, want, says)
		}
		if status, body := server.get(t, "/readyz?verbose"); status != 200 {
			t.Errorf("the server takes samples, and is not ready: %s", body)
		}
	}
	healthy(503, "[-]samples failed: no machine has sent a sample yet")
	queue := t.TempDir()
	agent := startRole(t, "collector", "--server", server.url, "--node", "edge-1", "--queue", queue, "--interval", "2s", "--queue-sync", "0")
	until(t, "the server shows the machine", 2*time.Minute, func() bool {
		o := server.overview(t)
		return len(o.Nodes) == 1 && o.Nodes[0].Name == "edge-1" && o.Nodes[0].CPU != nil && o.Nodes[0].Cores != nil
	})
	until(t, "its history arrives", 2*time.Minute, func() bool {
		_, body := server.get(t, "/api/v1/query?query=node_memory_usage_bytes")
		return strings.Contains(body, `"node":"edge-1"`)
	})
	healthy(200, "[+]samples ok")
	if status, body := agent.get(t, "/readyz?verbose"); status != 200 || !strings.Contains(body, "[+]queue ok") {
		t.Errorf("the collector's health: %d %s", status, body)
	}
	if got := call(t, map[string]string{"PLIMSOLL_SERVER": server.url}, "", "top", "nodes"); !strings.Contains(got.out, "edge-1") {
		t.Errorf("top nodes: %s %s", got.out, got.err)
	}
	agent.terminate(t)
	until(t, "the server says that the machine is silent", 2*time.Minute, func() bool {
		o := server.overview(t)
		return len(o.Nodes) == 1 && o.Nodes[0].CPU == nil && o.Nodes[0].Gap != nil && !o.Nodes[0].Gap.Since.IsZero()
	})
	if got := call(t, map[string]string{"PLIMSOLL_SERVER": server.url}, "", "top", "nodes"); !strings.Contains(got.out, "stale since 20") || !strings.Contains(got.out, "no sample for") {
		t.Errorf("top nodes does not say since when and why: %s %s", got.out, got.err)
	}
	until(t, "the server says that nothing is heard", time.Minute, func() bool {
		status, body := server.get(t, "/healthz")
		return status == 503 && strings.Contains(body, "nothing has been heard of any machine since 20")
	})
	// A long expression by POST is refused: see routes.
	resp, err := http.Post(server.url+"/api/v1/query", "application/x-www-form-urlencoded", strings.NewReader("query="+strings.Repeat("-", 900_000)+"1"))
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("an expression of 900 kB: got %s", resp.Status)
	}
	server.terminate(t)
}

// What the queue has taken while the server was away, and before kill -9, arrives when both are back.
func TestCollectorOutlivesTheServer(t *testing.T) {
	data, queue := t.TempDir(), t.TempDir()
	server := startRole(t, "server", "--data", data, "--interval", "2s")
	addr := strings.TrimPrefix(server.url, "http://")
	agent := startRole(t, "collector", "--server", server.url, "--node", "edge-1", "--queue", queue, "--interval", "1s")
	count := func() string {
		_, body := server.get(t, "/api/v1/query?query=count_over_time(node_memory_usage_bytes[10m])")
		return body
	}
	until(t, "history arrives", 2*time.Minute, func() bool { return strings.Contains(count(), `"node":"edge-1"`) })
	server.terminate(t)
	ticks := func() int {
		_, body := agent.get(t, "/metrics")
		_, after, _ := strings.Cut(body, `plimsoll_collector_tick_duration_seconds_count{lane="full"} `)
		line, _, _ := strings.Cut(after, "\n")
		n, err := strconv.Atoi(line)
		if err != nil {
			t.Fatalf("no count of ticks: %v", err)
		}
		return n
	}
	down, first := time.Now(), ticks()
	segments := func() (n int64) {
		found, err := filepath.Glob(filepath.Join(queue, "queue", "remote", "*.seg"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if st, err := os.Stat(f); err == nil {
				n += st.Size()
			}
		}
		return n
	}
	before := segments()
	taken := 0
	until(t, "the queue grows while the server is away", 2*time.Minute, func() bool {
		taken = ticks() - first
		return taken >= 8 && segments() > before
	})
	if err := agent.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-agent.done
	killed := time.Now()
	server = startRole(t, "server", "--data", data, "--interval", "2s", "--listen", addr)
	startRole(t, "collector", "--server", server.url, "--node", "edge-1", "--queue", queue, "--interval", "1s")
	// Two may be missing at either end, where seconds are cut and the last of them was not synced yet.
	until(t, "what was queued during the outage is in the history", 2*time.Minute, func() bool {
		_, body := server.get(t, "/plimsoll/v1/series?metric=node_memory_usage_bytes&func=count&window=1s&step=1&start="+down.Add(time.Second).UTC().Format(time.RFC3339)+"&end="+killed.UTC().Format(time.RFC3339))
		var got struct {
			Series []struct{ Points [][2]float64 }
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		sum := 0.0
		for _, s := range got.Series {
			for _, p := range s.Points {
				sum += p[1]
			}
		}
		return int(sum) >= taken-4
	})
}

func TestLiveLaneDropsWhatIsOld(t *testing.T) {
	hold := make(chan bool)
	taken := make(chan bool, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		taken <- true
		<-hold
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	agent := startRole(t, "collector", "--server", server.URL, "--history", "none", "--node", "edge-1", "--queue", t.TempDir(), "--fast-interval", "200ms")
	<-taken // the first is under way; those that come meanwhile replace one another
	until(t, "batches were replaced by newer ones", 2*time.Minute, func() bool {
		_, body := agent.get(t, "/metrics")
		return strings.Contains(body, `plimsoll_collector_live_dropped_total{reason="replaced"`)
	})
	close(hold)
	agent.terminate(t)
}

// With its history elsewhere a machine is whole on the server all the same: capacity and disks come by the live lane, and the server keeps none of it.
func TestServerSeesAllOfAMachineWhoseHistoryIsElsewhere(t *testing.T) {
	server := startRole(t, "server", "--data", t.TempDir(), "--interval", "2s")
	startRole(t, "collector", "--server", server.url, "--history", "none", "--node", "edge-1", "--queue", t.TempDir(), "--interval", "2s")
	until(t, "capacity, disk and CPU are there", 2*time.Minute, func() bool {
		o := server.overview(t)
		return len(o.Nodes) == 1 && o.Nodes[0].Cores != nil && o.Nodes[0].DiskSize != nil && o.Nodes[0].CPU != nil
	})
	if _, body := server.get(t, "/api/v1/query?query=machine_load1"); strings.Contains(body, "edge-1") {
		t.Errorf("the server keeps history that goes elsewhere: %s", body)
	}
}

// What a collector that was cut off for days has queued is kept, though others have sent samples of now meanwhile.
func TestServerTakesABacklogOfDays(t *testing.T) {
	server := startRole(t, "server", "--data", t.TempDir())
	now := time.Now()
	send := func(node string, at time.Time) {
		t.Helper()
		e := &metric.Entity{Level: metric.Node, Node: node}
		body, err := remotewrite.Encode(&metric.Batch{Node: node, Time: at, Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1}}}}}, identity.Wire)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+"/api/v1/write", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		remotewrite.SetHeader(req.Header, remotewrite.V2)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%s: %s", resp.Status, text)
		}
	}
	send("here", now)
	const hours = 6 * 24
	for h := hours; h > 0; h-- {
		send("away", now.Add(-time.Duration(h)*time.Hour))
	}
	_, body := server.get(t, "/api/v1/query?query="+url.QueryEscape(`count_over_time(node_memory_working_set_bytes{node="away"}[7d])`))
	if !strings.Contains(body, fmt.Sprintf(`"%d"`, hours)) {
		t.Errorf("want %d samples: %s", hours, body)
	}
}
