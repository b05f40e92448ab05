package queue

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what a queue must be: which records were acknowledged by it, which the reader settled, and what may come again.
type model struct {
	t       *rapid.T
	o       Options
	clock   *fakeClock
	q       *Queue
	next    int
	live    map[int]string // appended, not settled, not known to be dropped: must come
	again   map[int]string // settled since the cursor was written last: may come again after a crash
	maybe   map[int]string // hit by damage, or settled just before a crash: may come or not
	unsafe  map[int]bool   // appended since the last sync
	disk    *cutDisk
	out     []*Batch
	damage  bool
	lossy   bool // the size or the age limit was reached: live records may be missing, but all are counted
	account int  // records that the present queue was opened with or has taken
}

func (m *model) open() {
	q, err := Open(m.o)
	if err != nil {
		m.t.Fatalf("Open: %v", err)
	}
	s := q.Stats()
	m.q, m.account = q, s.Records+int(s.Dropped[DroppedDamaged].Records)
}

func (m *model) append(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "records") {
		data := fmt.Sprintf("%d ", m.next) + string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data"))
		if err := m.q.Append(context.Background(), []byte(data), Meta{Points: 1}); err != nil {
			t.Fatalf("Append: %v", err)
		}
		m.live[m.next], m.unsafe[m.next] = data, true
		m.next++
		m.account++
	}
	m.clock.pass(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
}

func (m *model) take(t *rapid.T) {
	l := &m.q.backlog
	if rapid.Bool().Draw(t, "fresh") {
		l = &m.q.fresh
	}
	b := try(m.q, l)
	if b == nil {
		return
	}
	last := uint64(0)
	for _, r := range b.Records {
		if r.Seq <= last {
			t.Fatalf("record %d after %d in one batch", r.Seq, last)
		}
		last = r.Seq
		var i int
		fmt.Sscanf(string(r.Data), "%d", &i)
		want, ok := m.live[i]
		if again, may := m.again[i]; !ok && may {
			want, ok = again, true
		} else if hit, may := m.maybe[i]; !ok && may {
			want, ok = hit, true
		}
		if !ok || want != string(r.Data) {
			t.Fatalf("record %d: got %q, want %q", i, r.Data, want)
		}
	}
	m.out = append(m.out, b)
}

func (m *model) settle(t *rapid.T) {
	if len(m.out) == 0 {
		t.Skip("no batch")
	}
	k := rapid.IntRange(0, len(m.out)-1).Draw(t, "batch")
	b := m.out[k]
	m.out = append(m.out[:k], m.out[k+1:]...)
	whole := rapid.Bool().Draw(t, "ack")
	if !whole && rapid.Bool().Draw(t, "one") {
		m.settled(b, 0)
		b.AckRecord(0)
	}
	if whole {
		for i := range b.Records {
			m.settled(b, i)
		}
		b.Ack()
	} else {
		b.Nack()
	}
}

func (m *model) settled(b *Batch, i int) {
	var n int
	fmt.Sscanf(string(b.Records[i].Data), "%d", &n)
	m.again[n] = string(b.Records[i].Data)
	delete(m.live, n)
	delete(m.maybe, n)
}

func (m *model) tick(*rapid.T) {
	m.q.tick()
	clear(m.again)
	clear(m.unsafe)
}

func (m *model) close(t *rapid.T) {
	m.checkCounts(t)
	m.lossy = m.lossy || m.dropped() > 0
	if err := m.q.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	m.out = nil
	clear(m.again)
	clear(m.unsafe)
	m.open()
}

func (m *model) crash(t *rapid.T) {
	m.down(t)
	if rapid.Bool().Draw(t, "reboot") {
		m.clock.boot++
		m.clock.up = time.Second
		m.clock.wall = m.clock.wall.Add(time.Duration(rapid.IntRange(-1e6, 40_000).Draw(t, "step")) * time.Second)
	}
	m.open()
}

// power cuts the power: of what was not synced, some or nothing is left.
func (m *model) power(t *rapid.T) {
	m.down(t)
	for i := range m.unsafe {
		if data, ok := m.live[i]; ok {
			m.maybe[i] = data
			delete(m.live, i)
		}
	}
	clear(m.unsafe)
	m.disk.cut(t, m.o.Dir, rapid.Float64Range(0, 1).Draw(t, "kept"))
	m.clock.boot++
	m.open()
	if h := m.q.Health(); h.Reason == ReasonDamaged && !m.damage {
		t.Fatalf("Health after a power cut: %+v", h)
	}
}

// down ends the process.
func (m *model) down(t *rapid.T) {
	m.checkCounts(t)
	m.lossy = m.lossy || m.dropped() > 0
	crash(m.q)
	m.out = nil
	maps.Copy(m.maybe, m.again)
	clear(m.again)
}

func (m *model) dropped() uint64 {
	s := m.q.Stats()
	return s.Dropped[DroppedSize].Records + s.Dropped[DroppedAge].Records
}

// checkCounts says that every record is accounted for.
func (m *model) checkCounts(t *rapid.T) {
	s := m.q.Stats()
	if got := uint64(s.Records) + s.Delivered.Records + s.Dropped[DroppedSize].Records + s.Dropped[DroppedAge].Records + s.Dropped[DroppedDamaged].Records; got != uint64(m.account) {
		// records out of dropped segments are counted when they come back
		out := 0
		for _, b := range m.out {
			for _, r := range b.refs {
				if r.s.gone != "" {
					out++
				}
			}
		}
		if got+uint64(out) != uint64(m.account) {
			t.Fatalf("%d records are accounted for (%d out of dropped segments), want %d: %+v", got, out, m.account, s)
		}
	}
	if s.Bytes > m.o.withDefaults().MaxBytes {
		t.Fatalf("%d bytes, over the limit", s.Bytes)
	}
}

// corrupt flips a bit of a segment that nobody has loaded: after a crash, before the queue is opened again.
func (m *model) corrupt(t *rapid.T) {
	m.down(t)
	files, _ := filepath.Glob(filepath.Join(m.o.Dir, "*.seg"))
	if len(files) > 0 {
		name := rapid.SampledFrom(files).Draw(t, "file")
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		base, _ := segmentBase(filepath.Base(name))
		m.hit(t, b, base, at)
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if err := os.WriteFile(name, b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	m.open()
}

// hit moves the record at an offset of a file from live to maybe, before the file is damaged there.
func (m *model) hit(t *rapid.T, b []byte, base uint64, at int) {
	scan(bytes.NewReader(b), int64(len(b)), base, func(off int64, h header) {
		if int64(at) < off || int64(at) >= off+recordHeader+int64(h.stored) {
			return
		}
		_, payload, err := parseRecord(b[off:])
		if err != nil {
			t.Fatal(err)
		}
		data, err := m.q.codec.unpack(h, payload)
		if err != nil {
			t.Fatal(err)
		}
		var i int
		fmt.Sscanf(string(data), "%d", &i)
		if live, ok := m.live[i]; ok {
			m.maybe[i] = live
			delete(m.live, i)
		}
	})
}

// end drains the queue: all that is live comes, unless a limit dropped it.
func (m *model) end(t *rapid.T) {
	for _, b := range m.out {
		b.Nack()
	}
	m.out = nil
	for b := try(m.q, &m.q.backlog); b != nil; b = try(m.q, &m.q.backlog) {
		for i := range b.Records {
			m.settled(b, i)
		}
		b.Ack()
	}
	m.checkCounts(t)
	m.lossy = m.lossy || m.dropped() > 0
	if len(m.live) > 0 && !m.lossy {
		t.Fatalf("%d records never came: %.200q", len(m.live), fmt.Sprint(m.live))
	}
	if s := m.q.Stats(); s.Records != 0 || s.InFlight != 0 || m.q.backlog.out != 0 || m.q.fresh.out != 0 {
		t.Fatalf("drained: %+v, out %d and %d bytes", s, m.q.backlog.out, m.q.fresh.out)
	}
}

func runModel(t *testing.T, o Options, corrupt bool) {
	parent := memoryDir(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(parent, "model")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c := newFakeClock()
		o := c.into(o)
		o.Dir, o.batchPoints, o.SyncEvery = dir, 25, DefaultSyncEvery
		disk := &cutDisk{synced: map[string]int64{}, named: map[string]bool{}}
		o.disk = disk
		m := &model{t: t, o: o, clock: c, disk: disk, damage: corrupt, unsafe: map[int]bool{}, live: map[int]string{}, again: map[int]string{}, maybe: map[int]string{}}
		m.open()
		defer func() { crash(m.q) }()
		actions := map[string]func(*rapid.T){"append": m.append, "append2": m.append, "take": m.take, "take2": m.take, "settle": m.settle, "tick": m.tick,
			"close": m.close, "crash": m.crash, "power": m.power}
		if corrupt {
			actions["corrupt"] = m.corrupt
		}
		t.Repeat(actions)
		m.end(t)
	})
}

// Nothing is lost, and all is counted, whatever happens in whatever order.
func TestModel(t *testing.T) {
	t.Run("ample", func(t *testing.T) { runModel(t, Options{SegmentBytes: 4 << 10}, false) })
	t.Run("damage", func(t *testing.T) { runModel(t, Options{SegmentBytes: 4 << 10}, true) })
	t.Run("small", func(t *testing.T) { runModel(t, Options{MaxBytes: 32 << 10}, false) })
	t.Run("old", func(t *testing.T) { runModel(t, Options{MaxAge: time.Minute, SegmentBytes: 4 << 10}, false) })
}
