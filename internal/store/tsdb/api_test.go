package tsdb

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
	render "plimsoll.dev/plimsoll/internal/store/promql"
)

// apiBase is when the API tests' data begins.
func apiBase() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// apiStore has ten minutes of two containers and a node, one container gone in the middle, and a strange label.
func apiStore(t *testing.T) *DB {
	db := mustOpen(t, Options{Now: func() time.Time { return apiBase().Add(10 * time.Minute) },
		ExternalLabels: []metric.Label{{Name: "cluster", Value: "test"}, {Name: "node", Value: "never seen: every entity has one"}}})
	web := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: "web-1", Container: "web", ID: "/docker/1", Image: "web:1"}
	db1 := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", Pod: "db \"ü\" <&>", Container: "db", ID: "/docker/2"}
	node := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}
	for s := 0; s <= 600; s += 10 {
		at := apiBase().Add(time.Duration(s) * time.Second)
		p := func(id metric.ID, sub string, v float64) metric.Point {
			return metric.Point{ID: id, Sub: sub, T: at.UnixMilli(), V: v}
		}
		b := &metric.Batch{Node: "n1", Time: at, Groups: []metric.Group{
			{Entity: web, Points: []metric.Point{p(metric.CPUUsage, "", float64(s)*0.25), p(metric.MemoryWorkingSet, "", 1e8+float64(s)), p(metric.NetworkReceive, "eth0", float64(s)*1e3)}},
			{Entity: node, Points: []metric.Point{p(metric.CPUUsage, "", float64(s)*0.5), p(metric.LoadAverage1m, "", 0.1+float64(s)/1e9)}},
		}}
		if s <= 300 {
			b.Groups = append(b.Groups, metric.Group{Entity: db1, Points: []metric.Point{p(metric.CPUUsage, "", float64(s)*0.125), p(metric.MemoryWorkingSet, "", 2e8), p(metric.MemoryPageFaults, "", float64(s))}})
		} else if s == 310 {
			b.Gaps = []metric.Gap{{Entity: db1, Reason: "gone"}}
		}
		must(t, db.Append(context.Background(), b))
	}
	return db
}

// apiRequests are asked of the API, and answered in testdata/api.txt. Times are seconds after the base, as {N}. Those
// that begin with "!" are not asked of a real Prometheus: it answers them otherwise.
func apiRequests() []string {
	return []string{
		"query?query=container_memory_working_set_bytes&time={305}",
		"query?query=container_memory_working_set_bytes&time={315}",
		"query?query=container_memory_working_set_bytes&time={605.5}&limit=5",
		"query?query=sum by (namespace) (rate(container_cpu_usage_seconds_total[1m]))&time={205}",
		"query?query=container_cpu_usage_seconds_total[24s]&time={305}",
		"query?query=time()&time=2026-01-01T00:00:10.5Z",
		`query?query="a string <&> ü"&time={0}`,
		"query?query=vector(1)/0&time={0}",
		"query?query=vector(-1e300)*1e300&time={0}",
		"query?query=vector(0)/0&time={0}",
		"query?query=vector(1e-7)&time={0.001}",
		"query?query=vector(123456789012345678901234)&time={0}",
		"query?query=node_load1{cluster=\"test\"} or machine_load1&time={100}",
		"query?query=absent(nothing{a=\"b\"})&time={100}",
		"query_range?query=container_memory_working_set_bytes&start={285}&end={345}&step=15",
		"query_range?query=rate(node_cpu_usage_seconds_total[2m])&start={300}&end={360}&step=30s",
		"query_range?query=count(container_memory_working_set_bytes)&start={0}&end={600}&step=5m",
		"query_range?query=scalar(vector(2))&start={0}&end={20}&step=10",
		"labels",
		"labels?match[]=machine_load1",
		"labels?match[]=machine_load1&match[]=container_memory_failures_total",
		"label/pod/values",
		"label/__name__/values?match[]={namespace=\"shop\"}",
		"label/nothing/values",
		"series?match[]=container_memory_working_set_bytes",
		"series?match[]={namespace=\"shop\",pod=\"web-1\"}&match[]=machine_load1",
		"series?match[]=nothing",
		"!query?query=container_memory_working_set_bytes&time={205}&limit=1",
		"!labels?limit=2",
		"!label/container/values?limit=1",
		"!series?match[]={node=\"n1\"}&limit=1",
		"!labels?start={-7200}&end={-3600}",
		"!format_query?query=sum by(namespace)(rate(container_cpu_usage_seconds_total[5m]))/sum(rate(node_cpu_usage_seconds_total[5m])) > 0.123456789",
		"!metadata?metric=container_memory_failures_total",
		"!metadata?limit=1",
		"!metadata?metric=container_memory_failures_total&limit_per_metric=1",
		"!metadata?metric=nothing",
		"query?query=",
		"query?query=sum(",
		"query?query=1&time=yesterday",
		"query?query=1&timeout=soon",
		"query?query=1&timeout=0.000000001",
		"query_range?query=1&start={0}&end={-10}&step=1",
		"query_range?query=1&start={0}&end={10}&step=0",
		"query_range?query=1&start={0}&end={10}&step=1 week",
		"query_range?query=1&start={0}&end={100000}&step=1",
		"query_range?query=1&end={10}&step=1",
		"!query_range?query=rate(a[1m])&start={0}&end={10}&step=0.0001",
		"query_range?query=\"text\"&start={0}&end={10}&step=1",
		"query?query=container_memory_working_set_bytes %2B on(node) container_memory_working_set_bytes&time={205}",
		"series",
		"series?match[]={}",
		"series?match[]={pod=~\".*\"}",
		"labels?match[]={",
		"labels?start=never",
		"!query?query=1&limit=-1",
		"!query?query=1&limit=many",
		"!metadata?limit=x",
		"!nothing",
	}
}

// expand fills times in and encodes the query part.
func expand(request string) string {
	request = regexp.MustCompile(`\{(-?[0-9.]+)\}`).ReplaceAllStringFunc(request, func(s string) string {
		var f float64
		_, _ = fmt.Sscanf(s, "{%g}", &f)
		return fmt.Sprintf("%.3f", float64(apiBase().UnixMilli())/1000+f)
	})
	path, query, _ := strings.Cut(strings.TrimPrefix(request, "!"), "?")
	v := url.Values{}
	for _, p := range strings.Split(query, "&") {
		if strings.Count(p, "=") == 0 {
			if p != "" {
				last := v["query"]
				last[len(last)-1] += "&" + p
			}
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		v.Add(name, strings.ReplaceAll(value, "%2B", "+"))
	}
	return "/api/v1/" + path + "?" + v.Encode()
}

// TestAPI compares every answer with the golden file, over GET, and over POST where that is allowed.
func TestAPI(t *testing.T) {
	db := apiStore(t)
	var out strings.Builder
	for _, request := range apiRequests() {
		target := expand(request)
		w := httptest.NewRecorder()
		whole(db).ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, w.Body.Bytes(), "", " "); err != nil {
			t.Errorf("%s: not JSON: %v: %s", request, err, w.Body)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: content type %q", request, got)
		}
		fmt.Fprintf(&out, "# %s\n%d\n%s\n\n", strings.TrimPrefix(request, "!"), w.Code, pretty.String())

		path, query, _ := strings.Cut(target, "?")
		if strings.Contains(path, "label/") || strings.Contains(path, "metadata") || strings.Contains(path, "nothing") {
			continue
		}
		r := httptest.NewRequest("POST", path, strings.NewReader(query))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		p := httptest.NewRecorder()
		whole(db).ServeHTTP(p, r)
		if p.Code != w.Code || p.Body.String() != w.Body.String() {
			t.Errorf("%s: POST says %d %s, GET %d %s", request, p.Code, p.Body, w.Code, w.Body)
		}
	}
	golden(t, "api.txt", out.String())
}

// TestAPIEdges asks what is not in the golden file.
func TestAPIEdges(t *testing.T) {
	db := mustOpen(t, Options{maxSamples: 10})
	f := func(r *http.Request, code int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		whole(db).ServeHTTP(w, r)
		if w.Code != code || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: got %d %s, want %d %s", r.Method, r.URL.Path, w.Code, w.Body, code, want)
		}
	}
	get := func(s string) *http.Request { return httptest.NewRequest("GET", expand(s), nil) }
	f(get("status/buildinfo"), 200, `"version":"3.`)
	f(get("query?query=1"), 200, `"scalar"`) // now
	f(get("query_range?query=vector(1)&start=0&end=1000&step=1"), 422, `"errorType":"execution","error":"query processing would load too many samples`)
	f(httptest.NewRequest("POST", "/api/v1/metadata", nil), 405, `it takes GET"`)
	f(httptest.NewRequest("DELETE", "/api/v1/series", nil), 405, "it takes GET, POST")
	f(httptest.NewRequest("DELETE", "/api/v1/query?query=up", nil), 405, "bad_data")
	f(httptest.NewRequest("DELETE", "/api/v1/nothing", nil), 404, "not_found")
	f(get("nothing"), 404, "not_found")
	f(httptest.NewRequest("GET", "/api/v1/label/%ff/values", nil), 400, "invalid label name")
	big := httptest.NewRequest("POST", "/api/v1/query", io.LimitReader(zeros{}, 2<<20))
	big.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	f(big, 400, "bad_data")
	f(httptest.NewRequest("GET", "/api/v1/query?query=%zz", nil), 400, "bad_data")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f(get("query?query=vector(1)").WithContext(ctx), 499, "canceled")
	f(get("series?match[]=a").WithContext(ctx), 499, "canceled")
	must(t, db.Close())
	f(get("query?query=vector(1)"), 503, "unavailable")
	f(get("labels"), 503, "unavailable")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// TestAPILikePrometheus asks the same of a real Prometheus over the same data.
func TestAPILikePrometheus(t *testing.T) {
	exe, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("needs prometheus: install Debian's package of that name")
	}
	db := apiStore(t)
	addr := startPrometheus(t, exe, db)
	for _, request := range apiRequests() {
		if strings.HasPrefix(request, "!") {
			continue
		}
		target := expand(request)
		res, err := http.Get("http://" + addr + target)
		must(t, err)
		theirs, err := io.ReadAll(res.Body)
		must(t, err)
		_ = res.Body.Close()
		w := httptest.NewRecorder()
		whole(db).ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		var a, b map[string]any
		must(t, json.Unmarshal(theirs, &a))
		must(t, json.Unmarshal(w.Body.Bytes(), &b))
		if res.StatusCode != w.Code {
			t.Errorf("%s: got status %d, Prometheus %d %s", request, w.Code, res.StatusCode, theirs)
		}
		delete(a, "error") // the words differ between versions
		delete(b, "error")
		sortResult(a)
		sortResult(b)
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("%s: Prometheus -, ours +:\n%s", request, d)
		}
	}
}

// sortResult puts an answer's series in an order: that of an instant vector means nothing.
func sortResult(answer map[string]any) {
	data, _ := answer["data"].(map[string]any)
	if list, ok := data["result"].([]any); ok && data["resultType"] == "vector" {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
}

// startPrometheus runs Prometheus on a snapshot of the store and returns its address. Somebody else may take the port between
// the look for one and the start; then it is tried again.
func startPrometheus(t *testing.T, exe string, db *DB) string {
	t.Helper()
	dir := t.TempDir()
	must(t, db.gen.tsdb.Snapshot(filepath.Join(dir, "data"), true))
	config := filepath.Join(dir, "config.yml")
	must(t, os.WriteFile(config, nil, 0o600))
	for range 5 {
		if addr := tryPrometheus(t, exe, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
			"--query.lookback-delta=30s", "--storage.tsdb.retention.time=10y"); addr != "" {
			return addr
		}
	}
	t.Fatal("Prometheus does not start")
	return ""
}

// tryPrometheus returns the address, or nothing if Prometheus ended.
func tryPrometheus(t *testing.T, exe string, args ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	var log bytes.Buffer
	cmd := exec.Command(exe, append(args, "--web.listen-address="+addr)...)
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(log.String())
		}
	})
	up := false
	until(t, "Prometheus is ready", func() bool {
		select {
		case <-ended:
			t.Logf("Prometheus ended: %s", log.String())
			return true
		default:
		}
		res, err := http.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		up = res.StatusCode == 200
		return up
	})
	if !up {
		return ""
	}
	return addr
}

// FuzzParams reads any time and duration.
func FuzzParams(f *testing.F) {
	for _, s := range []string{"1.5", "1h30m", "2026-01-01T00:00:00Z", "NaN", "1e300", "5m5m", "9223372036854775807y", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = parseTime(s)
		d, err := parseDuration(s)
		if err == nil && d > 0 && d%time.Millisecond == 0 {
			if again, err := parseDuration(render.Duration(d)); err != nil || again != d {
				t.Errorf("%q is %v, written %q, read %v, %v", s, d, render.Duration(d), again, err)
			}
		}
	})
}

// FuzzAPI asks anything.
func FuzzAPI(f *testing.F) {
	f.Add("query", "sum(a)", "1", "10", "1", `{a="b"}`)
	f.Add("query_range", "a[1m]", "1", "10", "1s", `{a="b"}`)
	f.Add("labels", "", "x", "y", "", "{")
	db, err := Open(Options{Dir: f.TempDir(), maxSamples: 1000, queryTimeout: time.Second})
	if err != nil {
		f.Fatal(err)
	}
	api := whole(db)
	f.Fuzz(func(t *testing.T, path, query, start, end, step, match string) {
		v := url.Values{"query": {query}, "start": {start}, "end": {end}, "step": {step}, "match[]": {match}, "time": {start}, "limit": {step}}
		r := httptest.NewRequest("GET", "/api/v1/x?"+v.Encode(), nil)
		r.URL.Path = "/api/v1/" + path
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code == 307 || w.Code == 301 { // a path that the mux cleans
			return
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %q is not JSON", r.URL, w.Code, w.Body)
		}
		if w.Code >= 500 && w.Code != 503 {
			t.Errorf("%s: %d %s", r.URL, w.Code, w.Body)
		}
	})
}
