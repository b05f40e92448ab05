package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const oneChange = `{"schema": "plimsoll.dev/decisions/v1", "items": [{"time": "2026-01-01T00:10:00Z", "namespace": "demo", "kind": "ProcessService", "name": "web",
"action": "Up", "reason": "CPUAboveTarget", "from": 2, "to": 5, "message": "Load stood at 148 %.", "detail": {"steps": [
{"step": "metrics", "before": 2, "after": 5, "why": "cpu 148 % of 70 %"}, {"step": "limits", "before": 5, "after": 5, "why": "1 to 10"}]}}]}`

func TestExplainAsksForWhatIsDesired(t *testing.T) {
	var asked, answer string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/overview") { // which says what may be seen
			asked = r.URL.RequestURI()
		}
		_, _ = io.WriteString(w, answer) // a broken connection shows in the client
	}))
	t.Cleanup(srv.Close)
	f := func(path, want string, args ...string) {
		t.Helper()
		got := call(t, nil, "", append([]string{"explain", "--server", srv.URL}, args...)...)
		if asked != "/plimsoll/v1/"+path || !strings.Contains(got.out+got.err, want) {
			t.Errorf("%q: asked for %q, got %q %q; want %q and %q", args, asked, got.out, got.err, path, want)
		}
	}
	answer = oneChange
	f("decisions?limit=5&name=web&namespace=demo", "2 -> 5  (CPUAboveTarget)\n  Load stood at 148 %.\n    metrics    2 -> 5   cpu 148 % of 70 %\n    limits     5        1 to 10\n", "demo/web")
	f("decisions?action=Up%2CDown&limit=2&name=web&namespace=demo", "2 -> 5", "demo/web", "--changes", "--limit", "2")
	f("decisions?kind=ProcessService&limit=5&name=web&namespace=demo", "2 -> 5", "demo/ProcessService/web")
	f("decisions?limit=5&name=web&namespace=demo", "2 -> 5", "web", "-n", "demo")
	f("decisions?kind=ScalePolicy&limit=5&name=web-fast&namespace=demo", "2 -> 5", "scp/web-fast", "-n", "demo")
	f("decisions?kind=ScalePolicy&limit=5&name=web-fast&namespace=demo", "2 -> 5", "demo/ScalePolicy/web-fast")
	f("decisions?kind=HorizontalPodAutoscaler&limit=5&name=web&namespace=demo", "2 -> 5", "demo/hpa/web")
	f("decisions?kind=Rollout&limit=5&name=web&namespace=demo", "demo/web  2 -> 5", "Rollout/web", "-n", "demo")
	f("decisions?limit=5&name=web&namespace=demo", "2 -> 5", "demo/web", "--all-namespaces")
	f("decisions?kind=Pod&limit=5&name=web-0&namespace=demo", "2 -> 5", "pod/web-0", "-n", "demo")
	answer = `{"items": []}`
	f("decisions?limit=1&name=web&namespace=demo", `no decision for "demo/web": no policy names it`, "demo/web", "--changes")
	f("decisions?kind=ScalePolicy&limit=5&name=web&namespace=demo", `no decision for "demo/scp/web": no such ScalePolicy scales anything`, "demo/scp/web")
	answer = `{"items": [{"apiVersion": "apps/v1", "namespace": "demo", "kind": "Deployment", "name": "web", "from": 1, "to": 2}, {"apiVersion": "v1", "namespace": "demo", "kind": "Deployment", "name": "web", "from": 3, "to": 4}]}`
	f("decisions?limit=5&name=web&namespace=demo", "demo/Deployment.apps/web  1 -> 2", "demo/web")
	f("decisions?kind=Deployment.core&limit=5&name=web&namespace=demo", "demo/Deployment.core/web  3 -> 4", "demo/Deployment.core/web")
	f("decisions?kind=Deployment.apps&limit=5&name=web&namespace=demo", "", "demo/deployments.v1.apps/web")
	f("decisions?kind=ScalePolicy&limit=5&name=web&namespace=demo", "", "demo/scalepolicies.plimsoll.dev/web")
	answer = `{"items": [{"namespace": "demo", "kind": "Deployment", "name": "web", "from": 1, "to": 2}, {"namespace": "demo", "kind": "StatefulSet", "name": "web", "from": 3, "to": 4}]}`
	f("decisions?limit=5&name=web&namespace=demo", "demo/StatefulSet/web  3 -> 4", "demo/web")
	answer = strings.Replace(oneChange, `"items"`, `"notes": ["Several targets have that name: ProcessService, Unit; demo/KIND/web asks for one."], "items"`, 1)
	f("decisions?limit=5&name=web&namespace=demo", "demo/ProcessService/web  2 -> 5", "demo/web")
	answer = `{"items": [], "notes": ["ScalePolicy \"web\" cannot be used: spec.window is too long."]}`
	f("decisions?limit=5&name=web&namespace=demo", `no decision for "demo/web": ScalePolicy "web" cannot be used: spec.window is too long`, "demo/web")
	answer = strings.Replace(oneChange, `"items"`, `"notes": ["Of demo/web now: paused."], "items"`, 1)
	f("decisions?limit=5&name=web&namespace=demo", "Of demo/web now: paused.\n\n", "demo/web")
	answer = `{"items": [{"namespace": "demo", "kind": "ProcessService", "name": "web", "scaled": {}}, {"namespace": "demo", "name": "idle"}]}`
	if got := call(t, nil, "", "__complete", "explain", "--server", srv.URL, ""); !strings.HasPrefix(got.out, "demo/web\n:4") || asked != "/plimsoll/v1/workloads" {
		t.Errorf("completing: asked for %q, got %q; want what is scaled alone", asked, got.out)
	}
}

// Where decisions are kept and none changed the count, that is said, with the newest.
func TestExplainOfNoChanges(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"items": []}`
		if r.URL.Query().Get("action") == "" {
			answer = `{"items": [{"time": "2026-01-01T00:10:00Z", "namespace": "demo", "name": "web", "action": "Hold", "reason": "WithinTolerance", "from": 2, "to": 2, "message": "Load is near its line."}]}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	got := call(t, nil, "", "explain", "--server", srv.URL, "demo/web", "--changes")
	const want = "No decision that is kept changed the number of replicas of demo/web. The newest:\n\n"
	if got.code != 0 || !strings.HasPrefix(got.out, want) || !strings.Contains(got.out, "2, held  (WithinTolerance)\n  Load is near its line.\n") {
		t.Errorf("got exit %d, %q %q", got.code, got.out, got.err)
	}
	if got := call(t, nil, "", "explain", "--server", srv.URL, "demo/web", "--changes", "-o", "json"); got.code != 0 || !strings.Contains(got.out, `"items": []`) {
		t.Errorf("as JSON: got exit %d, %q %q", got.code, got.out, got.err)
	}
}

// A change that is made between the two questions is one of the changes.
func TestExplainOfTheFirstChange(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"items": []}`
		if r.URL.Query().Get("action") == "" {
			answer = oneChange
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	got := call(t, nil, "", "explain", "--server", srv.URL, "demo/web", "--changes")
	if got.code != 0 || strings.Contains(got.out, "No decision") || !strings.Contains(got.out, "2 -> 5  (CPUAboveTarget)") {
		t.Errorf("got exit %d, %q %q", got.code, got.out, got.err)
	}
	if got := call(t, nil, "", "explain", "--server", srv.URL, "demo/web", "--changes", "-o", "json"); got.code != 0 || !strings.Contains(got.out, `"CPUAboveTarget"`) {
		t.Errorf("as JSON: got exit %d, %q %q", got.code, got.out, got.err)
	}
}

// A target whose parts are empty is none.
func TestExplainOfNothing(t *testing.T) {
	for _, args := range [][]string{{"/"}, {"a/"}, {"/a"}, {"a//b"}, {"a/b/"}, {"", "-n", "a"}} {
		got := call(t, nil, "", append([]string{"explain", "--server", "http://127.0.0.1:1"}, args...)...)
		if got.code != exitUsage || !strings.Contains(got.err, "want namespace/name or namespace/kind/name") {
			t.Errorf("%q: got exit %d, %q; want %d", args, got.code, got.err, exitUsage)
		}
	}
}

// As many as are asked for are shown, and that there are more is said.
func TestExplainMissingLimit(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"conditions": []}`
		if strings.HasSuffix(r.URL.Path, "/missing") {
			answer = `{"schema": "plimsoll.dev/missing/v1", "time": "2026-01-01T00:00:00Z", "items": [{"title": "a", "since": "2026-01-01T00:00:23Z"}, {"title": "b"}, {"title": "c"}]}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	f := func(rows int, said string, args ...string) {
		t.Helper()
		got := call(t, nil, "", append([]string{"explain", "--missing", "--server", srv.URL}, args...)...)
		if n := strings.Count(got.out, " ago"); got.code != exitDone || n != rows || !strings.HasPrefix(got.out, said) || said == "" && strings.Contains(got.out, "shown") || !strings.Contains(got.out, " 0s ago ") {
			t.Errorf("%q: got exit %d, %d rows, %q %q; want %d rows after %q", args, got.code, n, got.out, got.err, rows, said)
		}
	}
	f(3, "")
	f(2, "2 of 3 are shown.\n", "--limit", "2")
	f(3, "", "--limit", "3")
	f(3, "", "--limit", "9")
	if got := call(t, nil, "", "explain", "--missing", "--limit", "2", "--server", srv.URL, "-o", "json"); strings.Count(got.out, `"title"`) != 2 {
		t.Errorf("as JSON: %s %s", got.out, got.err)
	}
}

// What is wrong with Plimsoll itself is told with what is missing.
func TestExplainConditions(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/overview") {
			_, _ = io.WriteString(w, `{"conditions": [{"type": "APIsOurs", "status": "False", "reason": "TakenOver", "message": "v1beta1.metrics.k8s.io leads to Service kube-system/metrics-server"}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"schema": "plimsoll.dev/missing/v1", "items": []}`)
	}))
	t.Cleanup(srv.Close)
	got := call(t, nil, "", "explain", "--missing", "--server", srv.URL)
	if want := "Nothing is missing: everything that was found has current values.\nAPIsOurs, TakenOver: v1beta1.metrics.k8s.io leads to Service kube-system/metrics-server\n"; got.out != want {
		t.Errorf("got %q %q, want %q", got.out, got.err, want)
	}
	if got := call(t, nil, "", "explain", "--missing", "--server", srv.URL, "-o", "json"); !strings.Contains(got.out, `"reason": "TakenOver"`) || !strings.Contains(got.out, `"schema": "plimsoll.dev/missing/v1"`) {
		t.Errorf("as JSON: %s %s", got.out, got.err)
	}
}

// As kubectl's plugins do, commands take a name in a namespace, and all namespaces.
func TestNamespaceFlags(t *testing.T) {
	var asked string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/overview") {
			asked = r.URL.RequestURI()
		}
		_, _ = io.WriteString(w, `{"scopes": [{"level": "namespace", "name": "shop"}, {"level": "namespace", "name": "bank"}, {"level": "node", "name": "shop"}]}`)
	}))
	t.Cleanup(srv.Close)
	f := func(path string, args ...string) string {
		t.Helper()
		got := call(t, map[string]string{"PLIMSOLL_SERVER": srv.URL}, "", args...)
		if got.code != exitDone || !strings.HasPrefix(asked, "/plimsoll/v1/"+path) {
			t.Errorf("%q: asked for %q, got exit %d, %q; want %q", args, asked, got.code, got.err, path)
		}
		return got.out
	}
	f("rightsize?format=json&name=cart&namespace=shop", "rightsize", "cart", "-n", "shop")
	f("rightsize?format=json", "rightsize", "-A")
	f("capacity", "capacity", "--all-namespaces")
	for _, args := range [][]string{{"capacity", "-n", "shop"}, {"capacity", "namespaces", "-n", "shop"}} {
		if out := f("capacity", append(args, "-o", "csv")...); strings.Count(out, "shop") != 1 || strings.Contains(out, "bank") || strings.Contains(out, "node,") {
			t.Errorf("%q: %s", args, out)
		}
	}
}
