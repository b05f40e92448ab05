package queue

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/disk"
)

// Open opens the queue in a folder, or makes it. It reads no more of the backlog than the footers of its segments and
// the whole of the last one.
func Open(o Options) (*Queue, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	dir, err := disk.Claim("queue folder", o.Dir)
	if err != nil {
		return nil, err
	}
	q := &Queue{opts: o, log: o.Logger.With("component", "queue"), dir: dir, cond: newConditions(o.now), changed: make(chan struct{}), buffers: make(chan []byte, 2), left: maxSeq}
	q.fresh.fresh = true
	if err := q.open(); err != nil {
		_ = dir.Release()
		return nil, err
	}
	return q, nil
}

func (q *Queue) open() (err error) {
	if q.codec, err = newCodec(); err != nil {
		return err
	}
	c := q.readCursor()
	if err := q.readSegments(c); err != nil {
		return err
	}
	newest := int64(0)
	q.next = max(c.next, q.next, 1)
	for _, s := range q.segs {
		newest, q.next, q.bytes = max(newest, s.last), max(q.next, s.next()), q.bytes+s.size
		s.durable = s.size // the last is seen to by syncLast
	}
	q.synced = q.next
	q.clock = wake(&q.opts, c.at, newest)
	q.continueLast()
	q.syncLast()
	q.dead = newDead(&q.opts)
	if q.met, err = newMetrics(q.opts.Registerer, q); err != nil {
		return fmt.Errorf("cannot register the queue's metrics: %w", err)
	}
	q.dirty = true
	q.readMu.Lock()
	defer q.readMu.Unlock()
	q.emptyTrash()
	return nil
}

// readCursor reads the cursor; a damaged one is set aside, and then everything on disk is handed out again.
func (q *Queue) readCursor() cursor {
	path := filepath.Join(q.opts.Dir, "cursor")
	b, err := disk.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return cursor{}
	}
	c, err2 := parseCursor(b)
	if err = errors.Join(err, err2); err == nil {
		return c
	}
	q.n.setAside++
	message := fmt.Sprintf("cursor %q is damaged and was set aside: what is on disk is sent again", path)
	q.cond.Say(ReasonDamaged, message)
	q.log.Warn("cursor is damaged and set aside, what is on disk is sent again", "cursor", path, "err", err)
	if err := q.setAside(path); err != nil {
		q.log.Warn("cursor cannot be set aside", "cursor", path, "err", err)
	}
	return cursor{}
}

// readSegments finds the segments, and what the cursor says about them.
func (q *Queue) readSegments(c cursor) error {
	names, err := os.ReadDir(q.opts.Dir)
	if err != nil {
		return fmt.Errorf("cannot read queue folder %q: %w", q.opts.Dir, err)
	}
	acked := map[uint64]*ackedSegment{}
	for i := range c.segs {
		acked[c.segs[i].base] = &c.segs[i]
	}
	for _, e := range names {
		path := filepath.Join(q.opts.Dir, e.Name())
		if strings.HasSuffix(e.Name(), ".tmp") {
			_ = os.Remove(path)
		}
		base, ok := segmentBase(e.Name())
		if !ok {
			continue
		}
		s, err := q.openSegment(path, base, acked[base])
		if passing(err) { // tried again when the queue is opened next
			q.name(path, "cannot be read at present, it is left where it is: "+err.Error())
			q.left = min(q.left, base)
			continue
		}
		if err != nil {
			q.name(path, "cannot be read, it is set aside whole: "+err.Error())
			if err := q.setAside(path); err != nil {
				q.left = min(q.left, base)
				q.log.Error("segment cannot be set aside, it is left where it is", "segment", path, "err", err)
			}
			continue
		}
		q.segs = append(q.segs, s)
		q.next = max(q.next, s.next())
		if s.next() <= c.low || s.records == s.ackedN {
			s.sealed = true
			q.detachLocked(s, goneDone)
			q.bytes += s.size // it was not counted yet
		}
	}
	slices.SortFunc(q.segs, func(a, b *segment) int { return cmp.Compare(a.base, b.base) })
	return nil
}

// openSegment finds out what a segment holds: from its footer, or by reading it when it has none. A torn tail is cut.
func (q *Queue) openSegment(path string, base uint64, acked *ackedSegment) (*segment, error) {
	f, err := disk.Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSegment {
		return nil, fmt.Errorf("it has %d bytes, more than any segment", info.Size())
	}
	s := &segment{base: base, path: path, size: info.Size()}
	if acked != nil {
		s.acked = acked.bits
	}
	if s.readFooter(f) {
		s.sealed = true
		if acked != nil && acked.span <= s.span {
			s.ackedN, s.ackedPoints = min(acked.records, s.records), min(acked.points, s.points)
		} else {
			s.acked = nil
		}
		return s, nil
	}
	return s, q.readWhole(s, f)
}

// readFooter reads a sealed segment's sum from its end.
func (s *segment) readFooter(f *os.File) bool {
	b := make([]byte, footerBytes)
	head := make([]byte, segmentHeader)
	if s.size < segmentHeader+footerBytes {
		return false
	}
	if _, err := f.ReadAt(b, s.size-footerBytes); err != nil {
		return false
	}
	if _, err := f.ReadAt(head, 0); err != nil {
		return false
	}
	ft, ok := parseFooter(b)
	if !ok || !goodHead(head, s.base) || ft.next < s.base || ft.next-s.base > maxRecords || uint64(ft.records) > ft.next-s.base {
		return false
	}
	s.span, s.records, s.points, s.first, s.last = int(ft.next-s.base), int(ft.records), ft.points, ft.first, ft.last
	return true
}

// readWhole scans a segment without a footer: the one that was being written when the last process ended, or a damaged one.
func (q *Queue) readWhole(s *segment, f *os.File) error {
	if s.size < segmentHeader { // the process ended between making it and writing its header
		s.acked, s.sealed = nil, true
		return nil
	}
	acked := s.acked
	s.acked = nil
	res := scan(f, s.size, s.base, s.grow)
	if res.err != nil {
		return res.err
	}
	lost := 0
	if res.damaged() {
		for i := range s.span {
			if s.index[i].off == 0 && !acked.has(i) {
				lost++
			}
		}
		s.damaged, s.sealed = true, true
		q.n.drop(DroppedDamaged, lost, 0)
		q.name(s.path, damage(res, lost))
	}
	for i := range s.span {
		if acked.has(i) {
			s.acked.set(i)
		}
	}
	s.recount(s.index)
	if s.damaged || res.sealed || res.tail == 0 {
		s.sealed = s.sealed || res.sealed
		return nil
	}
	q.n.torn += res.tail
	q.log.Info("torn tail is cut, it was never acknowledged", "segment", s.path, "bytes", res.tail)
	if err := disk.Cut(s.path, res.end); err != nil {
		s.sealed = true // it can be read, and nothing more is written behind the tail
		q.log.Warn("torn tail cannot be cut", "segment", s.path, "err", err)
		return nil
	}
	s.size = res.end
	return nil
}

func damage(res scanned, lost int) string {
	if !res.goodHead && res.bad == 0 && res.tail == 0 {
		return "has a damaged header; all its records are there"
	}
	return fmt.Sprintf("is damaged (%d bytes); records lost that are known of: %d", res.bad+res.tail, lost)
}

// continueLast makes the last segment the active one, if it was not sealed; any other is sealed by that.
func (q *Queue) continueLast() {
	for i, s := range q.segs {
		last := i == len(q.segs)-1
		if s.sealed || s.damaged || !last || s.size < segmentHeader || s.size >= q.opts.SegmentBytes || q.next-s.base >= maxRecords {
			s.sealed = true
			if i < len(q.segs)-1 {
				s.index = nil // loaded again when it is read
			}
			continue
		}
		f, err := disk.Open(s.path, os.O_RDWR)
		if err != nil {
			s.sealed = true
			continue
		}
		s.file, q.active = f, s
	}
}

// syncLast puts the last segment on the disk: the process that wrote it may have been killed before it did. All others were
// synced when they were sealed.
func (q *Queue) syncLast() {
	if len(q.segs) == 0 {
		return
	}
	last := q.segs[len(q.segs)-1]
	f, err := disk.Open(last.path, os.O_RDONLY)
	if err == nil {
		err = errors.Join(q.opts.disk.sync(f), q.opts.disk.syncDir(q.opts.Dir), f.Close())
	}
	if err != nil {
		q.synced, last.durable, last.doubt = last.base, 0, true
		q.syncFailed(err)
	}
}

// name tells of a damaged segment, in Health, the log and the metrics. The caller does not have mu.
func (q *Queue) name(path, what string) {
	q.mu.Lock()
	q.n.setAside++
	q.mu.Unlock()
	q.cond.Say(ReasonDamaged, fmt.Sprintf("segment %q %s", filepath.Base(path), what))
	q.log.Warn("segment is damaged", "segment", path, "what", what)
}
