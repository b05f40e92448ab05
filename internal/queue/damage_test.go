package queue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/condition"
)

// lazyDisk does not sync, for tests that open thousands of queues.
type lazyDisk struct{ osDisk }

func (lazyDisk) sync(*os.File) error  { return nil }
func (lazyDisk) syncDir(string) error { return nil }

// memoryDir is a folder in memory where there is one, for tests that make thousands of files.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "queue")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// folder is a queue's files in memory.
type folder map[string][]byte

func readFolder(t testing.TB, dir string) folder {
	t.Helper()
	f := folder{}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		if e.Type().IsRegular() && e.Name() != "lock" {
			if f[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

// write makes the folder, with one file changed.
func (f folder) write(t testing.TB, dir, name string, changed []byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for n, b := range f {
		if n == name {
			b = changed
		}
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// scene makes a folder as a killed process leaves it: a sealed segment, and one with a few records. It returns what is in it, and the
// names of the segments.
func scene(t testing.TB, n, acked int) (folder, []string) {
	t.Helper()
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, batchPoints: acked, disk: lazyDisk{}}
	q := mustOpen(t, o)
	for i := range n {
		mustAppend(t, q, rec(i))
	}
	if acked > 0 {
		try(q, &q.backlog).Ack()
	}
	if err := q.flush(false); err != nil {
		t.Fatal(err)
	}
	crash(q)
	var names []string
	f := readFolder(t, o.Dir)
	for _, s := range q.segs {
		names = append(names, filepath.Base(s.path))
	}
	if len(names) != 2 {
		t.Fatalf("got %d segments, want 2", len(names))
	}
	return f, names
}

// The file of the active segment ends at every byte of its last record.
func TestTornTail(t *testing.T) {
	const n = 60
	files, segs := scene(t, n, 0)
	last := files[segs[1]]
	off := strings.LastIndex(string(last), "PLQr")
	dir := filepath.Join(memoryDir(t), "q")
	o := Options{Dir: dir, SegmentBytes: 4 << 10, disk: lazyDisk{}}
	for _, zeros := range []bool{false, true} { // the rest may be zeros after a power cut
		for end := off; end < len(last); end++ {
			b := last[:end]
			if zeros {
				b = append(b[:end:end], make([]byte, len(last)-end)...)
			}
			files.write(t, dir, segs[1], b)
			q := mustOpen(t, o)
			if h := q.Health(); !h.OK() || !zeros && h.Reason != "" {
				t.Fatalf("cut at %d of %d: Health: %+v", end-off, len(last)-off, h)
			}
			if got := q.Stats().TornBytes; !zeros && got != uint64(end-off) {
				t.Fatalf("cut at %d: %d bytes counted", end-off, got)
			}
			mustAppend(t, q, rec(1000))
			crash(q) // and once more, so that what follows the cut is read again
			q = mustOpen(t, o)
			want := span(0, n-1)
			if zeros && end == len(last)-1 && last[end] == 0 {
				want = span(0, n)
			}
			wantRecords(t, drain(q), append(want, 1000)...)
			crash(q)
		}
	}
}

// The process ends while the header of a new segment is written.
func TestTornHeader(t *testing.T) {
	files, segs := scene(t, 60, 0)
	first := len(mustScan(t, files[segs[0]], segs[0]))
	dir := filepath.Join(memoryDir(t), "q")
	o := Options{Dir: dir, SegmentBytes: 4 << 10, disk: lazyDisk{}}
	for end := range segmentHeader + 1 {
		files.write(t, dir, segs[1], files[segs[1]][:end])
		q := mustOpen(t, o)
		if h := q.Health(); !h.OK() || h.Reason != "" {
			t.Fatalf("cut at %d: Health: %+v", end, h)
		}
		mustAppend(t, q, rec(1000))
		wantRecords(t, drain(q), append(span(0, first), 1000)...)
		crash(q)
	}
}

// The process ends while the footer is written.
func TestTornFooter(t *testing.T) {
	files, segs := scene(t, 60, 0)
	sealed := files[segs[0]]
	dir := filepath.Join(memoryDir(t), "q")
	for end := len(sealed) - footerBytes; end < len(sealed); end++ {
		files.write(t, dir, segs[0], sealed[:end])
		q := mustOpen(t, Options{Dir: dir, SegmentBytes: 4 << 10, disk: lazyDisk{}})
		if h := q.Health(); !h.OK() || h.Reason != "" {
			t.Fatalf("cut at %d: Health: %+v", end, h)
		}
		wantRecords(t, drain(q), span(0, 60)...)
		crash(q)
	}
}

// mustScan returns the headers of a segment's records.
func mustScan(t testing.TB, b []byte, name string) []header {
	t.Helper()
	base, ok := segmentBase(name)
	if !ok {
		t.Fatalf("%q is not a segment's name", name)
	}
	var all []header
	if res := scan(strings.NewReader(string(b)), int64(len(b)), base, func(_ int64, h header) { all = append(all, h) }); res.damaged() {
		t.Fatalf("damaged: %+v", res)
	}
	return all
}

// One bit is flipped in each byte of each file in turn: every record arrives with its value but the one that was hit,
// which is counted and named.
func TestFlippedBit(t *testing.T) {
	const n, acked = 60, 7
	files, segs := scene(t, n, acked)
	dir := filepath.Join(memoryDir(t), "q")
	o := Options{Dir: dir, SegmentBytes: 4 << 10, disk: lazyDisk{}}
	for _, name := range []string{segs[0], segs[1], "cursor"} {
		step := 1
		if testing.Short() {
			step = 7
		}
		for at := 0; at < len(files[name]); at += step {
			b := append([]byte(nil), files[name]...)
			b[at] ^= 1 << (at % 8)
			files.write(t, dir, name, b)
			q := mustOpen(t, o)
			mustAppend(t, q, rec(1000))
			got := drain(q)
			s, h := q.Stats(), q.Health()
			crash(q)
			checkFlipped(t, segs, name, at, got, n, acked, s, h)
			if t.Failed() {
				return
			}
			if again := mustOpen(t, o); again.Stats().Records > n+1 { // and it opens once more
				t.Fatalf("%s at %d: %+v", name, at, again.Stats())
			} else {
				crash(again)
			}
		}
	}
}

func checkFlipped(t *testing.T, segs []string, name string, at int, got []string, n, acked int, s Stats, h condition.Condition) {
	t.Helper()
	first := acked
	if name == "cursor" {
		first = 0 // everything is sent again
	}
	want := map[string]bool{rec(1000): true}
	for i := first; i < n; i++ {
		want[rec(i)] = true
	}
	for _, r := range got {
		if !want[r] {
			t.Errorf("%s at %d: got %.60q, which was never appended, was acknowledged, or is there twice", name, at, r)
		}
		delete(want, r)
	}
	lost := len(want)
	tail := name != "cursor" && s.TornBytes > 0
	if lost > 1 || name == "cursor" && lost > 0 {
		t.Errorf("%s at %d: %d records are missing", name, at, lost)
	}
	if !h.OK() || (h.Reason != ReasonDamaged && !tail) {
		t.Errorf("%s at %d: Health is %+v, torn %d", name, at, h, s.TornBytes)
	}
	counted := int(s.Dropped[DroppedDamaged].Records) == lost || name == segs[1] // what its last record was is not known
	if !tail && (s.SetAside != 1 || !counted || !strings.Contains(h.Message, name)) {
		t.Errorf("%s at %d: %d lost, set aside %d, dropped %+v, %q", name, at, lost, s.SetAside, s.Dropped, h.Message)
	}
}

// A segment of which nothing is left, and files that are none.
func TestForeignFiles(t *testing.T) {
	files, segs := scene(t, 60, 0)
	first := len(mustScan(t, files[segs[0]], segs[0]))
	dir := filepath.Join(memoryDir(t), "q")
	files["notes.txt"], files["0000000000000000.seg"], files["00000000000000zz.seg"] = []byte("x"), []byte("x"), []byte("x")
	files.write(t, dir, segs[1], []byte(strings.Repeat("garbage ", 100)))
	if err := os.Mkdir(filepath.Join(dir, segmentName(900)), 0o750); err != nil { // a folder in the place of a segment
		t.Fatal(err)
	}
	q := mustOpen(t, Options{Dir: dir, disk: lazyDisk{}})
	mustAppend(t, q, rec(1000))
	wantRecords(t, drain(q), append(span(0, first), 1000)...)
	if s := q.Stats(); s.SetAside != 2 {
		t.Errorf("got %d set aside, want 2", s.SetAside)
	}
	broken, err := os.ReadDir(filepath.Join(dir, "broken"))
	if err != nil || len(broken) != 2 {
		t.Errorf("got %d set aside, %v", len(broken), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "notes.txt")); err != nil {
		t.Error(err)
	}
}

// A damaged segment is moved to broken/ once what could be read of it was delivered.
func TestSetAsideAfterDelivery(t *testing.T) {
	files, segs := scene(t, 60, 0)
	b := append([]byte(nil), files[segs[0]]...)
	b[len(b)/2] ^= 1
	dir := filepath.Join(memoryDir(t), "q")
	files.write(t, dir, segs[0], b)
	q := mustOpen(t, Options{Dir: dir, disk: lazyDisk{}})
	if got := len(drain(q)); got != 59 {
		t.Errorf("got %d records, want 59", got)
	}
	if got := q.Stats().Dropped[DroppedDamaged]; got != (Count{1, 1}) {
		t.Errorf("dropped: got %+v, want one record of one point", got)
	}
	set, err := filepath.Glob(filepath.Join(dir, "broken", segs[0]+".*"))
	if err != nil || len(set) != 1 {
		t.Fatalf("got %q, %v", set, err)
	}
	if kept, err := os.ReadFile(set[0]); err != nil || string(kept) != string(b) {
		t.Errorf("what was set aside is not the damaged segment: %v", err)
	}
}

func TestTrimFolder(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, n), make([]byte, 100), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	trimFolder(dir, 250)
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("got %d files, want 2", len(names))
	}
}
