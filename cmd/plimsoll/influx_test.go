package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// old18 answers as an InfluxDB 1.8 whose database keeps data for 90 days, and keeps the statements that change something.
type old18 struct {
	mu      sync.Mutex
	changes []string
}

func (o *old18) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Influxdb-Version", "1.8.3")
	q, rows := r.FormValue("q"), ""
	switch {
	case r.URL.Path == "/ping":
		w.WriteHeader(http.StatusNoContent)
		return
	case q == "SHOW DATABASES":
		rows = `{"columns":["name"],"values":[["plimsoll"]]}`
	case strings.HasPrefix(q, "SHOW RETENTION"):
		rows = `{"columns":["name","duration","default"],"values":[["autogen","2160h0m0s",true],["plimsoll_1h","9600h0m0s",false],["plimsoll_1d","43800h0m0s",false]]}`
	case strings.HasPrefix(q, "SELECT"):
		rows = `{"name":"sea","columns":["time","level"],"values":[["2001-09-09T01:46:40Z",1]]}`
	case !strings.HasPrefix(q, "SHOW"):
		o.mu.Lock()
		o.changes = append(o.changes, q)
		o.mu.Unlock()
	}
	fmt.Fprintf(w, `{"results":[{"series":[%s]}]}`, rows)
}

// How long an existing database keeps data is changed by --retention on the command line alone, and --force is never somewhere else.
func TestInfluxSetupChangesWhatIsAsked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("retention: 30d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(code int, altered bool, env map[string]string, args ...string) string {
		t.Helper()
		server := &old18{}
		s := httptest.NewServer(server)
		defer s.Close()
		got := call(t, env, "", append([]string{"influx", "setup", "--influx-url", s.URL}, args...)...)
		if got.code != code {
			t.Errorf("%v %q: got exit %d, %q, want %d", env, args, got.code, got.err, code)
		}
		if now := strings.Contains(strings.Join(server.changes, "\n"), "ALTER RETENTION POLICY \"autogen\""); now != altered {
			t.Errorf("%v %q: altered %v, want %v: %q", env, args, now, altered, server.changes)
		}
		return got.out
	}
	// The fake does not do what it is told, so that a change is "made, but not there".
	f(1, false, nil)
	f(1, false, nil, "--config", file)
	f(1, false, map[string]string{"PLIMSOLL_RETENTION": "200d"})
	f(2, false, map[string]string{"PLIMSOLL_FORCE": "true"}, "--retention", "30d")
	f(1, false, nil, "--retention", "30d")
	f(1, true, nil, "--retention", "30d", "--force")
	f(1, true, nil, "--retention", "0")
	f(0, false, nil, "--retention", "30d", "--force", "--dry-run")
	var doc struct {
		DryRun bool
		Steps  []struct{ What, State, Change, Error string }
	}
	if err := json.Unmarshal([]byte(f(1, false, nil, "--retention", "30d", "--dry-run", "-o", "json")), &doc); err != nil || !doc.DryRun {
		t.Fatalf("%v, %+v", err, doc)
	}
	step := doc.Steps[1]
	if step.State != "refused" || !strings.Contains(step.What, "for 30 days") || !strings.Contains(step.Change, "it keeps data for 90 days") ||
		!strings.Contains(step.Change, "from 2001-09-09 on") || !strings.Contains(step.Error, "--force") {
		t.Errorf("got %+v", step)
	}
}

// What boards were written, for programs.
func TestDashboardsJSON(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "boards")
	var doc struct {
		Schema string
		Files  []string
	}
	got := call(t, nil, "", "dashboards", "export", dir, "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil || doc.Schema != "plimsoll.dev/dashboards-export/v1" || len(doc.Files) < 5 {
		t.Errorf("%v: %+v %s", err, doc, got.err)
	}
	plain := call(t, nil, "", "dashboards", "export", dir)
	if n := strings.Count(plain.out, "\n"); n < 4 || !strings.HasPrefix(plain.out, dir) {
		t.Errorf("got %q", plain.out)
	}
	var pushed struct {
		Schema string
		Boards []struct{ Title, UID, Done string }
	}
	grafana := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.Error(w, `{"message":"Dashboard not found"}`, http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"status":"success","uid":"x","version":1}`)
	}))
	defer grafana.Close()
	got = call(t, nil, "", "dashboards", "push", "--url", grafana.URL, "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &pushed); err != nil || pushed.Schema != "plimsoll.dev/dashboards-push/v1" || len(pushed.Boards) == 0 || pushed.Boards[0].Done != "created" {
		t.Errorf("%v: %+v, %q %q", err, pushed, got.out, got.err)
	}
}
