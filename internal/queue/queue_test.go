package queue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/disk"
)

// fakeClock is all of a queue's clocks, set by hand.
type fakeClock struct {
	wall time.Time
	up   time.Duration
	boot uint64
}

func newFakeClock() *fakeClock {
	return &fakeClock{wall: time.Unix(1_780_000_000, 0), up: time.Hour, boot: 7}
}

// pass lets time pass.
func (c *fakeClock) pass(d time.Duration) { c.wall, c.up = c.wall.Add(d), c.up+d }

func (c *fakeClock) into(o Options) Options {
	o.now, o.uptime, o.boot = func() time.Time { return c.wall }, func() time.Duration { return c.up }, func() uint64 { return c.boot }
	return o
}

func mustOpen(t testing.TB, o Options) *Queue {
	t.Helper()
	q, err := Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func mustAppend(t testing.TB, q *Queue, record string) {
	t.Helper()
	if err := q.Append(context.Background(), []byte(record), Meta{Points: 1}); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

// try returns the lane's next batch, or nil if there is none at present.
func try(q *Queue, l *lane) *Batch {
	for {
		p, _, err := q.pick(l)
		switch {
		case err != nil:
			return nil
		case p.load != nil:
			if q.load(p.load) != nil {
				return nil
			}
		case len(p.refs) == 0:
			return nil
		default:
			if b, err := q.read(l, p); b != nil || err != nil {
				return b
			}
		}
	}
}

// drain takes everything from the backlog, acknowledges it and returns it.
func drain(q *Queue) []string {
	var got []string
	for b := try(q, &q.backlog); b != nil; b = try(q, &q.backlog) {
		for _, r := range b.Records {
			got = append(got, string(r.Data))
		}
		b.Ack()
	}
	return got
}

// crash closes the files and gives up the lock without writing anything more, as the end of the process does.
func crash(q *Queue) {
	q.mu.Lock()
	q.closed = true
	for _, s := range q.segs {
		if s.file != nil {
			_ = s.file.Close()
		}
	}
	q.mu.Unlock()
	_ = q.dead.close()
	_ = q.dir.Release()
	q.met.unregister()
}

func rec(i int) string { return fmt.Sprintf("record %06d %s", i, strings.Repeat("x", i%50)) }

func wantRecords(t testing.TB, got []string, want ...int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for k, i := range want {
		if got[k] != rec(i) {
			t.Fatalf("record %d: got %.60q, want %.60q", k, got[k], rec(i))
		}
	}
}

func span(from, to int) []int {
	var n []int
	for i := from; i < to; i++ {
		n = append(n, i)
	}
	return n
}

func TestInAndOut(t *testing.T) {
	dir := t.TempDir()
	q := mustOpen(t, Options{Dir: dir, SegmentBytes: 4 << 10})
	for i := range 500 {
		mustAppend(t, q, rec(i))
	}
	loaded, files := 0, 0
	for _, s := range q.segs {
		if s.index != nil {
			loaded++
		}
		if s.file != nil {
			files++
		}
	}
	if loaded > maxLoaded+1 || files > maxLoaded+1 {
		t.Errorf("%d indexes and %d files are held of %d segments", loaded, files, len(q.segs))
	}
	b := try(q, &q.backlog)
	if b.Points() != len(b.Records) || len(b.Records) < 40 || b.Records[3].Points != 1 {
		t.Errorf("got %d points", b.Points())
	}
	b.Nack()
	wantRecords(t, drain(q), span(0, 500)...)
	s := q.Stats()
	if s.Records != 0 || s.Points != 0 || s.InFlight != 0 || s.Appended != (Count{500, 500}) || s.Delivered != (Count{500, 500}) || s.OldestAge != 0 {
		t.Errorf("Stats: got %+v", s)
	}
	if s.Segments != 1 {
		t.Errorf("got %d segments after all was delivered, want 1", s.Segments)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := q.Append(context.Background(), []byte("x"), Meta{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close: got %v", err)
	}
	if _, err := q.Backlog(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("Backlog after Close: got %v", err)
	}
}

func TestReopen(t *testing.T) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprintf("clean=%v", clean), func(t *testing.T) {
			o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10}
			next := 0
			for range 5 {
				q := mustOpen(t, o)
				for range 100 {
					mustAppend(t, q, rec(next))
					next++
				}
				if h := q.Health(); !h.OK() || h.Reason != "" {
					t.Fatalf("Health: got %+v", h)
				}
				if clean {
					if err := q.Close(); err != nil {
						t.Fatal(err)
					}
				} else {
					crash(q)
				}
			}
			q := mustOpen(t, o)
			if s := q.Stats(); s.Records != 500 || s.Points != 500 {
				t.Errorf("Stats: got %+v", s)
			}
			wantRecords(t, drain(q), span(0, 500)...)
		})
	}
}

// What was acknowledged out of order is not handed out again after a restart.
func TestAcknowledgedOutOfOrder(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, batchPoints: 10}
	q := mustOpen(t, o)
	for i := range 400 {
		mustAppend(t, q, rec(i))
	}
	newest, oldest := try(q, &q.fresh), try(q, &q.backlog)
	open := try(q, &q.backlog)
	newest.Ack()
	oldest.Ack()
	open.AckRecord(3)
	if err := q.flush(false); err != nil {
		t.Fatal(err)
	}
	crash(q)
	q = mustOpen(t, o)
	want := append(span(10, 13), span(14, 390)...)
	if s := q.Stats(); s.Records != len(want) || s.Points != uint64(len(want)) {
		t.Errorf("Stats: got %+v, want %d records", s, len(want))
	}
	wantRecords(t, drain(q), want...)
}

func TestLanes(t *testing.T) {
	c := newFakeClock()
	q := mustOpen(t, c.into(Options{Dir: t.TempDir(), batchPoints: 10}))
	take := func(l *lane) []string {
		var got []string
		if b := try(q, l); b != nil {
			for _, r := range b.Records {
				got = append(got, string(r.Data))
			}
			b.Ack()
		}
		return got
	}
	for i := range 100 {
		mustAppend(t, q, rec(i))
	}
	c.pass(2 * time.Minute)
	for i := range 15 {
		mustAppend(t, q, rec(100+i))
	}
	wantRecords(t, take(&q.fresh), span(105, 115)...)
	wantRecords(t, take(&q.backlog), span(0, 10)...)
	mustAppend(t, q, rec(115))
	wantRecords(t, take(&q.fresh), 100, 101, 102, 103, 104, 115) // the five left of the burst, and the new one
	wantRecords(t, take(&q.fresh))                               // the backlog is not for this lane
	wantRecords(t, drain(q), span(10, 100)...)

	q.fresh.waiting = 1 // a reader waits for fresh records: they are left to it
	mustAppend(t, q, rec(116))
	wantRecords(t, take(&q.backlog))
	q.fresh.waiting = 0
	wantRecords(t, take(&q.backlog), 116)
}

func TestReadersWait(t *testing.T) {
	q := mustOpen(t, Options{Dir: t.TempDir()})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got := make(chan string, 10)
	read := func(next func(context.Context) (*Batch, error)) {
		for {
			b, err := next(ctx)
			if err != nil {
				got <- err.Error()
				return
			}
			for _, r := range b.Records {
				got <- string(r.Data)
			}
			b.Ack()
		}
	}
	go read(q.Fresh)
	go read(q.Backlog)
	for i := range 3 {
		mustAppend(t, q, rec(i))
		if g := <-got; g != rec(i) {
			t.Errorf("got %q, want %q", g, rec(i))
		}
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if g := <-got; g != ErrClosed.Error() {
			t.Errorf("got %q, want %q", g, ErrClosed)
		}
	}
}

func TestInFlightIsBounded(t *testing.T) {
	q := mustOpen(t, Options{Dir: t.TempDir(), batchBytes: 1000, inFlightBytes: 3500})
	for range 20 {
		mustAppend(t, q, strings.Repeat("y", 500))
	}
	var out []*Batch
	for b := try(q, &q.backlog); b != nil; b = try(q, &q.backlog) {
		out = append(out, b)
	}
	if len(out) != 3 {
		t.Errorf("got %d batches of 1,000 bytes in flight, want 3", len(out))
	}
	if b := try(q, &q.fresh); b == nil {
		t.Error("the other lane is blocked as well")
	}
	out[0].Ack()
	if try(q, &q.backlog) == nil {
		t.Error("no batch although there is room")
	}
}

func TestLockedFolder(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	mustOpen(t, o)
	_, err := Open(o)
	if !errors.Is(err, disk.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v, want ErrInUse and the pid", err)
	}
}

func TestBadRecords(t *testing.T) {
	q := mustOpen(t, Options{Dir: t.TempDir(), maxRecord: 100})
	for _, b := range [][]byte{nil, make([]byte, 101)} {
		if err := q.Append(context.Background(), b, Meta{Points: 3}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes: got %v, want ErrTooLarge", len(b), err)
		}
	}
	if got := q.Stats().Dropped[RefusedTooLarge]; got != (Count{2, 6}) {
		t.Errorf("got %+v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := q.Append(ctx, []byte("x"), Meta{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Dir: "x", MaxBytes: 1}, {Dir: "x", MaxAge: -1}, {Dir: "x", SyncEvery: -1}, {Dir: "x", SegmentBytes: 1},
		{Dir: "x", MaxBytes: 1 << 20, SegmentBytes: 1 << 20}} {
		if err := o.Validate(); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestDropOldestBySize(t *testing.T) {
	q := mustOpen(t, Options{Dir: t.TempDir(), MaxBytes: 64 << 10})
	const n = 3000
	for i := range n {
		mustAppend(t, q, rec(i))
		if s := q.Stats(); s.Bytes > 64<<10 {
			t.Fatalf("queue has %d bytes, over its limit", s.Bytes)
		}
	}
	onDisk := int64(0)
	files, _ := filepath.Glob(filepath.Join(q.opts.Dir, "*.seg"))
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		onDisk += info.Size()
	}
	if s := q.Stats(); s.Bytes != onDisk {
		t.Errorf("Stats say %d bytes, the disk has %d", s.Bytes, onDisk)
	}
	if h := q.Health(); !h.OK() || h.Reason != ReasonDropping {
		t.Errorf("Health: got %+v", h)
	}
	dropped := int(q.Stats().Dropped[DroppedSize].Records)
	if dropped == 0 {
		t.Fatal("nothing was dropped")
	}
	wantRecords(t, drain(q), span(dropped, n)...)
}

// A batch that is out when its segment is dropped counts as delivered when it is acknowledged, as dropped when not.
func TestDroppedInFlight(t *testing.T) {
	for _, ack := range []bool{true, false} {
		q := mustOpen(t, Options{Dir: t.TempDir(), MaxBytes: 32 << 10, batchPoints: 5})
		mustAppend(t, q, rec(0))
		b := try(q, &q.backlog)
		n := 1
		for ; q.Stats().Dropped[DroppedSize].Records == 0; n++ {
			mustAppend(t, q, rec(n))
		}
		before := q.Stats()
		if ack {
			b.Ack()
		} else {
			b.Nack()
		}
		after := q.Stats()
		delivered, dropped := after.Delivered.Records-before.Delivered.Records, after.Dropped[DroppedSize].Records-before.Dropped[DroppedSize].Records
		if ack && (delivered != 1 || dropped != 0) || !ack && (delivered != 0 || dropped != 1) {
			t.Errorf("ack %v: delivered %d, dropped %d", ack, delivered, dropped)
		}
		if got := after.Delivered.Records + after.Dropped[DroppedSize].Records + uint64(after.Records); got != uint64(n) {
			t.Errorf("ack %v: %d records are accounted for, want %d", ack, got, n)
		}
	}
}

func TestDropByAge(t *testing.T) {
	c := newFakeClock()
	o := c.into(Options{Dir: t.TempDir(), MaxAge: time.Hour, SegmentBytes: 4 << 10})
	q := mustOpen(t, o)
	for i := range 300 {
		mustAppend(t, q, rec(i))
		c.pass(time.Minute)
	}
	q.tick()
	if got := q.Stats().OldestAge; got < 50*time.Minute || got > 3*time.Hour {
		t.Errorf("oldest age: got %s", got)
	}
	wantRecords(t, drain(q), span(240, 300)...)
	if got := q.Stats().Dropped[DroppedAge]; got != (Count{240, 240}) {
		t.Errorf("dropped by age: got %+v, want 240", got)
	}
	if h := q.Health(); !h.OK() || h.Reason != ReasonDropping {
		t.Errorf("Health: got %+v", h)
	}
	mustAppend(t, q, rec(0))
	c.pass(2 * time.Hour) // the active segment goes as well
	q.tick()
	q.tick()
	if s := q.Stats(); s.Records != 0 || s.Segments != 0 || s.Dropped[DroppedAge].Records != 241 {
		t.Errorf("Stats: got %+v", s)
	}
}

// Steps of the wall clock do nothing to ages, neither while the queue is open nor over a restart.
func TestClockSteps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, step := range []time.Duration{-50 * year, -time.Hour, time.Hour, 10 * year} {
		for _, reboot := range []bool{false, true} {
			c := newFakeClock()
			o := c.into(Options{Dir: t.TempDir(), MaxAge: 48 * time.Hour})
			q := mustOpen(t, o)
			mustAppend(t, q, rec(0))
			c.wall = c.wall.Add(step)
			mustAppend(t, q, rec(1))
			q.tick()
			c.pass(time.Minute)
			if got := q.Stats().OldestAge; got != time.Minute {
				t.Errorf("step %s: oldest age %s, want 1m", step, got)
			}
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			c.wall = c.wall.Add(step)
			if reboot {
				c.boot, c.up = 8, time.Second
			}
			q = mustOpen(t, o)
			age := q.Stats().OldestAge
			if want := time.Minute; !reboot && age != want || reboot && (age < want || age > want+maxAsleep) {
				t.Errorf("step %s, reboot %v: oldest age %s", step, reboot, age)
			}
			q.tick()
			mustAppend(t, q, rec(2))
			wantRecords(t, drain(q), 0, 1, 2)
		}
	}
}

func TestDeadLetters(t *testing.T) {
	o := Options{Dir: t.TempDir(), deadBytes: 32 << 10}
	q := mustOpen(t, o)
	binary := []byte{0xff, 0, 1}
	big := bytes.Repeat([]byte("long "), 10_000)
	for _, b := range [][]byte{[]byte("cpu,a=b x=\"é<&\" 1\nmem y=2 2"), binary, big} {
		if err := q.Dead(b, Meta{Points: 2}, `partial write: "x" dropped=1`); err != nil {
			t.Fatal(err)
		}
	}
	letters := readDead(t, filepath.Join(o.Dir, "dead", "dead.jsonl"))
	if len(letters) != 3 || letters[0].Record != "cpu,a=b x=\"é<&\" 1\nmem y=2 2" || letters[0].Message != `partial write: "x" dropped=1` || letters[0].Points != 2 {
		t.Fatalf("got %+v", letters)
	}
	if !bytes.Equal(letters[1].Base64, binary) || !letters[2].Cut || !strings.HasPrefix(string(big), letters[2].Record) || len(letters[2].Record) < 2000 {
		t.Errorf("got %d bytes of the long one, cut %v; binary %v", len(letters[2].Record), letters[2].Cut, letters[1].Base64)
	}
	for i := range 1000 {
		if err := q.Dead([]byte(rec(i)), Meta{Points: 1}, "no"); err != nil {
			t.Fatal(err)
		}
	}
	kept, bytes := 0, int64(0)
	for _, name := range []string{"dead.jsonl", "dead.1.jsonl"} {
		path := filepath.Join(o.Dir, "dead", name)
		kept += len(readDead(t, path))
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	s := q.Stats()
	if bytes > 32<<10 || s.Dead != (Count{1003, 1006}) || s.DeadDropped+uint64(kept) != 1003 {
		t.Errorf("%d letters kept in %d bytes, Stats: %+v", kept, bytes, s)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	// A torn last line is cut, the others stay.
	f, err := os.OpenFile(filepath.Join(o.Dir, "dead", "dead.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"time":"20`)
	f.Close()
	before := len(readDead(t, f.Name()))
	q = mustOpen(t, o)
	if err := q.Dead([]byte("x"), Meta{}, "m"); err != nil {
		t.Fatal(err)
	}
	if got := len(readDead(t, f.Name())); got != before+1 {
		t.Errorf("got %d letters, want %d", got, before+1)
	}
}

func readDead(t *testing.T, path string) []DeadLetter {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []DeadLetter
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l DeadLetter
		if err := json.Unmarshal(lines.Bytes(), &l); err == nil {
			all = append(all, l)
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := newFakeClock()
	o := c.into(Options{Dir: t.TempDir(), Registerer: reg})
	q := mustOpen(t, o)
	mustAppend(t, q, "x")
	c.pass(5 * time.Second)
	want := `# HELP plimsoll_queue_oldest_age_seconds Age of the oldest record that is not delivered.
# TYPE plimsoll_queue_oldest_age_seconds gauge
plimsoll_queue_oldest_age_seconds 5
# HELP plimsoll_queue_records Records in the queue that are not delivered.
# TYPE plimsoll_queue_records gauge
plimsoll_queue_records 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "plimsoll_queue_records", "plimsoll_queue_oldest_age_seconds"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v", problems, err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, o) // the metrics can be registered again
}

// Run syncs and remembers without being asked, and once more when it ends.
func TestRun(t *testing.T) {
	o := Options{Dir: t.TempDir(), SyncEvery: 5 * time.Millisecond}
	q := mustOpen(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- q.Run(ctx) }()
	mustAppend(t, q, rec(0))
	mustAppend(t, q, rec(1))
	synced := func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.synced == q.next && !q.dirty
	}
	for deadline := time.Now().Add(time.Minute); !synced(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not synced within a minute")
		}
	}
	b, err := q.Backlog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.AckRecord(0)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	crash(q)
	wantRecords(t, drain(mustOpen(t, o)), 1)
}
