package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/aggregator/capacity"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
)

// hostile is a name that clears the screen, writes the clipboard, makes a row of its own and turns the writing around.
const hostile = "=evil\x1b[2J\x1b]52;c;aGk=\a\u009b31m\u202e\nroot  0m  ok\tx"

// hostileServer answers each path with a row of that name.
func hostileServer(t *testing.T) string {
	t.Helper()
	half := 0.5
	gap := &cluster.Gap{Since: time.Unix(1, 0), Reason: hostile, Detail: hostile}
	answers := map[string]any{
		"/plimsoll/v1/nodes":      api.NodeList{Items: []api.Node{{Name: hostile, CPU: &half, Gap: gap}}},
		"/plimsoll/v1/containers": api.ContainerList{Items: []api.Container{{Namespace: hostile, Pod: hostile, Name: hostile, Node: hostile, ID: hostile, Runtime: hostile, Why: hostile}}},
		"/plimsoll/v1/workloads":  api.WorkloadList{Items: []api.Workload{{Namespace: hostile, Kind: hostile, Name: hostile, Scaled: &api.Scaled{Scaled: cluster.Scaled{Metrics: []cluster.Load{{Name: hostile}}}}}}},
		"/plimsoll/v1/decisions":  api.DecisionList{Items: []cluster.Decision{{Target: cluster.Target{Namespace: hostile, Name: hostile}, Action: "Up", From: 1, To: 2, Reason: hostile, Message: hostile}}},
		"/plimsoll/v1/overview":   api.Overview{Conditions: []condition.Condition{condition.Ill(hostile, hostile, hostile, time.Now())}},
		"/plimsoll/v1/missing":    api.Missing{Items: []api.MissingItem{{Level: hostile, Title: hostile, Node: hostile, Gap: *gap}}},
		"/plimsoll/v1/series":     api.SeriesList{Series: []api.Series{{Labels: map[string]string{"node": hostile, "namespace": hostile, "pod": hostile, "container": hostile, "workload": hostile, "workload_kind": hostile}, Points: [][2]float64{{1, 1}}}}},
		"/plimsoll/v1/capacity":   capacity.CapacityReport{Scopes: []capacity.Scope{{Level: hostile, Name: hostile, Gap: hostile}}, Notes: []string{hostile}},
		"/plimsoll/v1/rightsize":  capacity.RightsizeReport{Rows: []capacity.Advice{{Namespace: hostile, Kind: hostile, Workload: hostile, Container: hostile, Reason: hostile}}, Notes: []string{hostile}},
		"/plimsoll/v1/fit":        capacity.FitReport{Nodes: []capacity.NodeFit{{Node: hostile, BoundBy: hostile, Reason: hostile}}, Text: hostile, Notes: []string{hostile}},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := answers[r.URL.Path]; ok && r.URL.Query().Get("name") != "none" {
			_ = json.NewEncoder(w).Encode(a)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: http.StatusNotFound, Error: hostile})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// A name from another machine never reaches the terminal raw, nor the spreadsheet as a formula, by whatever command.
func TestNamesStayInTheirCells(t *testing.T) {
	env := map[string]string{"PLIMSOLL_SERVER": hostileServer(t)}
	raw := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e) {
				return r
			}
			return -1
		}, s)
	}
	const shown = `evil\x1b[2J\x1b]52;c;aGk=\a\u009b31m\u202e\nroot  0m  ok\tx`
	commands := []string{"top nodes", "top pods", "top containers", "top workloads", "top nodes --over 1h", "top containers --over 1h", "top workloads --over 1h", "explain a/b", "explain --missing", "capacity", "rightsize", "fit --cpu 1"}
	for _, c := range commands {
		for _, format := range []string{"table", "wide", "csv", "json"} {
			if strings.HasPrefix(c, "explain") && (format == "wide" || format == "csv") {
				continue
			}
			got := call(t, env, "", append(strings.Fields(c), "-o", format)...)
			if got.code != exitDone || raw(got.out+got.err) != "" {
				t.Errorf("%s -o %s: got exit %d, %q raw in %q %q", c, format, got.code, raw(got.out+got.err), got.out, got.err)
			}
			if format != "json" && (!strings.Contains(got.out, shown) || strings.Contains(got.out, "\nroot")) {
				t.Errorf("%s -o %s: got %q, want %q in it and no line of the name's own", c, format, got.out, shown)
			}
			if format == "csv" && strings.Contains(","+strings.ReplaceAll(got.out, "\n", ","), ",=evil") {
				t.Errorf("%s -o csv: got a formula in %q", c, got.out)
			}
		}
	}
	if got := call(t, env, "", "rightsize", "no/none"); got.code != exitFailed || !strings.HasSuffix(got.err, " answered 404: ="+shown+"\n") {
		t.Errorf("a server's refusal: got exit %d, %q; want 1 and %q", got.code, got.err, shown)
	}
}
