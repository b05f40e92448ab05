package main

import (
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/remote"
)

// The batch of a cluster of many pods is longer than any record of the queue may be, and is kept all the same.
func TestRemoteKeepsTheBatchOfALargeCluster(t *testing.T) {
	life := &lifecycle{log: slog.New(slog.DiscardHandler)}
	defer func() { _ = life.close() }()
	o := historyOptions{data: t.TempDir(), queueSync: time.Second}
	h, err := openRemoteWriter(o, remote.EndpointOptions{WriteURL: "http://127.0.0.1:1/api/v1/write"}, remoteFlags, life.log, prometheus.NewRegistry(), life)
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
