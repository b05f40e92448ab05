package tsdb

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// copyDir copies a folder, as it is at a moment.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	for {
		to := filepath.Join(t.TempDir(), "copy")
		switch err := os.CopyFS(to, os.DirFS(from)); {
		case errors.Is(err, fs.ErrNotExist) && t.Context().Err() == nil: // the open store has renamed a file meanwhile: a kill knows no half of that
		case err != nil:
			t.Fatal(err)
		default:
			return to
		}
	}
}

// killedFolder is a folder as kill -9 leaves it: copied while the store is open.
func killedFolder(t *testing.T, ticks, containers int) (string, *ticker) {
	t.Helper()
	dir := t.TempDir()
	db, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	k := newTicker(t, containers)
	for range ticks {
		if err := k.tick(db); err != nil {
			t.Fatal(err)
		}
	}
	killed := copyDir(t, dir)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return killed, k
}

// kept counts the ticks of which all containers' samples are there, and the longest run of them from the first.
func (k *ticker) kept(t *testing.T, db *DB, containers int) (all, prefix int) {
	t.Helper()
	errs := &ticker{t: t, base: k.base, n: k.n}
	for i := range k.n {
		errs.acked = []int{i}
		if !errs.missing(db, containers) {
			all++
			if prefix == i {
				prefix++
			}
		}
	}
	return all, prefix
}

// missing says whether one of the acknowledged ticks is not whole.
func (k *ticker) missing(db *DB, containers int) bool {
	k.t.Helper()
	i := k.acked[0]
	got, err := db.Query(context.Background(), store.Query{Row: fleetRow, Func: store.Count, By: []string{},
		End: k.base.Add(time.Duration(i+1)*time.Second - time.Millisecond), Window: time.Second})
	if err != nil {
		k.t.Fatalf("Query: %v", err)
	}
	return len(got) != 1 || got[0].Samples[0].V != float64(containers)
}

// lastSegment returns the newest log segment that holds anything.
func lastSegment(t *testing.T, dir string) string {
	t.Helper()
	names, err := segments(filepath.Join(dir, "tsdb", "wal"))
	if err != nil || len(names) == 0 {
		t.Fatalf("segments: %v, %v", names, err)
	}
	sort.Strings(names)
	for i := len(names) - 1; i >= 0; i-- {
		if info, err := os.Stat(names[i]); err == nil && info.Size() > 0 {
			return names[i]
		}
	}
	t.Fatal("the log is empty")
	return ""
}

// TestTornLog cuts the log at many places: all ticks before the cut are kept, it is said what was cut, the store
// takes data, and a second opening finds nothing wrong.
func TestTornLog(t *testing.T) {
	const ticks, containers = 40, 5
	killed, k := killedFolder(t, ticks, containers)
	data, err := os.ReadFile(lastSegment(t, killed))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 40 {
		at := rng.IntN(len(data))
		if i == 0 {
			at = len(data) - 1
		}
		dir := copyDir(t, killed)
		name := lastSegment(t, dir)
		if err := os.Truncate(name, int64(at)); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		db, err := Open(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", at, len(data), err)
		}
		all, prefix := k.kept(t, db, containers)
		if all != prefix {
			t.Errorf("cut at %d: %d ticks are kept, but only %d before the first gap", at, all, prefix)
		}
		if want := ticks * (at - 4096) / len(data); prefix < want {
			t.Errorf("cut at %d of %d: got %d of %d ticks, want at least %d", at, len(data), prefix, ticks, want)
		}
		if h := db.Health(); !h.OK() || prefix < ticks && h.Reason != "" && !strings.Contains(h.Message, filepath.Base(name)) {
			t.Errorf("cut at %d: Health: got %+v, want OK and the name of the segment", at, h)
		}
		if h := db.Health(); h.Reason == ReasonRepaired && !strings.Contains(log.String(), "store repaired") {
			t.Errorf("cut at %d: nothing in the log: %s", at, log.String())
		}
		if err := k.again(db); err != nil {
			t.Errorf("Append after the repair: %v", err)
		}
		reopen(t, db, dir)
	}
}

// again appends one more tick without counting it.
func (k *ticker) again(db *DB) error {
	return db.Append(context.Background(), k.batch(k.base.Add(time.Duration(k.n+1)*time.Second)))
}

// reopen closes the store and opens it again, when nothing may be wrong any more.
func reopen(t *testing.T, db *DB, dir string) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	db, err := Open(Options{Dir: dir})
	if err != nil {
		t.Errorf("second Open: %v", err)
		return
	}
	if h := db.Health(); !h.OK() || h.Reason != "" {
		t.Errorf("Health after the second opening: got %+v", h)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestFlippedBitInLog flips bits anywhere in a log of many pages: the ticks in that page are lost, no others.
func TestFlippedBitInLog(t *testing.T) {
	const ticks, containers = 400, 20
	killed, k := killedFolder(t, ticks, containers)
	name := lastSegment(t, killed)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	pages := (len(data) + pageSize - 1) / pageSize
	if pages < 8 {
		t.Fatalf("the log has only %d pages", pages)
	}
	rng := rand.New(rand.NewPCG(8, 8))
	for range 25 {
		at := pageSize + rng.IntN(len(data)-pageSize) // the first page holds the series themselves
		dir := copyDir(t, killed)
		flip(t, filepath.Join(dir, "tsdb", "wal", filepath.Base(name)), int64(at), byte(1<<rng.IntN(8)))
		db, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatalf("bit at %d: %v", at, err)
		}
		all, _ := k.kept(t, db, containers)
		if want := ticks - 2*ticks/pages - 3; all < want {
			t.Errorf("bit at %d of %d (%d pages): got %d of %d ticks, want at least %d", at, len(data), pages, all, ticks, want)
		}
		if h := db.Health(); !h.OK() {
			t.Errorf("bit at %d: Health: got %+v", at, h)
		}
		reopen(t, db, dir)
	}
}

func flip(t *testing.T, name string, at int64, bit byte) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= bit
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedElsewhere damages everything else that a folder holds, one thing at a time, in many ways: the store opens
// all the same, names what it set aside, and keeps what the log still has.
func TestDamagedElsewhere(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	batch := fleet(5)
	start := time.Now().Add(-12 * time.Hour).Truncate(time.Hour)
	for i := range 12 * 360 {
		if err := db.Append(context.Background(), batch(start.Add(time.Duration(i)*10*time.Second))); err != nil {
			t.Fatal(err)
		}
	}
	db.compact(context.Background())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range []string{"tsdb/01*/meta.json", "tsdb/01*/index", "tsdb/01*/chunks/*", "tsdb/01*/tombstones", "tsdb/chunks_head/*", "tsdb/wal/checkpoint*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 2 {
			found = []string{found[0], found[len(found)-1]}
		}
		files = append(files, found...)
	}
	if len(files) < 7 {
		t.Fatalf("only %q", files)
	}
	for _, name := range files {
		rel, _ := filepath.Rel(dir, name)
		for how, harm := range map[string]func(string){
			"empty":     func(n string) { must(t, os.Truncate(n, 0)) },
			"half":      func(n string) { must(t, os.Truncate(n, fileSize(t, n)/2)) },
			"first bit": func(n string) { flip(t, n, 0, 1) },
			"last bit":  func(n string) { flip(t, n, fileSize(t, n)-1, 1) },
			"middle":    func(n string) { flip(t, n, fileSize(t, n)/2, 0x10) },
			"gone":      func(n string) { must(t, os.Remove(n)) },
		} {
			t.Run(strings.ReplaceAll(rel, "/", "_")+" "+how, func(t *testing.T) {
				if fileSize(t, name) == 0 {
					t.Skip("the file is empty")
				}
				copied := copyDir(t, dir)
				harm(filepath.Join(copied, rel))
				checkDamaged(t, copied, start, strings.Contains(rel, "checkpoint"))
			})
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fileSize(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	must(t, err)
	return info.Size()
}

// checkDamaged opens a damaged folder, appends, and reads the last hour, which is in the log. A damaged checkpoint may
// have taken the labels of the log's series with it: then it is said how many samples that cost.
func checkDamaged(t *testing.T, dir string, start time.Time, checkpoint bool) {
	t.Helper()
	db, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer func() { must(t, db.Close()) }()
	if h := db.Health(); !h.OK() {
		t.Errorf("Health: got %+v, want OK", h)
	}
	if aside, _ := os.ReadDir(filepath.Join(dir, "broken")); len(aside) > 0 {
		h := db.Health()
		if !strings.Contains(h.Message, aside[0].Name()) {
			t.Errorf("Health does not name %q: %+v", aside[0].Name(), h)
		}
	}
	if err := db.Append(context.Background(), fleet(5)(start.Add(12*time.Hour))); err != nil {
		t.Errorf("Append: %v", err)
	}
	got, err := db.Query(context.Background(), store.Query{Row: fleetRow, Func: store.Count, By: []string{},
		Start: start.Add(11 * time.Hour), End: start.Add(12*time.Hour - time.Second)})
	if err != nil {
		t.Fatalf("Query: %v", err)
	}
	whole := len(got) == 1 && got[0].Samples[0].V == 5*360
	if checkpoint && !whole && strings.Contains(db.Health().Message, "labels are lost") {
		return
	}
	if !whole {
		t.Errorf("the last hour: got %v, want %d samples", got, 5*360)
	}
	_, _ = db.Query(context.Background(), store.Query{Row: fleetRow, Func: store.Count, Start: start, End: start.Add(12 * time.Hour)}) // no panic
}

// A segment of the log that somebody removed, whichever, costs what was in it and no more: the store opens, says so, and takes data. What else the
// engine does not start over pauses the history, and not the program.
func TestMissingSegment(t *testing.T) {
	const containers = 40
	dir := t.TempDir()
	db, err := Open(Options{Dir: dir, MaxBytes: 32 << 20}) // segments of 256 KiB
	must(t, err)
	k := newTicker(t, containers)
	var names []string
	for len(names) < 6 {
		must(t, k.tick(db))
		names, _ = segments(filepath.Join(dir, "tsdb", "wal"))
	}
	killed := copyDir(t, dir)
	must(t, db.Close())
	for i := range names {
		again := copyDir(t, killed)
		must(t, os.Remove(filepath.Join(again, "tsdb", "wal", filepath.Base(names[i]))))
		db, err := Open(Options{Dir: again, MaxBytes: 32 << 20})
		if err != nil {
			t.Errorf("without segment %d: %v", i, err)
			continue
		}
		h := db.Health()
		last := i == len(names)-1 // whose end nobody knows
		if !h.OK() || !last && (h.Reason != ReasonRepaired || !strings.Contains(h.Message, "missing")) {
			t.Errorf("without segment %d: got %+v", i, h)
		}
		if err := k.again(db); err != nil {
			t.Errorf("without segment %d, the next tick: %v", i, err)
		}
		must(t, db.Close())
	}

	spoiled := copyDir(t, killed)
	wal := filepath.Join(spoiled, "tsdb", "wal")
	must(t, os.Rename(wal, wal+"-away"))
	must(t, os.WriteFile(wal, []byte("no folder"), 0o600))
	paused, err := Open(Options{Dir: spoiled, MaxBytes: 32 << 20})
	must(t, err)
	defer paused.Close()
	if h := paused.Health(); h.OK() || h.Reason != ReasonWriteFailed {
		t.Errorf("a log that is no folder: got %+v, want the history paused", h)
	}
	must(t, os.Remove(wal))
	must(t, os.Rename(wal+"-away", wal))
	until(t, "the history goes on once somebody has mended it", func() bool { return paused.Health().OK() })
}

// TestBrokenIsTrimmed: what was set aside goes when data of its time would.
func TestBrokenIsTrimmed(t *testing.T) {
	db := mustOpen(t, Options{Retention: 24 * time.Hour})
	dir := db.brokenDir()
	old, young := time.Now().Add(-25*time.Hour).UTC().Format(asideStamp)+"x", time.Now().Add(-23*time.Hour).UTC().Format(asideStamp)+"y"
	for _, name := range []string{old, young, "note.txt"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	db.compact(context.Background())
	names, err := os.ReadDir(dir)
	must(t, err)
	if len(names) != 2 || names[0].Name() != young {
		t.Errorf("got %v, want %q and the note", names, young)
	}
}

// FuzzSegment scans anything as a segment of the log: the end is inside it, and a cut there leaves nothing damaged.
func FuzzSegment(f *testing.F) {
	f.Add([]byte{1, 0, 1, 0, 0, 0, 0, 'x'})
	f.Add(make([]byte, pageSize+10))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := scanSegment(data, func([]byte) {})
		if s.damage == nil {
			return
		}
		if s.end < 0 || s.end > int64(len(data)) {
			t.Fatalf("good up to %d of %d", s.end, len(data))
		}
		if again := scanSegment(data[:s.end], nil); again.damage != nil {
			t.Errorf("cut at %d: still damaged: %v", s.end, again.damage)
		}
	})
}
