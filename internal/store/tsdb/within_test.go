package tsdb

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
)

// seenBy is the API as callers of a scope have it.
func seenBy(db *DB, s scope.Scope) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		db.API().ServeHTTP(w, r.WithContext(scope.With(r.Context(), s)))
	})
}

// whole is the API as those have it who see everything.
func whole(db *DB) http.Handler { return seenBy(db, scope.Whole()) }

// No expression reads past what its caller sees, whatever it asks for; a caller without a scope sees nothing.
func TestAPIWithin(t *testing.T) {
	at := apiBase()
	db := mustOpen(t, Options{Now: func() time.Time { return at.Add(time.Minute) }})
	b := &metric.Batch{Node: "node-marked", Time: at}
	for _, ns := range []string{"mine", "marked", "system@node"} {
		b.Groups = append(b.Groups, metric.Group{Entity: &metric.Entity{Level: metric.Container, Node: "n", Namespace: ns, WorkloadKind: "Deployment", Workload: "w-" + ns, Pod: "p-" + ns, Container: "c", ID: "/" + ns},
			Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 424242}}})
	}
	b.Groups = append(b.Groups, metric.Group{Entity: &metric.Entity{Level: metric.Node, Node: "node-marked", ID: "/"}, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 434343}}})
	if err := db.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	const m, node = "container_memory_working_set_bytes", "node_memory_working_set_bytes"
	ask := func(s scope.Scope, path string, params ...string) string {
		v := url.Values{"time": {fmt.Sprint(at.Unix())}, "start": {fmt.Sprint(at.Unix())}, "end": {fmt.Sprint(at.Unix() + 10)}, "step": {"10"}}
		for i := 0; i < len(params); i += 2 {
			v.Add(params[i], params[i+1])
		}
		w := httptest.NewRecorder()
		seenBy(db, s).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/"+path+"?"+v.Encode(), nil))
		return w.Body.String()
	}
	one := scope.Of(false, false, "mine")
	for _, expr := range []string{m, `{__name__=~".+"}`, m + `{namespace="marked"}`, m + `{namespace!="mine"} or ` + m, `count(` + m + `)`, `sum by (namespace) (` + m + `)`, node, `{__name__=~"node.*"}`,
		`max_over_time(` + m + `[1m])`, `max_over_time((sum(` + m + `))[1m:10s])`, m + ` or on() vector(0)`, `absent(` + m + `{namespace="marked"})`, `topk(5, ` + m + `)`,
		`count_values("v", ` + m + `)`, `label_replace(` + m + `, "x", "$1", "pod", "(.*)")`, m + ` @ end()`, m + ` offset -1s`, `quantile(1, ` + m + `)`, `info(` + m + `)`} {
		for _, path := range []string{"query", "query_range"} {
			if got := strings.ReplaceAll(ask(one, path, "query", expr), expr, ""); strings.Contains(got, "p-marked") || strings.Contains(got, "43434") || strings.Contains(got, `namespace":"marked`) && !strings.HasPrefix(expr, "absent") ||
				strings.Contains(got, "@node") || strings.Contains(got, `"2"`) || strings.Contains(got, `"3"`) || strings.Contains(got, "848484") {
				t.Errorf("%s %s: got %s", path, expr, got)
			}
			if got := ask(scope.Scope{}, path, "query", expr); strings.Contains(got, "424242") || strings.Contains(got, "434343") || strings.Contains(got, "p-mine") {
				t.Errorf("%s %s without a scope: got %s", path, expr, got)
			}
		}
	}
	for path, want := range map[string]string{"query?" + m: "p-mine", "labels?": `"pod"`, "label/namespace/values?": `["mine"]`, "label/pod/values?": `["p-mine"]`, "label/node/values?": `["n"]`,
		"series?" + m: "p-mine", `series?{__name__=~".+"}`: "p-mine", `series?{namespace="marked"}`: `"data":[]`} {
		path, expr, _ := strings.Cut(path, "?")
		params := []string{"query", expr}
		if expr != "" {
			params = append(params, "match[]", expr)
		}
		if got := ask(one, path, params...); !strings.Contains(got, want) || strings.Contains(got, "marked") {
			t.Errorf("%s %s: got %s, want %s", path, expr, got, want)
		}
	}
	for s, want := range map[scope.Scope]string{scope.Whole(): "4", one: "1", scope.Of(true, false, "mine"): "3", scope.Of(false, true): "2", scope.Of(true, true): "4"} {
		if got := ask(s, "query", "query", `count({__name__=~".+"})`); !strings.Contains(got, `"`+want+`"]`) {
			t.Errorf("%+v sees %s, want %s", s, got, want)
		}
	}
}
