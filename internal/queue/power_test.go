package queue

import (
	"context"
	"os"
	"path/filepath"
	"testing"
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
