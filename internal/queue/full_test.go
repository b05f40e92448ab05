package queue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// badDisk lets writes and syncs fail on demand.
type badDisk struct {
	lazyDisk
	writeErr, syncErr error
	part              int // bytes of a failing write that get through
	room              int64
}

func (d *badDisk) write(f *os.File, b []byte, off int64) (int, error) {
	if d.writeErr == nil {
		return d.lazyDisk.write(f, b, off)
	}
	n, _ := f.WriteAt(b[:min(d.part, len(b))], off)
	return n, d.writeErr
}

func (d *badDisk) sync(f *os.File) error { return d.syncErr }

func (d *badDisk) syncDir(string) error { return d.syncErr }

func (d *badDisk) free(dir string) (int64, error) { return d.room, nil }

func TestFailingDisk(t *testing.T) {
	c := newFakeClock()
	d := &badDisk{room: 1 << 40}
	o := c.into(Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, SyncEvery: DefaultSyncEvery, disk: d})
	q := mustOpen(t, o)
	n := 0
	ok := func() {
		t.Helper()
		mustAppend(t, q, rec(n))
		n++
	}
	refused := func(is error, reason, counted string) {
		t.Helper()
		before := q.Stats().Dropped[counted]
		err := q.Append(context.Background(), []byte("refused"), Meta{Points: 4})
		h := q.Health()
		if !errors.Is(err, is) || h.OK() || h.Reason != reason || h.Since.IsZero() {
			t.Errorf("got %v and Health %+v, want %v and %s", err, h, is, reason)
		}
		if got := q.Stats().Dropped[counted]; got != (Count{before.Records + 1, before.Points + 4}) {
			t.Errorf("dropped: got %+v after %+v", got, before)
		}
	}
	healthy := func() {
		t.Helper()
		if h := q.Health(); !h.OK() || h.Reason != "" {
			t.Errorf("Health: got %+v", h)
		}
	}
	for part := range 60 { // also when a segment is to begin or to end
		for range 3 {
			ok()
		}
		d.writeErr, d.part = []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG}[part%3], part
		refused(ErrFull, ReasonDiskFull, RefusedFull)
		d.writeErr = unix.EIO
		refused(unix.EIO, ReasonDiskFull, RefusedError) // full weighs more
		d.writeErr = nil
		ok()
		healthy()
	}
	d.writeErr, d.part = unix.EIO, 5
	refused(unix.EIO, ReasonWriteFailed, RefusedError)
	if err := q.Dead([]byte("x"), Meta{}, "m"); !errors.Is(err, unix.EIO) {
		t.Errorf("Dead: got %v", err)
	}
	d.writeErr = nil
	ok()
	healthy()

	d.room = o.withDefaults().minFree - 1
	c.pass(2e9)
	refused(ErrFull, ReasonDiskFull, RefusedFull)
	d.room = 1 << 30
	ok()
	healthy()

	d.syncErr = unix.EIO
	ok()
	q.tick()
	if h := q.Health(); !h.OK() || h.Reason != ReasonSyncFailed {
		t.Errorf("Health: got %+v", h)
	}
	ok()
	d.syncErr = nil
	q.tick()
	healthy()
	crash(q)
	q = mustOpen(t, o)
	healthy()
	wantRecords(t, drain(q), span(0, n)...)
}

// Every record waits for its own fsync, and an fsync that fails is told.
func TestSyncEachRecord(t *testing.T) {
	d := &badDisk{room: 1 << 40}
	q := mustOpen(t, Options{Dir: t.TempDir(), SyncEvery: 0, disk: d})
	mustAppend(t, q, rec(0))
	if q.synced != q.next {
		t.Errorf("synced up to %d, want %d", q.synced, q.next)
	}
	d.syncErr = unix.EIO
	if err := q.Append(context.Background(), []byte(rec(1)), Meta{}); !errors.Is(err, unix.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
}

// The cursor cannot be written: it is told, and what was acknowledged is sent once more after the crash.
func TestCursorCannotBeWritten(t *testing.T) {
	o := Options{Dir: t.TempDir(), disk: lazyDisk{}, batchPoints: 2}
	q := mustOpen(t, o)
	for i := range 4 {
		mustAppend(t, q, rec(i))
	}
	try(q, &q.backlog).Ack()
	blocker := filepath.Join(o.Dir, "cursor.tmp")
	if err := os.Mkdir(blocker, 0o750); err != nil {
		t.Fatal(err)
	}
	q.tick()
	if h := q.Health(); !h.OK() || h.Reason != ReasonCursor {
		t.Errorf("Health: got %+v", h)
	}
	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	q.tick()
	if h := q.Health(); h.Reason != "" {
		t.Errorf("Health: got %+v", h)
	}
	crash(q)
	wantRecords(t, drain(mustOpen(t, o)), 2, 3)
}

// smallDisk mounts a file system of so many KiB and returns its folder.
func smallDisk(t *testing.T, kib string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a small file system is mounted")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+kib+"k"); err != nil {
		t.Skipf("needs mounts: cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill takes all the room of a file system.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	free, err := osDisk{}.free(dir)
	if err != nil {
		t.Fatal(err)
	}
	if free > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, 0, free); err != nil {
			t.Fatal(err)
		}
	}
}

// A real disk is full, again and again, under a queue that is drained at times, killed at others, and opened without any room: every
// acknowledged record arrives, every refused one is counted.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, "1024")
	o := Options{Dir: filepath.Join(disk, "q"), SegmentBytes: 64 << 10, minFree: -1}
	q := mustOpen(t, o)
	n := 0
	for round := range 12 {
		var want []int
		if round%2 == 0 {
			fill(t, disk)
		}
		var err error
		for range 30_000 {
			if err = q.Append(context.Background(), []byte(rec(n)), Meta{Points: 1}); err != nil {
				break
			}
			want = append(want, n)
			n++
		}
		if !errors.Is(err, ErrFull) {
			t.Fatalf("round %d: got %v after %d records, want ErrFull", round, err, len(want))
		}
		if h := q.Health(); h.OK() || h.Reason != ReasonDiskFull {
			t.Fatalf("round %d: Health is %+v", round, h)
		}
		if got := q.Stats().Dropped[RefusedFull].Records; got != 1 {
			t.Fatalf("round %d: %d refused records are counted, want 1", round, got)
		}
		q.tick() // a cursor that cannot be written is no reason to end
		if round%3 == 2 {
			_ = q.Close()
		} else {
			crash(q)
		}
		q = mustOpen(t, o) // with no room at all
		wantRecords(t, drain(q), want...)
		if round%2 == 0 {
			if err := os.Remove(filepath.Join(disk, "other")); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Append(context.Background(), []byte("x"), Meta{}); err != nil {
			t.Fatalf("round %d: not taken although there is room: %v", round, err)
		}
		if h := q.Health(); !h.OK() || h.Reason != "" && h.Reason != ReasonCursor {
			t.Fatalf("round %d: Health is %+v", round, h)
		}
		if got := len(drain(q)); got != 1 {
			t.Fatalf("round %d: got %d records, want 1", round, got)
		}
		q.tick()
	}
}

// noFiles is a disk of which nothing can be opened at times, as when the process has too many files open.
type noFiles struct {
	lazyDisk
	err error
}

func (d *noFiles) open(path string) (*os.File, error) {
	if d.err != nil {
		return nil, d.err
	}
	return d.lazyDisk.open(path)
}

// An error that may pass loses nothing; one that does not is damage.
func TestCannotOpenFiles(t *testing.T) {
	for _, no := range []unix.Errno{unix.EMFILE, unix.EACCES, unix.EIO} {
		d := &noFiles{}
		q := mustOpen(t, Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, disk: d})
		for i := range 400 {
			mustAppend(t, q, rec(i))
		}
		d.err = no
		got := drain(q) // the active segment is open anyway
		if no == unix.EIO {
			if s := q.Stats(); int(s.Dropped[DroppedDamaged].Records)+len(got) != 400 || q.Health().Reason != ReasonDamaged {
				t.Errorf("EIO: got %d records and %+v", len(got), s)
			}
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		waits := make(chan bool)
		go func() {
			_, _ = q.Backlog(ctx)
			close(waits)
		}()
		until(t, "the condition is set", func() bool { h := q.Health(); return h.OK() && h.Reason == ReasonReadFailed })
		cancel()
		<-waits
		d.err = nil
		got = append(got, drain(q)...)
		if len(got) != 400 || len(q.Stats().Dropped) > 0 {
			t.Errorf("%v: got %d records, want 400; %+v", no, len(got), q.Stats())
		}
	}
}

// until polls a condition of another goroutine.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
