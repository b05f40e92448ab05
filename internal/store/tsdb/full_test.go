package tsdb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// smallDisk mounts a file system of so many MiB and returns its folder.
func smallDisk(t *testing.T, mib string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a small file system is mounted")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+mib+"m"); err != nil {
		t.Skipf("needs mounts: cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill takes all room of a file system but so many bytes, and returns the file that does.
func fill(t *testing.T, dir string, leave int64) string {
	t.Helper()
	name := filepath.Join(dir, "other")
	free, err := disk.Free(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, free-leave); err != nil {
		t.Fatal(err)
	}
	return name
}

// ticker appends ticks of a fleet and remembers how many were acknowledged.
type ticker struct {
	t     *testing.T
	base  time.Time
	batch func(time.Time) *metric.Batch
	n     int   // ticks tried
	acked []int // ticks acknowledged
}

func newTicker(t *testing.T, containers int) *ticker {
	return &ticker{t: t, base: time.Now().Add(-time.Hour).Truncate(time.Minute), batch: fleet(containers)}
}

// tick appends the next tick and returns what Append said.
func (k *ticker) tick(db *DB) error {
	err := db.Append(context.Background(), k.batch(k.base.Add(time.Duration(k.n)*time.Second)))
	if err == nil {
		k.acked = append(k.acked, k.n)
	}
	k.n++
	return err
}

// check looks for a sample of every container at every acknowledged tick.
func (k *ticker) check(db *DB, containers int) {
	k.t.Helper()
	got, err := db.Query(context.Background(), store.Query{Row: metric.Processes, Level: metric.Container, Func: store.Count, By: []string{},
		Start: k.base.Add(time.Second - time.Millisecond), End: k.base.Add(time.Duration(k.n)*time.Second - time.Millisecond), Step: time.Second})
	if err != nil {
		k.t.Fatalf("Query: %v", err)
	}
	have := map[int]float64{}
	for i := range got {
		for _, x := range got[i].Samples {
			have[int((x.T-k.base.UnixMilli())/1000)] = x.V
		}
	}
	for _, n := range k.acked {
		if have[n] != float64(containers) {
			k.t.Errorf("tick %d was acknowledged: got %g of %d containers", n, have[n], containers)
		}
	}
}

// until polls a condition of the real clock.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within five minutes: %s", what)
		}
	}
}

// TestDiskNearlyFull fills the disk up to what is kept free: no data is accepted, nothing is torn, and it goes on when
// there is room.
func TestDiskNearlyFull(t *testing.T) {
	dir := smallDisk(t, "48")
	db := mustOpen(t, Options{Dir: filepath.Join(dir, "data"), minFree: 8 << 20})
	k := newTicker(t, 20)
	if err := k.tick(db); err != nil {
		t.Fatal(err)
	}
	other := fill(t, dir, 4<<20)
	until(t, "a full disk is noticed", func() bool { return errors.Is(k.tick(db), store.ErrReadOnly) })
	h := db.Health()
	if h.OK() || h.Reason != ReasonDiskFull || h.Since.IsZero() || !strings.Contains(h.Message, "MiB") {
		t.Errorf("Health: got %+v, want DiskFull with a message and a time", h)
	}
	k.check(db, 20) // history can still be read
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	until(t, "data is taken again", func() bool { return k.tick(db) == nil })
	if h := db.Health(); !h.OK() || h.Reason != "" {
		t.Errorf("Health after recovery: got %+v", h)
	}
	k.check(db, 20)
}

// TestDiskFull lets writes really fail, again and again, in the log and in the decision log, and looks for every
// acknowledged sample after each recovery and after reopening.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, "48")
	o := Options{Dir: filepath.Join(dir, "data"), minFree: -1}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	k := newTicker(t, 50)
	decisions := 0
	for round := range 3 {
		other := fill(t, dir, int64(64<<10+round*37<<10))
		var failed error
		for range 10_000 {
			if err := db.AppendDecision(context.Background(), cluster.Decision{Time: k.base, Message: strings.Repeat("x", 500)}); err == nil {
				decisions++
			} else if !errors.Is(err, store.ErrReadOnly) {
				t.Fatalf("AppendDecision: got error %v, want ErrReadOnly", err)
			}
			if failed = k.tick(db); failed != nil {
				break
			}
		}
		if !errors.Is(failed, store.ErrReadOnly) || !errors.Is(failed, unix.ENOSPC) {
			t.Fatalf("round %d: got error %v, want ErrReadOnly and ENOSPC", round, failed)
		}
		if h := db.Health(); h.OK() || h.Reason != ReasonWriteFailed {
			t.Errorf("Health: got %+v, want WriteFailed", h)
		}
		k.check(db, 50)
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
		until(t, "data is taken again", func() bool { return k.tick(db) == nil })
		k.check(db, 50)
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	db = mustOpen(t, o)
	if h := db.Health(); !h.OK() || h.Reason != "" {
		t.Errorf("Health after reopening: got %+v", h)
	}
	k.check(db, 50)
	got, err := db.Decisions(context.Background(), store.DecisionQuery{Limit: store.MaxDecisions})
	if err != nil || len(got) != decisions {
		t.Errorf("got %d decisions and error %v, want %d", len(got), err, decisions)
	}
}

// TestOpenOnFullDisk starts with no room at all: live-only, until there is.
func TestOpenOnFullDisk(t *testing.T) {
	dir := smallDisk(t, "16")
	o := Options{Dir: filepath.Join(dir, "data"), minFree: -1}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	k := newTicker(t, 20)
	if err := k.tick(db); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(o.Dir, "tsdb", cleanFile)); err != nil { // as after kill -9
		t.Fatal(err)
	}
	other := fill(t, dir, 0)
	db = mustOpen(t, o)
	if err := k.tick(db); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Append on a full disk: got error %v, want ErrReadOnly", err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	until(t, "data is taken again", func() bool { return k.tick(db) == nil })
	k.check(db, 20)
}

// TestHeadChunksOnFullDisk lets the write of head chunks fail, at which the engine panics.
func TestHeadChunksOnFullDisk(t *testing.T) {
	dir := smallDisk(t, "48")
	db := mustOpen(t, Options{Dir: filepath.Join(dir, "data"), minFree: -1})
	k := newTicker(t, 100)
	for range 400 {
		if err := k.tick(db); err != nil {
			t.Fatal(err)
		}
	}
	other := fill(t, dir, 0)
	db.compact(context.Background())
	if h := db.Health(); h.OK() || h.Reason != ReasonWriteFailed {
		t.Fatalf("Health: got %+v, want WriteFailed", h)
	}
	k.check(db, 100)
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	until(t, "data is taken again", func() bool { return k.tick(db) == nil })
	k.check(db, 100)
}
