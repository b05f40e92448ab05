package wiring

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// The batch of a cluster of many pods is longer than any record of the queue may be, and is kept all the same.
func TestRemoteKeepsTheBatchOfALargeCluster(t *testing.T) {
	e := newEnvironment(slog.New(slog.DiscardHandler), "")
	defer func() { _ = e.life.Close() }()
	h, err := Remote{URL: "http://127.0.0.1:1/api/v1/write", Queue: Queue{Dir: t.TempDir(), SyncEvery: time.Second}}.writing(e)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	b := &metric.Batch{Time: now}
	for range 40_000 { // names of 26 random letters do not compress
		e := &metric.Entity{Level: metric.Pod, Namespace: rand.Text(), Pod: rand.Text()}
		b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1}}})
	}
	if err := h.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if s := h.queue.Stats(); s.Points != 40_000 || s.Records < 2 {
		t.Errorf("got %d points in %d records, want 40000 in several", s.Points, s.Records)
	}
}

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
