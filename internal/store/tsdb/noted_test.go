package tsdb

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What somebody takes from the log while the store is closed, or open, is noticed at the next start whatever it was: the last segment, all of them, the folder, what is in
// them. It is in the log of the program, a condition, and once: the start after that finds nothing wrong.
func TestLostLogIsTold(t *testing.T) {
	const size = 32 << 20 // segments of 256 KiB
	each := func(dir string, do func(string) error) {
		names, err := segments(filepath.Join(dir, "tsdb", "wal"))
		must(t, err)
		for _, name := range names {
			must(t, do(name))
		}
	}
	last := func(dir string) string { return lastSegment(t, dir) }
	empty := func(name string) error { return os.Truncate(name, 0) }
	for what, x := range map[string]struct {
		take func(dir string)
		told bool
	}{
		"nothing":              {func(string) {}, false},
		"the first":            {func(dir string) { must(t, os.Remove(filepath.Join(dir, "tsdb", "wal", "00000000"))) }, true},
		"the last":             {func(dir string) { must(t, os.Remove(last(dir))) }, true},
		"the last's end":       {func(dir string) { must(t, os.Truncate(last(dir), pageSize)) }, true},
		"all":                  {func(dir string) { each(dir, os.Remove) }, true},
		"the folder":           {func(dir string) { must(t, os.RemoveAll(filepath.Join(dir, "tsdb", "wal"))) }, true},
		"what is in the first": {func(dir string) { must(t, empty(filepath.Join(dir, "tsdb", "wal", "00000000"))) }, true},
		"what is in all":       {func(dir string) { each(dir, empty) }, true},
		"what is in the last":  {func(dir string) { must(t, empty(last(dir))) }, true},
	} {
		for when, running := range map[string]bool{"closed": false, "running": true, "killed": true} {
			t.Run(what+" "+when, func(t *testing.T) {
				dir := t.TempDir()
				db, err := Open(Options{Dir: dir, MaxBytes: size})
				must(t, err)
				k := newTicker(t, 40)
				for n := 0; n < 3; {
					must(t, k.tick(db))
					names, _ := segments(filepath.Join(dir, "tsdb", "wal"))
					n = len(names)
				}
				for range 100 {
					must(t, k.tick(db))
				}
				db.note()
				if running {
					x.take(dir)
				}
				if when == "killed" {
					killed := copyDir(t, dir)
					must(t, db.Close())
					dir = killed
				} else {
					must(t, db.Close())
				}
				if !running {
					x.take(dir)
				}
				var log bytes.Buffer
				db, err = Open(Options{Dir: dir, MaxBytes: size, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				must(t, err)
				h, all := db.Health(), db.Conditions()
				if x.told {
					if !h.OK() || h.Reason != ReasonRepaired || !strings.Contains(h.Message, "are missing or shorter than they were") || !strings.Contains(log.String(), "are missing or shorter") {
						t.Errorf("got %+v and log %s", h, log.String())
					}
					if len(all) != 1 || all[0].Type != "HistoryWhole" || all[0].OK() {
						t.Errorf("conditions %+v", all)
					}
				} else if h.Reason != "" || len(all) != 0 {
					t.Errorf("got %+v, %+v", h, all)
				}
				must(t, k.again(db))
				must(t, db.Close())
				db = mustOpen(t, Options{Dir: dir, MaxBytes: size})
				if h := db.Health(); !h.OK() || strings.Contains(h.Message, "missing") { // samples whose names were in the first are left out again
					t.Errorf("at the second start: got %+v", h)
				}
			})
		}
	}
}

// FuzzNoted reads anything as a note of segments: what is read can be written and read again.
func FuzzNoted(f *testing.F) {
	f.Add("wal/00000001 32768\nwbl/00000000 5\n")
	f.Add("wal/1 -5\nwal/00000001")
	f.Fuzz(func(t *testing.T, text string) {
		for name, size := range parseNoted(text) {
			if size <= 0 || strings.Contains(name, "..") || strings.Count(name, "/") != 1 {
				t.Errorf("%q %d", name, size)
			}
		}
	})
}
