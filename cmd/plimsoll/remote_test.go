package main

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/lifecycle"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/remote"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// The batch of a cluster of many pods is longer than any record of the queue may be, and is kept all the same.
func TestRemoteKeepsTheBatchOfALargeCluster(t *testing.T) {
	life := lifecycle.New(slog.New(slog.DiscardHandler))
	defer func() { _ = life.Close() }()
	o := historyOptions{data: t.TempDir(), queueSync: time.Second}
	h, err := openRemoteWriter(o, remote.EndpointOptions{WriteURL: "http://127.0.0.1:1/api/v1/write"}, remoteFlags, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), life)
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
	o := historyOptions{data: t.TempDir(), retention: days(24 * time.Hour), retentionBytes: 64 << 20, remote: remoteOptions{url: "http://127.0.0.1:1/api/v1/write"}}
	life := lifecycle.New(slog.New(slog.DiscardHandler))
	defer func() { _ = life.Close() }()
	h, err := openRemote(o, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), life)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.AppendDecision(t.Context(), cluster.Decision{Time: time.Now(), Message: "m"}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Decisions(t.Context(), store.DecisionQuery{}); err != nil || len(got) != 1 || got[0].Message != "m" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := tsdb.Open(tsdb.Options{Dir: o.data}); !errors.Is(err, disk.ErrInUse) {
		t.Errorf("the embedded store in the same folder: got error %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.data, "tsdb")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder of the embedded store: got error %v", err)
	}
}
