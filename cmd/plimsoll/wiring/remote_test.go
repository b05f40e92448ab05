package wiring

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// A history in another engine keeps the decisions in the data folder, which is this process' alone and holds no store beside them.
func TestRemoteKeepsDecisions(t *testing.T) {
	dir := t.TempDir()
	e := newEnvironment(slog.New(slog.DiscardHandler), "")
	defer func() { _ = e.life.Close() }()
	h, err := Remote{URL: "http://127.0.0.1:1/api/v1/write", Queue: Queue{Dir: dir}, Decisions: Embedded{Dir: dir, Retention: 24 * time.Hour, MaxBytes: 64 << 20}}.open(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.AppendDecision(t.Context(), cluster.Decision{Time: time.Now(), Message: "m"}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Decisions(t.Context(), store.DecisionQuery{}); err != nil || len(got) != 1 || got[0].Message != "m" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := tsdb.Open(tsdb.Options{Dir: dir}); !errors.Is(err, disk.ErrInUse) {
		t.Errorf("the embedded store in the same folder: got error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tsdb")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder of the embedded store: got error %v", err)
	}
}
