package wiring

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
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
