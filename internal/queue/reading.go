package queue

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// maxLoaded is how many indexes of sealed segments are kept.
const maxLoaded = 3

// handle returns the segment's file. The caller has readMu.
func (s *segment) handle(d files) (*os.File, error) {
	if s.file != nil {
		return s.file, nil
	}
	f, err := d.open(s.path)
	s.file = f
	return f, err
}

// load reads a segment's index from its file, and finds out by that what of it is damaged. On an error, which may pass,
// it did nothing.
func (q *Queue) load(s *segment) error {
	q.readMu.Lock()
	defer q.readMu.Unlock()
	q.mu.Lock()
	skip := s.index != nil || s.gone != "" || q.closed
	q.mu.Unlock()
	if skip {
		return nil
	}
	index := make([]entry, s.span)
	res := scanned{goodHead: false}
	f, err := s.handle(q.opts.disk)
	if err == nil {
		res = scan(f, s.size, s.base, func(off int64, h header) {
			if i := int(h.seq - s.base); i < len(index) {
				index[i] = entry{off: uint32(off), stored: h.stored, raw: h.raw, points: h.points, age: tenths(h.time - s.first)}
			}
		})
	}
	if passing(err) || res.err != nil {
		return errors.Join(err, res.err)
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
	return nil
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

// read reads what was picked. It returns nil when nothing is left of it. An error is one that may pass; what could not be
// read for it is given back.
func (q *Queue) read(l *lane, p picked) (*Batch, error) {
	b := &Batch{q: q, l: l, refs: make([]ref, 0, len(p.refs)), Records: make([]Record, 0, len(p.refs))}
	now := q.clock.now()
	q.readMu.Lock()
	var failed error
	for k, r := range p.refs {
		h, data, err := q.readRecord(&r)
		if passing(err) || errors.Is(err, ErrClosed) {
			q.giveBack(l, p.refs[k:])
			failed = err
			break
		}
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
		return nil, failed
	}
	b.done = make([]bool, len(b.refs))
	return b, nil
}

// giveBack lets others have what was picked.
func (q *Queue) giveBack(l *lane, refs []ref) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range refs {
		q.settleLocked(l, r, false)
	}
}

// readRecord reads one record, checks and unpacks it. The caller has readMu.
func (q *Queue) readRecord(r *ref) (header, []byte, error) {
	q.mu.Lock()
	closed := q.closed
	q.mu.Unlock()
	if closed {
		return header{}, nil, ErrClosed
	}
	f, err := r.s.handle(q.opts.disk)
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
	r.s.release(r.i, r.e.points)
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
