package tsdb

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// count returns how many samples of a row there are in all.
func count(t *testing.T, db *DB, row metric.ID, from, to time.Time) int {
	t.Helper()
	got, err := db.Query(context.Background(), store.Query{Row: row, Level: metric.Container, Func: store.Count, By: []string{}, Start: from, End: to})
	must(t, err)
	if len(got) == 0 {
		return 0
	}
	return int(got[0].Samples[0].V)
}

// TestLateBlocksAreNotMerged: when blocks are written after thirteen hours at once (a backlog came in), a block of late
// samples lies where the timely ones are still in the log. Were it merged with older blocks, the engine would drop
// those at the next replay.
func TestLateBlocksAreNotMerged(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(Options{Dir: dir, Retention: 30 * 24 * time.Hour})
	must(t, err)
	start := time.Now().Add(-48 * time.Hour).Truncate(18 * time.Hour)
	const minutes = 12*60 + 54
	e := pod("a")
	for i := range minutes {
		at := start.Add(time.Duration(i) * time.Minute)
		b := batchOf(at, 1, e)
		if i > 1 { // every second one is late
			late := at.Add(time.Duration(i%2*2-2) * time.Minute).Add(time.Second)
			b.Groups[0].Points = append(b.Groups[0].Points, metric.Point{ID: metric.MemoryRSS, T: late.UnixMilli(), V: 1})
		}
		must(t, db.Append(context.Background(), b))
		select {
		case <-db.wake: // not yet
		default:
		}
	}
	for range 3 {
		db.compact(context.Background())
	}
	end := start.Add(minutes * time.Minute)
	want, wantLate := count(t, db, metric.MemoryWorkingSet, start, end), count(t, db, metric.MemoryRSS, start, end)
	killed := copyDir(t, dir)
	must(t, db.Close())
	db = mustOpen(t, Options{Dir: killed, Retention: 30 * 24 * time.Hour})
	if got := count(t, db, metric.MemoryWorkingSet, start, end); got != want || got != minutes {
		t.Errorf("got %d timely samples, want %d", got, want)
	}
	if got := count(t, db, metric.MemoryRSS, start, end); got != wantLate || got < minutes-2 {
		t.Errorf("got %d late samples, want %d", got, wantLate)
	}
}

// TestLateSamplesSurviveTwoKills: chunks of late samples that died in the first process' buffer are not taken for
// stored by the third. The second one writes chunks of timely samples, and so behind the place where the lost ones
// were to lie, and is killed with the late ones in its buffer again.
func TestLateSamplesSurviveTwoKills(t *testing.T) {
	dir := t.TempDir()
	base := time.Now().Add(-2 * time.Hour).Truncate(time.Minute)
	rng := rand.New(rand.NewPCG(1, 1))
	var es []*metric.Entity
	for i := range 100 {
		es = append(es, pod(string(rune('a'+i))))
	}
	db, err := Open(Options{Dir: dir})
	must(t, err)
	want := 0
	add := func(second, plus int) {
		at := base.Add(time.Duration(second)*time.Second + time.Duration(plus)*time.Millisecond)
		b := batchOf(at, 0, es...)
		for i := range b.Groups {
			b.Groups[i].Points[0].V = rng.Float64()
		}
		must(t, db.Append(context.Background(), b))
		want += len(es)
	}
	for i := range 1800 {
		add(i, 0)
	}
	for i := range 130 {
		add(i, 500)
	}
	for range 2 {
		killed := copyDir(t, dir)
		must(t, db.Close())
		dir = killed
		db, err = Open(Options{Dir: dir})
		must(t, err)
	}
	if got := count(t, db, metric.MemoryWorkingSet, base.Add(-time.Minute), base.Add(time.Hour)); got != want {
		t.Errorf("got %d samples, want %d", got, want)
	}
	must(t, db.Close())
}

// TestBacklogOfDays: a machine that was cut off for days brings its backlog while the others' samples are of now. All of it is
// there, after blocks were written, and after a kill as well.
func TestBacklogOfDays(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, OutOfOrder: 8 * 24 * time.Hour}
	db, err := Open(o)
	must(t, err)
	now := time.Now().Truncate(time.Minute)
	here, away := pod("here"), pod("away")
	begin := now.Add(-7 * 24 * time.Hour)
	want := 0
	for at := begin; at.Before(now); at = at.Add(2 * time.Minute) {
		must(t, db.Append(context.Background(), batchOf(now.Add(at.Sub(begin)/10000), 1, here)))
		must(t, db.Append(context.Background(), batchOf(at, 1, away)))
		want++
	}
	late := func() int {
		got, err := db.Query(context.Background(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Func: store.Count, By: []string{"pod"}, Start: begin.Add(-time.Minute), End: now})
		must(t, err)
		for _, s := range got {
			if s.Label("pod") == away.Pod {
				return int(s.Samples[0].V)
			}
		}
		return 0
	}
	if got := late(); got != want {
		t.Errorf("got %d samples of the backlog, want %d", got, want)
	}
	for range 3 {
		db.compact(context.Background())
	}
	if got := late(); got != want {
		t.Errorf("after compaction: got %d samples, want %d", got, want)
	}
	killed := copyDir(t, dir)
	must(t, db.Close())
	o.Dir = killed
	db = mustOpen(t, o)
	if got := late(); got != want {
		t.Errorf("after a kill: got %d samples, want %d", got, want)
	}
}
