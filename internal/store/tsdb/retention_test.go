package tsdb

import (
	"context"
	"testing"
	"time"

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

// oldest is when the oldest data of the store begins.
func oldest(db *DB) time.Time {
	at := db.gen.tsdb.Head().MinTime()
	for _, m := range db.gen.tsdb.BlockMetas() {
		at = min(at, m.MinTime)
	}
	return time.UnixMilli(at)
}

func TestRetentionByTime(t *testing.T) {
	db := mustOpen(t, Options{Retention: 6 * time.Hour})
	start := time.Now().Add(-30 * time.Hour).Truncate(2 * time.Hour)
	ingest(t, db, start, 30*time.Hour, 5)
	end := start.Add(30 * time.Hour)
	if kept := end.Sub(oldest(db)); kept < 6*time.Hour || kept > 6*time.Hour+5*time.Hour {
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
	n := db.Stats().Bytes
	if n > limit {
		t.Errorf("the folder has %d bytes, want at most %d", n, limit)
	}
	if kept := start.Add(40 * time.Hour).Sub(oldest(db)); kept < 4*time.Hour || kept > 30*time.Hour {
		t.Errorf("kept %v of 40 h in %d bytes", kept, n)
	}
}
