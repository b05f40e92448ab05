package queue

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// maxLoaded is how many indexes of sealed segments are kept.
const maxLoaded = 3

// lane is one of the two ways out.
type lane struct {
	fresh   bool
	waiting int // readers in Fresh or Backlog
	out     int // memory of what was handed out and not got back
}

// Fresh waits for fresh records and returns the newest of them, oldest first within the batch. The caller must end the
// batch with Ack or Nack; the next call does not wait for that.
func (q *Queue) Fresh(ctx context.Context) (*Batch, error) { return q.take(ctx, &q.fresh) }

// Backlog waits for records and returns the oldest. Fresh ones are left to Fresh while a reader waits there. The caller
// must end the batch with Ack or Nack; the next call does not wait for that.
func (q *Queue) Backlog(ctx context.Context) (*Batch, error) { return q.take(ctx, &q.backlog) }

func (q *Queue) take(ctx context.Context, l *lane) (*Batch, error) {
	q.mu.Lock()
	l.waiting++
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		l.waiting--
		q.wakeLocked() // what was left to this lane may be for the other now
		q.mu.Unlock()
	}()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, changed, err := q.pick(l)
		switch {
		case err != nil:
			return nil, err
		case p.load != nil:
			q.load(p.load)
		case len(p.refs) > 0:
			if b := q.read(l, p); b != nil {
				return b, nil
			}
		default:
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
}

// ref is a record that is handed out.
type ref struct {
	s *segment
	i int
	e entry
}

// picked is what a lane may hand out, or the segment that must be loaded to know.
type picked struct {
	refs          []ref
	bytes, points int
	weight        int
	load          *segment
	opts          *Options
}

// add takes a record in and says whether there was room for it.
func (p *picked) add(s *segment, i int) bool {
	e := s.index[i]
	if len(p.refs) > 0 && (p.bytes+int(e.raw) > p.opts.BatchBytes || p.points+int(e.points) > p.opts.BatchPoints || len(p.refs) >= 4096) {
		return false
	}
	p.refs = append(p.refs, ref{s, i, e})
	p.bytes += int(e.raw)
	p.weight += e.weight()
	p.points += int(e.points)
	s.take(i, e.points)
	return true
}

// ready says whether the segment's index is there; if not and nothing was picked yet, it is to be loaded.
func (p *picked) ready(q *Queue, s *segment) bool {
	if s.index == nil {
		if len(p.refs) == 0 {
			p.load = s
		}
		return false
	}
	q.seq++
	s.used = q.seq
	return true
}

// pick marks the records of the next batch as handed out.
func (q *Queue) pick(l *lane) (picked, <-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := picked{opts: &q.opts}
	if q.closed {
		return p, nil, ErrClosed
	}
	if l.out < q.opts.InFlightBytes {
		floor := q.marks.floor(q.opts.uptime(), q.opts.FreshFor, q.next)
		if l.fresh {
			q.pickNewest(&p, floor)
		} else {
			if q.fresh.waiting == 0 || q.fresh.out >= q.opts.InFlightBytes {
				floor = q.next
			}
			q.pickOldest(&p, floor)
		}
		l.out += p.weight
	}
	return p, q.changed, nil
}

func (q *Queue) pickNewest(p *picked, floor uint64) {
	defer func() { slices.Reverse(p.refs) }()
	for _, s := range slices.Backward(q.segs) {
		if s.next() <= floor {
			return
		}
		if s.free() <= 0 {
			continue
		}
		if !p.ready(q, s) {
			return
		}
		low := int(max(floor, s.base) - s.base)
		for i := lastFree(s.acked, s.taken, low, s.span); i >= 0; i = lastFree(s.acked, s.taken, low, i) {
			if !p.add(s, i) {
				return
			}
		}
	}
}

// pickOldest takes from the oldest, but nothing from limit on.
func (q *Queue) pickOldest(p *picked, limit uint64) {
	for _, s := range q.segs {
		if s.base >= limit {
			return
		}
		if s.free() <= 0 {
			continue
		}
		n := int(min(limit-s.base, uint64(s.span)))
		if !p.ready(q, s) {
			return
		}
		for i := firstFree(s.acked, s.taken, 0, n); i >= 0; i = firstFree(s.acked, s.taken, i+1, n) {
			if !p.add(s, i) {
				return
			}
		}
	}
}

// handle returns the segment's file. The caller has readMu.
func (s *segment) handle() (*os.File, error) {
	if s.file != nil {
		return s.file, nil
	}
	f, err := os.Open(s.path)
	s.file = f
	return f, err
}

// load reads a segment's index from its file, and finds out by that what of it is damaged.
func (q *Queue) load(s *segment) {
	q.readMu.Lock()
	defer q.readMu.Unlock()
	q.mu.Lock()
	skip := s.index != nil || s.gone != ""
	q.mu.Unlock()
	if skip {
		return
	}
	index := make([]entry, s.span)
	res := scanned{goodHead: false}
	f, err := s.handle()
	if err == nil {
		res = scan(f, s.size, s.base, func(off int64, h header) {
			if i := int(h.seq - s.base); i < len(index) {
				index[i] = entry{off: uint32(off), stored: h.stored, raw: h.raw, points: h.points, age: tenths(h.time - s.first)}
			}
		})
	}
	q.mu.Lock()
	lost, points := s.recount(index)
	q.n.drop(DroppedDamaged, lost, points)
	q.seq++
	s.used = q.seq
	bad := (res.damaged() || lost > 0) && !s.damaged
	s.damaged = s.damaged || bad
	if s.done() {
		q.detachLocked(s, goneDone)
	}
	q.mu.Unlock()
	switch {
	case err != nil:
		q.name(s.path, "cannot be read: "+err.Error())
	case bad:
		q.name(s.path, damage(res, lost))
	}
	q.evict()
	q.emptyTrash()
}

// evict forgets the indexes of all but the sealed segments used last. The caller has readMu.
func (q *Queue) evict() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		var oldest *segment
		n := 0
		for _, s := range q.segs {
			if s != q.active && s.index != nil {
				if n++; oldest == nil || s.used < oldest.used {
					oldest = s
				}
			}
		}
		if n <= maxLoaded {
			return
		}
		oldest.index = nil
		if oldest.file != nil {
			_ = oldest.file.Close()
			oldest.file = nil
		}
	}
}

// read reads what was picked. It returns nil when nothing is left of it.
func (q *Queue) read(l *lane, p picked) *Batch {
	b := &Batch{q: q, l: l, refs: make([]ref, 0, len(p.refs)), Records: make([]Record, 0, len(p.refs))}
	now := q.clock.now()
	q.readMu.Lock()
	for _, r := range p.refs {
		h, data, err := q.readRecord(&r)
		switch age := time.Duration(max(now-h.time, 0)) * time.Millisecond; {
		case err != nil:
			q.lost(l, r, DroppedDamaged, err)
		case age > q.opts.MaxAge:
			q.lost(l, r, DroppedAge, nil)
		default:
			b.refs = append(b.refs, r)
			b.Records = append(b.Records, Record{Data: data, Meta: Meta{Points: int(h.points), Kind: h.kind}, Seq: h.seq, Age: age})
		}
	}
	q.evict()
	q.emptyTrash()
	q.readMu.Unlock()
	if len(b.refs) == 0 {
		return nil
	}
	b.done = make([]bool, len(b.refs))
	return b
}

// readRecord reads one record, checks and unpacks it. The caller has readMu.
func (q *Queue) readRecord(r *ref) (header, []byte, error) {
	f, err := r.s.handle()
	if err != nil {
		return header{}, nil, err
	}
	n := recordHeader + int(r.e.stored)
	if cap(q.scratch) < n {
		q.scratch = make([]byte, max(n, 64<<10))
	}
	b := q.scratch[:n]
	if _, err := f.ReadAt(b, int64(r.e.off)); err != nil {
		return header{}, nil, err
	}
	h, payload, err := parseRecord(b)
	if err != nil {
		return header{}, nil, err
	}
	if h.seq != r.s.base+uint64(r.i) || h.stored != r.e.stored || h.codec == codecFooter {
		return header{}, nil, fmt.Errorf("%w: another record is there", errDamaged)
	}
	data, err := q.codec.unpack(h, payload)
	return h, data, err
}

// lost gives a record up that was picked: it is damaged or too old.
func (q *Queue) lost(l *lane, r ref, reason string, why error) {
	q.mu.Lock()
	l.out -= r.e.weight()
	r.s.untake(r.i, r.e.points)
	if r.s.gone != "" { // dropped between picking and reading
		q.n.drop(r.s.gone, 1, uint64(r.e.points))
		q.mu.Unlock()
		return
	}
	if r.s.ack(r.i, r.e.points) {
		q.n.drop(reason, 1, uint64(r.e.points))
		q.dirty = true
	}
	bad := reason == DroppedDamaged && !r.s.damaged
	r.s.damaged = r.s.damaged || bad
	if r.s.done() {
		q.detachLocked(r.s, goneDone)
	}
	q.mu.Unlock()
	if reason == DroppedAge {
		q.dropping(DroppedAge, 1)
	}
	if bad {
		q.name(r.s.path, fmt.Sprintf("cannot be read at record %d: %v", r.s.base+uint64(r.i), why))
	}
}
