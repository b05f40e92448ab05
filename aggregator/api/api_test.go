package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// served mounts the routes as the server does for those who see everything, with errors as status and text.
func served(a *API) http.Handler { return seenBy(a, scope.Whole()) }

// seenBy mounts them for those who see a scope.
func seenBy(a *API, sees scope.Scope) http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.Routes() {
		mux.HandleFunc(r.Method+" "+r.Pattern, func(w http.ResponseWriter, req *http.Request) {
			err := r.Handle(w, req.WithContext(scope.With(req.Context(), sees)))
			if err == nil {
				return
			}
			status := http.StatusInternalServerError
			var s interface{ HTTPStatus() int }
			if errors.As(err, &s) {
				status = s.HTTPStatus()
			}
			http.Error(w, err.Error(), status)
		})
	}
	return mux
}

func newAPI(t *testing.T, change func(*Options)) *API {
	t.Helper()
	snap := machine()
	o := Options{
		Pictures:   pictures(func(time.Time) *live.Snapshot { return snap }),
		Decisions:  entries(grow(), hold(noon.Add(-time.Second))),
		Scaled:     scaled(webScaled()),
		Conditions: func(time.Time) []condition.Condition { return nil },
		Version:    "1.0.0", Since: noon.Add(-time.Hour),
		Registerer: prometheus.NewPedanticRegistry(),
	}
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
	return rec
}

func golden(t *testing.T, name string, body []byte) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, bytes.TrimSpace(body), "", "  "); err != nil {
		t.Fatalf("%s: %v in %s", name, err, body)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func TestAnswers(t *testing.T) {
	h := served(newAPI(t, func(o *Options) {
		o.Conditions = func(time.Time) []condition.Condition {
			return []condition.Condition{{Type: "HistoryWritable", Status: "False", Reason: "DiskFull", Message: "the disk is full: free some space", Since: noon.Add(-time.Minute)}}
		}
	}))
	for _, c := range []struct{ file, path string }{
		{"overview.json", "/plimsoll/v1/overview?limit=2"},
		{"containers.json", "/plimsoll/v1/containers"},
		{"containers_memory.json", "/plimsoll/v1/containers?q=DOCKER&sort=memory&limit=1"},
		{"workloads.json", "/plimsoll/v1/workloads"},
		{"nodes.json", "/plimsoll/v1/nodes"},
		{"node.json", "/plimsoll/v1/nodes/n1"},
		{"missing.json", "/plimsoll/v1/missing"},
		{"decisions.json", "/plimsoll/v1/decisions?namespace=demo&kind=ProcessService&name=web&action=Up,Down&start=2026-03-01T11:00:00Z&end=2026-03-01T12:00:00Z&limit=5"},
	} {
		rec := get(h, c.path)
		if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %q: %s", c.path, rec.Code, rec.Header().Get("Content-Type"), rec.Body)
			continue
		}
		golden(t, c.file, rec.Body.Bytes())
	}
}

func TestWorkload(t *testing.T) {
	var asked []store.DecisionQuery
	h := served(newAPI(t, func(o *Options) {
		o.Decisions = log(func(q store.DecisionQuery) ([]cluster.Decision, error) {
			asked = append(asked, q)
			q.Start, q.End = noon.Add(-decisionDay), noon // the handler asks as of now
			return choose([]cluster.Decision{grow(), hold(noon.Add(-time.Second)), hold(noon.Add(-time.Minute))}, q), nil
		})
	}))
	rec := get(h, "/plimsoll/v1/workloads/demo/ProcessService/web")
	if rec.Code != 200 {
		t.Fatalf("got %d: %s", rec.Code, rec.Body)
	}
	golden(t, "workload.json", rec.Body.Bytes())
	if len(asked) != 2 || asked[0].Limit != decisionsMax || asked[1].Limit != 1 || asked[0].End.Sub(asked[0].Start) != decisionDay {
		t.Errorf("the log was asked %+v", asked)
	}
	if rec := get(h, "/plimsoll/v1/workloads/demo/ProcessService/web?limit=1"); rec.Code != 200 || asked[2].Limit != 1 || asked[3].Limit != 1 {
		t.Errorf("limit=1: got %d, the log was asked %+v", rec.Code, asked[2:])
	}
}

func TestScaledWithoutContainers(t *testing.T) {
	s := webScaled()
	s.Namespace, s.Name = "batch", "a/b"
	h := served(newAPI(t, func(o *Options) { o.Scaled = scaled(webScaled(), s); o.Decisions = nil }))
	var list WorkloadList
	if err := json.Unmarshal(get(h, "/plimsoll/v1/workloads").Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if got := list.Items[0]; got.Namespace != "batch" || got.Scaled == nil || got.Pods != 0 || got.CPU != nil {
		t.Errorf("got %+v, want the scaled workload without pods first", got)
	}
	for _, path := range []string{"batch/ProcessService/a%2Fb", "batch/ProcessService/a/b"} {
		if rec := get(h, "/plimsoll/v1/workloads/"+path); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"containers"`) == false && rec.Code != 200 {
			t.Errorf("%s: got %d: %s", path, rec.Code, rec.Body)
		}
	}
}

func TestNothingYet(t *testing.T) {
	h := served(newAPI(t, func(o *Options) {
		o.Pictures = pictures(func(time.Time) *live.Snapshot { return nil })
		o.Scaled, o.Decisions, o.Conditions = nil, nil, nil
	}))
	for _, path := range []string{"overview", "containers", "workloads", "nodes", "missing", "decisions"} {
		rec := get(h, "/plimsoll/v1/"+path)
		if rec.Code != 200 {
			t.Errorf("%s: got %d: %s", path, rec.Code, rec.Body)
		}
		if path != "overview" && strings.Contains(rec.Body.String(), "null") {
			t.Errorf("%s: a list is null: %s", path, rec.Body)
		}
	}
	var o Overview
	if err := json.Unmarshal(get(h, "/plimsoll/v1/overview").Body.Bytes(), &o); err != nil {
		t.Fatal(err)
	}
	if o.Node.Gap == nil || o.Node.Gap.Reason != "starting" || o.Containers == nil || o.Nodes == nil || o.Scaled == nil || o.Conditions == nil {
		t.Errorf("got %+v", o)
	}
}

// A page tells what would scale, and why nothing does, by what becomes of a cluster's policies.
func TestAutoscalerMode(t *testing.T) {
	for _, mode := range []string{"", "on", "dry-run", "off"} {
		h := served(newAPI(t, func(o *Options) { o.Autoscaler = mode }))
		var o map[string]any
		if err := json.Unmarshal(get(h, "/plimsoll/v1/overview").Body.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		if got, there := o["autoscaler"]; there != (mode != "") || there && got != mode {
			t.Errorf("mode %q: got %v", mode, got)
		}
	}
}

func TestBadRequests(t *testing.T) {
	h := served(newAPI(t, nil))
	for _, c := range []struct {
		path   string
		status int
		says   string
	}{
		{"overview?limit=0", 400, `limit "0" is not a whole number from 1 to 10000`},
		{"overview?limit=", 400, `limit ""`},
		{"overview?limit=1e3", 400, `limit "1e3"`},
		{"overview?limit=10001", 400, `limit "10001"`},
		{"overview?limt=3", 400, `unknown parameter "limt": allowed are limit, q, sort`},
		{"overview?limit=1&limit=2", 400, `parameter "limit" is given 2 times`},
		{"overview?a=%zz", 400, `cannot read the query "a=%zz"`},
		{"containers?sort=pain", 400, `sort "pain" is not known: allowed are score, cpu,`},
		{"containers?q=" + strings.Repeat("x", 201), 400, "q is 201 bytes long: at most 200"},
		{"nodes?x=1", 400, `unknown parameter "x": this path takes none`},
		{"missing?x=1", 400, `unknown parameter "x"`},
		{"workloads?x=1", 400, `unknown parameter "x"`},
		{"workloads/demo/ProcessService/web?x=1", 400, `unknown parameter "x"`},
		{"workloads/demo/ProcessService/web?limit=201", 400, `limit "201" is not a whole number from 1 to 200`},
		{"workloads/demo/ProcessService/nope", 404, `there is no workload "demo/ProcessService/nope"`},
		{"decisions?action=Sideways", 400, `action "Sideways" is not known: allowed are Up, Down, Hold`},
		{"decisions?action=Up,", 400, `action "" is not known`},
		{"decisions?start=yesterday", 400, `start "yesterday" is not a time as in RFC 3339`},
		{"decisions?start=2026-03-01T12:00:00Z&end=2026-03-01T11:00:00Z", 400, `end "2026-03-01T11:00:00Z" is before start`},
		{"decisions?limit=1001", 400, `limit "1001"`},
		{"stream?view=pods", 400, `view "pods" is not known: allowed are overview, workload`},
		{"stream?view=workload", 400, `workload "" is not of the form namespace/kind/name`},
		{"stream?workload=demo/web", 400, `workload "demo/web" is not of the form`},
		{"stream?view=overview&workload=demo/ProcessService/web", 400, `does not go with view "overview"`},
		{"stream?workload=demo/ProcessService/nope", 404, `there is no workload "demo/ProcessService/nope"`},
	} {
		rec := get(h, "/plimsoll/v1/"+c.path)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.says) {
			t.Errorf("%s:\n got %d %s\nwant %d %s", c.path, rec.Code, rec.Body, c.status, c.says)
		}
	}
}

func TestLogErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{store.ErrBadQuery, 400}, {store.ErrTooLarge, 422}, {store.ErrClosed, 503},
		{fmt.Errorf("disk: %w", os.ErrPermission), 500}, {os.ErrDeadlineExceeded, 500},
	} {
		h := served(newAPI(t, func(o *Options) {
			o.Decisions = log(func(store.DecisionQuery) ([]cluster.Decision, error) { return nil, c.err })
		}))
		for _, path := range []string{"decisions", "workloads/demo/ProcessService/web", "stream?workload=demo/ProcessService/web"} {
			rec := get(h, "/plimsoll/v1/"+path)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), "cannot read the decision log") {
				t.Errorf("%s with %v: got %d %s, want %d", path, c.err, rec.Code, rec.Body, c.status)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	ok := Options{Pictures: pictures(func(time.Time) *live.Snapshot { return nil })}
	for _, c := range []struct {
		change func(*Options)
		says   string
	}{
		{func(o *Options) { o.Pictures = nil }, "without a live picture"},
		{func(o *Options) { o.Interval = -time.Second }, `interval of "-1s"`},
		{func(o *Options) { o.MaxStreams = -1 }, `"-1" streams`},
	} {
		o := ok
		c.change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want %s", err, c.says)
		}
	}
	r := prometheus.NewRegistry()
	ok.Registerer = r
	if _, err := New(ok); err != nil {
		t.Fatal(err)
	}
	if _, err := New(ok); err == nil {
		t.Error("the same registry twice: got no error")
	}
}

// A cgroup without CPU accounting has memory and no CPU for as long as it lives: the row and the list of gaps say why.
func TestUnaccounted(t *testing.T) {
	whole := container("docker", "", "a", "a", "docker", "/docker/a", val{metric.CPUUsage, "", 1, .1}, val{metric.MemoryWorkingSet, "", 1 << 20, 0})
	part := container("cgroup", "", "b", "b", "cgroup", "/b", val{metric.MemoryWorkingSet, "", 1 << 20, 0})
	young := container("cgroup", "", "c", "c", "cgroup", "/c", val{metric.MemoryWorkingSet, "", 1 << 20, 0})
	young.First = noon.Add(-5 * time.Second)
	s := snapshotOf(nil, []*live.Item{whole, part, young})
	var got []string
	for _, m := range missing(s) {
		got = append(got, m.Level+" "+m.ID+" "+m.Reason)
	}
	if d := cmp.Diff([]string{"container /b unaccounted"}, got); d != "" {
		t.Errorf("missing (-want +got):\n%s", d)
	}
	why := map[string]string{}
	for _, c := range newPicture(s, newKills()).containers {
		why[c.Name] = c.Why
	}
	if d := cmp.Diff(map[string]string{"a": "", "b": "its CPU is not accounted for", "c": ""}, why); d != "" {
		t.Errorf("why (-want +got):\n%s", d)
	}
}
