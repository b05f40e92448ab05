package queue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// cutDisk remembers what a disk has for sure: of each file what was synced, of each folder the names that were.
type cutDisk struct {
	lazyDisk
	synced map[string]int64
	named  map[string]bool
}

func (d *cutDisk) sync(f *os.File) error {
	info, err := f.Stat()
	if err == nil {
		d.synced[f.Name()] = info.Size()
	}
	return err
}

func (d *cutDisk) syncDir(dir string) error {
	names, err := os.ReadDir(dir)
	for _, e := range names {
		d.named[filepath.Join(dir, e.Name())] = true
	}
	return err
}

// cut leaves of the segments what the disk has for sure, and a part of the rest.
func (d *cutDisk) cut(t interface{ Fatal(...any) }, dir string, part float64) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size := d.synced[f] + int64(part*float64(info.Size()-d.synced[f]))
		if !d.named[f] {
			err = os.Remove(f)
		} else {
			err = os.Truncate(f, size)
		}
		if err != nil {
			t.Fatal(err)
		}
		d.synced[f] = size
	}
}

// With SyncEvery zero a record survives a power cut as soon as Append returned.
func TestPowerCut(t *testing.T) {
	d := &cutDisk{synced: map[string]int64{}, named: map[string]bool{}}
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, disk: d}
	n := 0
	for range 50 {
		q := mustOpen(t, o)
		for range 37 {
			mustAppend(t, q, rec(n))
			n++
		}
		if s := q.Stats(); s.Records != n {
			t.Fatalf("got %d records, want %d", s.Records, n)
		}
		crash(q)
		d.cut(t, o.Dir, 0)
	}
	wantRecords(t, drain(mustOpen(t, o)), span(0, n)...)

	// With a second it survives from the next sync on.
	o.Dir, o.SyncEvery = t.TempDir(), DefaultSyncEvery
	q := mustOpen(t, o)
	mustAppend(t, q, rec(0))
	q.tick()
	if err := q.Append(context.Background(), []byte(rec(1)), Meta{}); err != nil {
		t.Fatal(err)
	}
	crash(q)
	d.cut(t, o.Dir, 0)
	wantRecords(t, drain(mustOpen(t, o)), 0)
}

// forgetful fails an fsync as Linux does: what waited for the disk is lost with it, the pages are taken for clean, and the
// next fsync says nothing of them. What is written again waits again.
type forgetful struct {
	cutDisk
	fail    bool
	waiting map[string][][2]int64 // by file: from, to
	lost    map[string][][2]int64
}

func (d *forgetful) write(f *os.File, b []byte, off int64) (int, error) {
	n, err := d.cutDisk.write(f, b, off)
	part := [2]int64{off, off + int64(n)}
	d.waiting[f.Name()] = append(d.waiting[f.Name()], part)
	d.lost[f.Name()] = slices.DeleteFunc(d.lost[f.Name()], func(x [2]int64) bool { return x[0] >= part[0] && x[1] <= part[1] })
	return n, err
}

func (d *forgetful) sync(f *os.File) error {
	was := d.waiting[f.Name()]
	d.waiting[f.Name()] = nil
	if d.fail {
		d.lost[f.Name()] = append(d.lost[f.Name()], was...)
		return unix.EIO
	}
	return nil
}

// An fsync that failed is not believed when the next one does not: what waited for it is written again first. That goes for the
// segment that is written, for one that was sealed meanwhile, for the one found at the opening, and for dead letters.
func TestFailedSyncIsNotBelieved(t *testing.T) {
	d := &forgetful{cutDisk: cutDisk{synced: map[string]int64{}, named: map[string]bool{}}, waiting: map[string][][2]int64{}, lost: map[string][][2]int64{}}
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, SyncEvery: DefaultSyncEvery, disk: d}
	q := mustOpen(t, o)
	lost := func() (n int) {
		for path, parts := range d.lost {
			if filepath.Ext(path) != ".tmp" { // of the cursor, which is made anew
				n += len(parts)
			}
		}
		return n
	}
	n := 0
	add := func(k int) {
		for range k {
			mustAppend(t, q, rec(n))
			n++
		}
	}
	for _, k := range []int{1, 3, 400} { // the last seals several segments
		add(1)
		q.tick()
		d.fail = true
		add(k)
		if err := q.Dead([]byte("x"), Meta{}, "m"); err != nil {
			t.Fatal(err)
		}
		q.tick()
		if h := q.Health(); h.Reason != ReasonSyncFailed || lost() == 0 {
			t.Fatalf("Health: got %+v with %d parts lost", h, lost())
		}
		d.fail = false
		add(1)
		q.tick()
		if h := q.Health(); h.Reason != "" || lost() != 0 {
			t.Errorf("after %d records: Health is %+v, %d parts are lost all the same: %v", k, h, lost(), d.lost)
		}
	}

	add(1)
	crash(q)
	d.fail = true
	q = mustOpen(t, o)
	if h := q.Health(); h.Reason != ReasonSyncFailed || lost() == 0 {
		t.Fatalf("opened anew, Health: got %+v with %d parts lost", h, lost())
	}
	d.fail = false
	q.tick()
	if h := q.Health(); h.Reason != "" || lost() != 0 {
		t.Errorf("opened anew: Health is %+v, %d parts are lost: %v", h, lost(), d.lost)
	}

	// With SyncEvery zero the record whose fsync failed was refused; the next one is not acknowledged on the word of an fsync alone.
	o.SyncEvery = 0
	q2 := mustOpen(t, Options{Dir: t.TempDir(), SyncEvery: 0, disk: d})
	d.fail = true
	if err := q2.Append(context.Background(), []byte("a"), Meta{}); !errors.Is(err, unix.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
	d.fail = false
	mustAppend(t, q2, "b")
	if h := q2.Health(); h.Reason != "" || lost() != 0 {
		t.Errorf("Health is %+v, %d parts are lost", h, lost())
	}
	wantRecords(t, drain(q), span(0, n)...)
}
