package tsdb

import (
	"context"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/store"
)

// ingest appends ticks every 30 s of simulated time, compacting as time would have it.
func ingest(t *testing.T, db *DB, start time.Time, d time.Duration, containers int) {
	t.Helper()
	batch := fleet(containers)
	for at := time.Duration(0); at < d; at += 30 * time.Second {
		must(t, db.Append(context.Background(), batch(start.Add(at))))
		if at%time.Hour == 0 {
			db.compact(context.Background())
		}
	}
	db.compact(context.Background())
	db.measure()
}

func TestRetentionByTime(t *testing.T) {
	db := mustOpen(t, Options{Retention: 6 * time.Hour})
	start := time.Now().Add(-30 * time.Hour).Truncate(2 * time.Hour)
	ingest(t, db, start, 30*time.Hour, 5)
	end := start.Add(30 * time.Hour)
	oldest := db.Health().Oldest
	if kept := end.Sub(oldest); kept < 6*time.Hour || kept > 6*time.Hour+5*time.Hour {
		t.Errorf("kept %v, want 6 h and at most a few more", kept)
	}
	got, err := db.Query(context.Background(), store.Query{Row: fleetRow, Func: store.Count, Start: end.Add(-6 * time.Hour), End: end})
	if err != nil || len(got) != 5 || got[0].Samples[0].V < 6*120-1 {
		t.Errorf("the last six hours: got %v, %v", got, err)
	}
}

func TestRetentionBySize(t *testing.T) {
	const limit = 6 << 20
	db := mustOpen(t, Options{MaxBytes: limit})
	start := time.Now().Add(-40 * time.Hour).Truncate(2 * time.Hour)
	ingest(t, db, start, 40*time.Hour, 40)
	h := db.Health()
	if h.Bytes > limit {
		t.Errorf("the folder has %d bytes, want at most %d", h.Bytes, limit)
	}
	if kept := start.Add(40 * time.Hour).Sub(h.Oldest); kept < 4*time.Hour || kept > 30*time.Hour {
		t.Errorf("kept %v of 40 h in %d bytes", kept, h.Bytes)
	}
}

// TestRetentionOfDecisions keeps the decision log in its share.
func TestRetentionOfDecisions(t *testing.T) {
	db := mustOpen(t, Options{MaxBytes: 32 << 20, Retention: 24 * time.Hour}) // 4 MiB of decisions
	now := time.Now()
	add := func(at time.Time, n int) {
		for i := range n {
			must(t, db.AppendDecision(context.Background(), cluster.Decision{Time: at.Add(time.Duration(i) * time.Millisecond), Target: cluster.Target{Name: "w"}, Message: strings.Repeat("m", 1000)}))
		}
	}
	add(now.Add(-time.Hour), 10_000)
	if db.decisions.bytes > 5<<20 {
		t.Errorf("%d bytes of decisions, want at most 5 MiB", db.decisions.bytes)
	}
	got, err := db.Decisions(context.Background(), store.DecisionQuery{Limit: maxDecisions})
	if err != nil || len(got) < 3000 || len(got) > 5000 {
		t.Errorf("got %d decisions, %v", len(got), err)
	}
	add(now, 1100) // begins a new segment
	must(t, db.decisions.trim(now.Add(24*time.Hour-time.Minute)))
	got, err = db.Decisions(context.Background(), store.DecisionQuery{Limit: maxDecisions})
	if err != nil || len(got) < 1100 || len(got) > 3000 {
		t.Errorf("a day later: got %d decisions, %v", len(got), err)
	}
}
