package queue

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/disk"
)

// What is put in the place of the queue's files and folders while it is open is neither emptied, nor written to, nor waited for.
func TestLinksWhileOpen(t *testing.T) {
	for what, link := range map[string]func(from, to string) error{
		"symbolic": os.Symlink, "hard": os.Link, "pipe": func(_, to string) error { return unix.Mkfifo(to, 0o600) },
	} {
		base := t.TempDir()
		elsewhere, dir := filepath.Join(base, "elsewhere"), filepath.Join(base, "q")
		precious := filepath.Join(elsewhere, "precious")
		if err := errors.Join(os.Mkdir(elsewhere, 0o700), os.WriteFile(precious, []byte("precious, no line"), 0o600)); err != nil {
			t.Fatal(err)
		}
		q := mustOpen(t, Options{Dir: dir, SegmentBytes: 4 << 10, disk: lazyDisk{}})
		must := func(errs ...error) {
			t.Helper()
			if err := errors.Join(errs...); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		for i := range 10 {
			mustAppend(t, q, rec(i))
		}
		// The cursor is written anew.
		must(link(precious, filepath.Join(dir, "cursor.tmp")), q.flush(false))
		if st, err := os.Lstat(filepath.Join(dir, "cursor")); err != nil || !st.Mode().IsRegular() {
			t.Errorf("%s: the cursor is %v, %v", what, st, err)
		}
		// A dead letter whose file, or whose folder, is not ours is refused, and taken once it is.
		dead := filepath.Join(dir, "dead")
		must(os.Mkdir(dead, 0o700), link(precious, filepath.Join(dead, "dead.jsonl")))
		if err := q.Dead([]byte("x"), Meta{Points: 1}, "no"); !errors.Is(err, disk.ErrNoFile) {
			t.Errorf("%s: a dead letter: got %v", what, err)
		}
		must(os.RemoveAll(dead), os.Symlink(elsewhere, dead))
		if err := q.Dead([]byte("x"), Meta{Points: 1}, "no"); !errors.Is(err, disk.ErrNoFile) {
			t.Errorf("%s: a dead letter, its folder is elsewhere: got %v", what, err)
		}
		must(os.Remove(dead), q.Dead([]byte("x"), Meta{Points: 1}, "no"))
		// What is set aside does not leave the folder, and nothing is deleted elsewhere.
		must(os.WriteFile(filepath.Join(dir, "odd"), nil, 0o600), os.Symlink(elsewhere, filepath.Join(dir, "broken")))
		if err := q.setAside(filepath.Join(dir, "odd")); !errors.Is(err, disk.ErrNoFile) {
			t.Errorf("%s: set aside: got %v", what, err)
		}
		must(os.Remove(filepath.Join(dir, "broken")), q.Close())
		left, _ := os.ReadDir(elsewhere)
		if got, err := os.ReadFile(precious); err != nil || string(got) != "precious, no line" || len(left) != 1 {
			t.Errorf("%s: got %q, %v, and %v are elsewhere", what, got, err, left)
		}
	}
}

// A segment of which somebody keeps a copy by a hard link is read, and nothing is written to the copy: neither is a torn tail cut off there, nor does it grow.
func TestLinkedSegments(t *testing.T) {
	files, segs := scene(t, 60, 0)
	for _, torn := range []int{0, 5} {
		base := t.TempDir()
		dir, whole := filepath.Join(base, "q"), files[segs[1]]
		files.write(t, dir, segs[1], whole[:len(whole)-torn])
		kept := filepath.Join(base, "copy")
		if err := os.Link(filepath.Join(dir, segs[1]), kept); err != nil {
			t.Fatal(err)
		}
		q := mustOpen(t, Options{Dir: dir, SegmentBytes: 4 << 10, disk: lazyDisk{}})
		if got := q.Stats().Records; got < 59 {
			t.Errorf("%d bytes torn: got %d records, want 60, or all but the torn one", torn, got)
		}
		mustAppend(t, q, rec(1000))
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(kept); err != nil || len(got) != len(whole)-torn {
			t.Errorf("%d bytes torn: the copy has %d bytes, %v, want %d", torn, len(got), err, len(whole)-torn)
		}
	}
}
