package wiring

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/view"
)

// Everything that is not the caller's has marked in its names, so much memory, so many cores, and there are so many of it.
const (
	marked                             = "marked"
	markedBytes, markedCores, markedOf = 987e12, 98700.0, 41
)

// oneScope is a fake. It stands for an API server that gives each caller the door of our group, and a scope and no path.
type oneScope struct{ sees scope.Scope }

func (oneScope) Authenticate(context.Context, *http.Request) (serve.Caller, error) {
	return serve.Caller{Name: "ann"}, nil
}

func (oneScope) Authorize(_ context.Context, _ serve.Caller, a serve.Access) error {
	if strings.HasPrefix(a.Path, view.Base) {
		return nil
	}
	return fmt.Errorf("%w: verb %q on %q", serve.ErrDenied, a.Verb, a.Path)
}

func (s oneScope) Scope(context.Context, serve.Caller) (scope.Scope, error) { return s.sees, nil }

// podList is an inventory.
type podList []*cluster.Pod

func (p podList) All() []*cluster.Pod { return p }

func (podList) Pods(cluster.Target) ([]*cluster.Pod, error) { return nil, nil }

// twoTenants wires a server whose picture and store have one pod of namespace "mine" on "shared", and marked ones there, elsewhere and beside pods.
func twoTenants(t *testing.T) *environment {
	t.Helper()
	e := newEnvironment(slog.New(slog.DiscardHandler), "1.0")
	t.Cleanup(func() { _ = e.life.Close() })
	h, err := Embedded{Dir: t.TempDir(), Retention: 24 * time.Hour, MaxBytes: 1 << 30}.open(e)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second)
	entity := func(ns, name, node string) *metric.Entity {
		return &metric.Entity{Level: metric.Container, Node: node, Namespace: ns, WorkloadKind: "Deployment", Workload: name, Pod: name, Container: name, ID: "/kubepods/" + name, Image: name, Runtime: "containerd"}
	}
	all := []*metric.Entity{entity("mine", "web", "shared")}
	for i := range markedOf - 1 {
		all = append(all, entity("ns-marked", "web-marked-"+strconv.Itoa(i), []string{"shared", "node-marked"}[i%2]))
	}
	all = append(all, &metric.Entity{Level: metric.Container, Node: "shared", Namespace: "marked@node", WorkloadKind: "Unit", Workload: "unit-marked", Container: "unit-marked", ID: "/marked.service", Runtime: "systemd"})
	var pods podList
	for _, e := range all[:len(all)-1] {
		pods = append(pods, &cluster.Pod{Namespace: e.Namespace, Name: e.Pod, Node: e.Node, Owner: cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: e.Namespace, Name: e.Workload}, Phase: "Running", Ready: "True",
			Containers: []cluster.Container{{Name: e.Container}}})
	}
	for _, ns := range []string{"mine", "ns-marked"} {
		pods = append(pods, &cluster.Pod{Namespace: ns, Name: "waits-" + ns, Node: "shared", Phase: "Pending", Gap: "back-off of " + ns})
	}
	slices.SortFunc(pods, func(a, b *cluster.Pod) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	e.scaled = append(e.scaled, func(time.Time) (out []cluster.Scaled) {
		for _, e := range all[:2] {
			out = append(out, cluster.Scaled{Target: cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: e.Namespace, Name: e.Workload}, Mode: "Auto", Min: new(int32(1)), Max: new(int32(10)), Replicas: 3})
		}
		return out
	})
	e.conditions = append(e.conditions, func(time.Time) []condition.Condition {
		return []condition.Condition{condition.Ill("CollectorSound/node-marked", "ClockOff", "node-marked is ahead", now)}
	})
	picture, err := newServer(e, h, pods, nil, 10*time.Second, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		at := now.Add(time.Duration(i-4) * time.Second)
		for _, node := range []string{"shared", "node-marked"} {
			b := &metric.Batch{Node: node, Time: at, Groups: []metric.Group{{Entity: &metric.Entity{Level: metric.Node, Node: node, ID: "/"}, Points: []metric.Point{
				{ID: metric.CPUUsage, T: at.UnixMilli(), V: markedCores * float64(i)}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: markedBytes},
				{ID: metric.CPUCapacity, T: at.UnixMilli(), V: markedCores}, {ID: metric.MemoryCapacity, T: at.UnixMilli(), V: markedBytes}}}}}
			for _, e := range all {
				cores, bytes := markedCores, float64(markedBytes)
				if e.Namespace == "mine" {
					cores, bytes = 0.5, 7<<20
				}
				if e.Node == node {
					b.Groups = append(b.Groups, metric.Group{Entity: e, Start: now.Add(-time.Hour), Points: []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: cores * float64(i)}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: bytes}}})
				}
			}
			if err := picture.Apply(b); err != nil {
				t.Fatal(err)
			}
			if err := h.Append(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Append(t.Context(), picture.RollUp(at)); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range all[:2] {
		for _, action := range []string{"Up", "Hold"} {
			if err := h.AppendDecision(t.Context(), cluster.Decision{Time: now, Target: cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: e.Namespace, Name: e.Workload}, Action: action, From: 3, To: 4, Message: "of " + e.Workload}); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.routes = append(e.routes, view.Routes(e.routes)...)
	e.routes = append(e.routes, e.metricsRoute())
	return e
}

// asks are the paths by which each limited route is tried, without what is before the last parts of Plimsoll's own.
func asks() map[string][]string {
	at := fmt.Sprint(time.Now().Unix())
	span := "&start=" + fmt.Sprint(time.Now().Unix()-30) + "&end=" + at
	promql := func(path string) (out []string) {
		for _, expr := range []string{`{__name__=~".+"}`, `sum by (namespace) (container_memory_working_set_bytes)`, `count(container_memory_working_set_bytes)`, `node_memory_working_set_bytes`, `cluster_memory_working_set_bytes`,
			`sum(namespace_memory_working_set_bytes{namespace!="mine"})`, `rate(container_cpu_usage_seconds_total[1m])`} {
			out = append(out, path+"?query="+url.QueryEscape(expr)+"&time="+at+"&step=5"+span)
		}
		return out
	}
	list := []string{"", "?q=web", "?limit=1", "?sort=memory", "?q=" + url.QueryEscape(marked)}
	out := map[string][]string{view.Base + "/namespaces/{namespace}/workloads/{kind}/named": {view.Base + "/namespaces/mine/workloads/Deployment/named"}, "/{$}": {"/"}, "/{file}": {"/index.html", "/favicon.ico", "/nothing"},
		"/api/v1/query": promql("/api/v1/query"), "/api/v1/query_range": promql("/api/v1/query_range"), "/api/v1/format_query": {"/api/v1/format_query?query=a"}, "/api/v1/labels": {"/api/v1/labels"},
		"/api/v1/label/{name}/values": {"/api/v1/label/namespace/values", "/api/v1/label/pod/values", "/api/v1/label/workload/values", "/api/v1/label/container/values", "/api/v1/label/node/values"},
		"/api/v1/series":              {"/api/v1/series?match[]=" + url.QueryEscape(`{__name__=~".+"}`)}, "/api/v1/metadata": {"/api/v1/metadata"}, "/api/v1/status/buildinfo": {"/api/v1/status/buildinfo"},
		"/plimsoll/v1/workloads/{namespace}/{kind}/{name...}": {"/plimsoll/v1/workloads/mine/Deployment/web"},
		"/plimsoll/v1/nodes/{name}":                           {"/plimsoll/v1/nodes/shared", "/plimsoll/v1/nodes/node-marked"},
	}
	for _, name := range []string{"overview", "containers", "stream"} {
		for _, q := range list {
			out["/plimsoll/v1/"+name] = append(out["/plimsoll/v1/"+name], "/plimsoll/v1/"+name+q)
		}
	}
	out["/plimsoll/v1/stream"] = append(out["/plimsoll/v1/stream"], "/plimsoll/v1/stream?workload=mine/Deployment/web")
	for name, qs := range map[string][]string{"workloads": {""}, "nodes": {""}, "missing": {""}, "decisions": {"", "?action=Up", "?limit=1000", "?name=web"},
		"capacity": {"", "?window=1h", "?format=html", "?level=namespace"}, "fit": {"?cpu=1&memory=1Gi", "?memory=1Gi&by=use&format=html"}, "rightsize": {"", "?window=1h", "?format=html"}} {
		for _, q := range qs {
			out["/plimsoll/v1/"+name] = append(out["/plimsoll/v1/"+name], "/plimsoll/v1/"+name+q)
		}
	}
	for _, m := range []string{"container_memory_working_set_bytes", "pod_memory_working_set_bytes", "workload_memory_working_set_bytes", "namespace_memory_working_set_bytes", "node_memory_working_set_bytes", "cluster_memory_working_set_bytes", "container_cpu_usage_seconds_total"} {
		for _, more := range []string{"", "&by=", "&by=&join=count", "&step=5", "&points=100"} {
			out["/plimsoll/v1/series"] = append(out["/plimsoll/v1/series"], "/plimsoll/v1/series?metric="+m+span+more)
		}
	}
	return out
}

// cutter is a recorder that ends its request when the first event of a stream is written.
type cutter struct {
	*httptest.ResponseRecorder
	end context.CancelFunc
}

func (c cutter) FlushError() error {
	c.end()
	return nil
}

func answerTo(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	w := cutter{httptest.NewRecorder(), end}
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "http://localhost"+path, nil))
	return w.Code, w.Body.String()
}

// leaks says what of an answer is somebody else's.
func leaks(body string) (out []string) {
	if i := strings.Index(body, marked); i >= 0 {
		out = append(out, body[max(0, i-80):min(len(body), i+40)])
	}
	var look func(name string, v any)
	number := func(name string, f float64) {
		few := name != "T" && name != "value" && f >= markedOf-1 && f <= markedOf+4
		if f >= markedBytes/10 && f < 1e17 || f >= markedCores*.9 && f <= markedCores*(markedOf+2) || few {
			out = append(out, fmt.Sprintf("%s is %g", name, f))
		}
	}
	look = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				look(k, x)
			}
		case []any:
			for _, x := range v {
				look(name, x)
			}
		case float64:
			number(name, v)
		case string:
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				number(name, f)
			}
		}
	}
	for line := range strings.Lines(body) {
		var doc any
		if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &doc) == nil {
			look("", doc)
		}
	}
	return out
}

// Who sees one namespace reads of the others neither a name nor a number, by no path that there is. A route that is new is tried here, or the
// test fails; one that does not say that it is limited is refused.
func TestNothingOfOthersIsTold(t *testing.T) {
	e, asks := twoTenants(t), asks()
	handler := func(sees scope.Scope) http.Handler {
		who := oneScope{sees}
		h, err := serve.Handler(serve.Options{Listen: "127.0.0.1:0", Authenticator: who, Authorizer: who, Routes: e.routes, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	mine, machines, everything := handler(scope.Of(false, false, "mine")), handler(scope.Of(true, false, "mine")), handler(scope.Whole())
	tried, told := 0, 0
	for _, r := range e.routes {
		if r.Method != "" && r.Method != http.MethodGet {
			continue
		}
		paths, of := asks[r.Pattern], r.Pattern
		if r.Whole != nil && len(paths) == 0 {
			for own := range asks { // the route of ours that it is
				if at, ok := view.Path(strings.ReplaceAll(own, "{$}", ""), ""); ok && strings.TrimSuffix(at, "?watch=true") == r.Pattern {
					of = own
				}
			}
			for _, p := range asks[of] {
				path, query, _ := strings.Cut(p, "?")
				at, ok := view.Path(path, query)
				if !ok {
					t.Fatalf("%s is nowhere at the API server", p)
				}
				paths = append(paths, at)
			}
		}
		if !r.Limited {
			path := strings.NewReplacer("{path...}", "namespaces/ns-marked/metrics", "{$}", "").Replace(r.Pattern)
			if code, body := answerTo(t, mine, path); code != http.StatusForbidden && path != view.Base || strings.Contains(body, "web-"+marked) {
				t.Errorf("%s, which is not limited: got %d %.200s", path, code, body)
			}
			continue
		}
		if len(paths) == 0 {
			t.Errorf("%s is limited, and nothing here asks for it: add paths that would show what is another's", r.Pattern)
		}
		for _, path := range paths {
			tried++
			code, body := answerTo(t, mine, path)
			echo, _ := url.QueryUnescape(path[strings.Index(path+"?", "?"):])
			if !strings.Contains(echo, marked) {
				echo = "\x00"
			}
			if bad := leaks(strings.ReplaceAll(body, strings.TrimPrefix(echo, "?"), "")); len(bad) > 0 || code >= 500 {
				t.Errorf("%s: got %d, tells %q", path, code, bad)
			}
			if _, body := answerTo(t, machines, path); strings.Contains(body, "ns-marked") || strings.Contains(body, "web-marked") {
				t.Errorf("%s tells whoever sees machines: %s", path, body)
			}
			if _, body := answerTo(t, everything, path); len(leaks(body)) > 0 {
				told++
			}
		}
	}
	if tried < 150 || told < tried/2 {
		t.Errorf("of %d paths %d tell of the others whoever sees everything: the test looks at too little", tried, told)
	}
	for _, c := range []struct{ path, want string }{{"/plimsoll/v1/overview", `"title":"mine/web"`}, {"/plimsoll/v1/workloads", `"name":"web"`}, {"/plimsoll/v1/decisions", `"of web"`}, {"/plimsoll/v1/missing", "back-off of mine"},
		{"/plimsoll/v1/capacity?window=1h", `"name":"mine"`}, {"/plimsoll/v1/overview", "PlimsollSound"}, {"/plimsoll/v1/nodes", scope.NodesRight}, {"/plimsoll/v1/fit?cpu=1", scope.NodesRight}, {"/metrics", `verb "get" on "/metrics"`},
		{"/api/v1/query?query=" + url.QueryEscape("count(container_memory_working_set_bytes)"), `"1"]`}, {"/plimsoll/v1/stream", "event: overview"}} {
		if _, body := answerTo(t, mine, c.path); !strings.Contains(strings.ReplaceAll(body, `\"`, `"`), c.want) {
			t.Errorf("%s lacks %s: %.600s", c.path, c.want, body)
		}
	}
	// What is not there and what is another's are told by the same words.
	for _, path := range []string{"/plimsoll/v1/workloads/%s/Deployment/web-marked-0", "/plimsoll/v1/decisions?namespace=%s", "/plimsoll/v1/rightsize?window=1h&namespace=%s&name=web-marked-0", "/plimsoll/v1/stream?workload=%s/Deployment/web-marked-0",
		"/plimsoll/v1/series?metric=container_memory_working_set_bytes&start=1&end=9999999999&namespace=%s", "/plimsoll/v1/containers?q=%s"} {
		code, body := answerTo(t, mine, fmt.Sprintf(path, "ns-marked"))
		code2, body2 := answerTo(t, mine, fmt.Sprintf(path, "ns-nowhere"))
		same := func(s string) string {
			s = strings.ReplaceAll(s, "ns-nowhere", "ns-marked")
			for _, key := range []string{`"time":"`, `"start":"`, `"end":"`} {
				for i := strings.Index(s, key); i >= 0; i = strings.Index(s, key) {
					s = s[:i] + s[i+len(key)+strings.Index(s[i+len(key):], `"`)+1:]
				}
			}
			return s
		}
		if code != code2 || same(body) != same(body2) {
			t.Errorf("%s: of another's %d %s, of what is not there %d %s", path, code, body, code2, body2)
		}
	}
}
