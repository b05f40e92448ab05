package wiring

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// A history that is sent on is not ready while it does not get there, whoever sends it.
func TestSentOnIsReady(t *testing.T) {
	f := func(what, want string, open func(e *environment) error) {
		t.Helper()
		e := newEnvironment(slog.New(slog.DiscardHandler), "")
		defer func() { _ = e.life.Close() }()
		if err := open(e); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range e.checks {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: got checks %q, want %q", what, got, want)
		}
	}
	remote := func() Remote {
		return Remote{URL: "http://127.0.0.1:1/api/v1/write", Queue: Queue{Dir: t.TempDir()}, Decisions: Embedded{Dir: t.TempDir(), Retention: 24 * time.Hour, MaxBytes: 64 << 20}}
	}
	influx := func() Influx {
		return Influx{Conn: influx.ConnOptions{URL: "http://127.0.0.1:1", Bucket: "b"}, Queue: Queue{Dir: t.TempDir()}}
	}
	f("run with InfluxDB", "store history", func(e *environment) error { _, err := influx().open(e); return err })
	f("run with an engine", "store history", func(e *environment) error { _, err := remote().open(e); return err })
	f("a collector with InfluxDB", "queue history", func(e *environment) error { _, err := influx().openWriting(e); return err })
	f("a collector with an engine", "queue history", func(e *environment) error { _, err := remote().openWriting(e); return err })
	now := time.Now()
	full := condition.Ill("HistorySent", "LimitReached", "it has reached its setting max-series-per-database", now.Add(-11*time.Second))
	if err := unsent([]condition.Condition{full}, now); err == nil || !strings.Contains(err.Error(), "max-series-per-database") {
		t.Errorf("got %v", err)
	}
	if err := unsent([]condition.Condition{full}, now.Add(-2*time.Second)); err != nil {
		t.Errorf("at once: got %v", err)
	}
}

// A cluster that has a name asks InfluxDB for its own history alone.
func TestReadsItsOwnCluster(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Influxdb-Version", "1.8.10")
		if q := r.FormValue("q"); q != "" {
			asked = append(asked, q)
		}
		_, _ = io.WriteString(w, `{"results":[{"statement_id":0}]}`)
	}))
	defer srv.Close()
	e := newEnvironment(slog.New(slog.DiscardHandler), "")
	defer func() { _ = e.life.Close() }()
	h, err := Influx{Conn: influx.ConnOptions{URL: srv.URL, Bucket: "b"}, Outbox: influx.OutboxOptions{Encoder: influx.EncoderOptions{Cluster: "east"}}, Queue: Queue{Dir: t.TempDir()}}.open(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Decisions(t.Context(), store.DecisionQuery{}); err != nil || len(asked) != 1 || !strings.Contains(asked[0], `"cluster" = 'east'`) {
		t.Errorf("got %q, %v", asked, err)
	}
}
