package queue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"plimsoll.dev/plimsoll/internal/disk"
)

// Append accepts a record, which the caller may reuse afterwards. When it returns nil the record survives kill -9 at once
// and a power cut after Options.SyncEvery. When it returns an error nothing is promised, and what was not accepted is
// counted: ErrFull without room on the disk, ErrTooLarge, ErrClosed, or what the system said.
func (q *Queue) Append(ctx context.Context, record []byte, m Meta) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.Points = min(max(m.Points, 0), math.MaxUint32)
	if len(record) == 0 || len(record) > q.opts.maxRecord {
		q.refuse(RefusedTooLarge, m)
		return fmt.Errorf("cannot queue record of \"%d\" bytes (at most %d): %w", len(record), q.opts.maxRecord, ErrTooLarge)
	}
	buf, codec := q.codec.pack(q.buffer(), record)
	defer q.reuse(buf)
	h := header{stored: uint32(len(buf) - recordHeader), raw: uint32(len(record)), points: uint32(m.Points), kind: m.Kind, codec: codec}
	seq, err := q.write(buf, h)
	switch {
	case err == nil:
	case errors.Is(err, ErrClosed):
		return err
	case isFull(err):
		q.refuse(RefusedFull, m)
		return fmt.Errorf("cannot queue record: %w", errors.Join(ErrFull, err))
	default:
		q.refuse(RefusedError, m)
		return fmt.Errorf("cannot queue record: %w", err)
	}
	if q.opts.SyncEvery == 0 {
		if err := q.sync(seq); err != nil {
			return fmt.Errorf("cannot put record on the disk: %w", err)
		}
	}
	return nil
}

// buffer returns memory to pack a record in, with room for its header.
func (q *Queue) buffer() []byte {
	select {
	case b := <-q.buffers:
		return b[:recordHeader]
	default:
		return make([]byte, recordHeader, 64<<10)
	}
}

func (q *Queue) reuse(b []byte) {
	select {
	case q.buffers <- b:
	default:
	}
}

func (q *Queue) refuse(reason string, m Meta) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n.drop(reason, 1, uint64(m.Points))
}

// write puts a record behind the last one and returns its number.
func (q *Queue) write(buf []byte, h header) (uint64, error) {
	q.appendMu.Lock()
	defer q.appendMu.Unlock()
	q.mu.Lock()
	closed := q.closed
	q.mu.Unlock()
	if closed {
		return 0, ErrClosed
	}
	if err := q.room(int64(len(buf))); err != nil {
		return 0, err
	}
	s, err := q.tail(int64(len(buf)))
	if err != nil {
		q.failed("begin a segment", err)
		return 0, err
	}
	h.seq, h.time = q.next, q.clock.now() // next is only changed with appendMu as well
	stamp(buf, h)
	if _, err := q.opts.disk.write(s.file, buf, s.size); err != nil {
		q.failed("write", err)
		q.cut(s)
		return 0, err
	}
	if len(q.cond.Clear(ReasonDiskFull, ReasonWriteFailed)) > 0 {
		q.log.Info("queue accepts records again")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s.grow(s.size, h)
	s.size += int64(len(buf))
	q.bytes += int64(len(buf))
	q.next++
	q.n.appended++
	q.n.appendedPoints += uint64(h.points)
	q.n.wroteBytes += uint64(len(buf))
	q.n.rawBytes += uint64(h.raw)
	q.marks.note(q.opts.uptime(), h.seq, q.opts.FreshFor)
	q.wakeLocked()
	return h.seq, nil
}

// cut undoes what a failed write left behind. If that cannot be done the segment is given up as the active one: what
// is behind its last record is cut when it is opened next.
func (q *Queue) cut(s *segment) {
	if err := s.file.Truncate(s.size); err == nil {
		return
	}
	q.syncMu.Lock()
	defer q.syncMu.Unlock()
	_ = q.put(s) // a failure is noted there
	q.mu.Lock()
	defer q.mu.Unlock()
	s.sealed, q.active = true, nil
}

// room refuses when the disk has less than is kept free. It asks at most once a second, more often when there was none.
func (q *Queue) room(need int64) error {
	if q.opts.minFree < 0 {
		return nil
	}
	now := q.opts.uptime()
	if !q.noRoom && q.checked != 0 && now-q.checked < time.Second {
		return nil
	}
	q.checked = now
	free, err := q.opts.disk.free(q.opts.Dir)
	if err != nil {
		return nil //nolint:nilerr // the write itself will tell
	}
	if q.noRoom = free-need < q.opts.minFree; q.noRoom {
		err := fmt.Errorf("the disk of %q has %s left, %s are kept free: %w", q.opts.Dir, disk.Size(free), disk.Size(q.opts.minFree), ErrFull)
		q.failed("write", err)
		return err
	}
	return nil
}

// isFull says whether an error means that there is no room.
func isFull(err error) bool { return errors.Is(err, ErrFull) || disk.CauseOf(err) == disk.Full }

// failed notes that records are not accepted at present.
func (q *Queue) failed(doing string, err error) {
	reason := ReasonWriteFailed
	if isFull(err) {
		reason = ReasonDiskFull
	}
	if q.cond.Say(reason, fmt.Sprintf("cannot %s in %q: %v", doing, q.opts.Dir, disk.Explain(err))) {
		q.log.Warn("queue accepts no records at present", "doing", doing, "reason", reason, "err", err)
	}
}

// tail returns the segment that gets the next record of so many bytes. It drops the oldest segments if the queue would get too large. The
// caller has appendMu.
func (q *Queue) tail(need int64) (*segment, error) {
	q.mu.Lock()
	s, next := q.active, q.next
	full := s != nil && s.span > 0 && (s.size+need > q.opts.SegmentBytes || next-s.base >= maxRecords)
	q.mu.Unlock()
	if full {
		q.seal(s)
		q.readMu.Lock()
		q.evict()
		q.readMu.Unlock()
		s = nil
	}
	q.makeRoom(need + segmentHeader + footerBytes)
	if s != nil {
		return s, nil
	}
	s, err := createSegment(q.opts.disk, q.opts.Dir, next)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		if errors.Is(err, os.ErrExist) { // what is in the way holds no record of this queue: leave it be
			q.next++
		}
		return nil, err
	}
	q.active, q.segs = s, append(q.segs, s)
	q.bytes += s.size
	q.dirty = true
	return s, nil
}

// seal ends the active segment with a footer and puts it on the disk. The footer is only a help; without it the segment is read when
// the queue is opened. The caller has appendMu.
func (q *Queue) seal(s *segment) {
	q.mu.Lock()
	b := footer{records: uint32(s.records), points: s.points, first: s.first, last: s.last, next: s.next()}.record()
	q.mu.Unlock()
	_, err := q.opts.disk.write(s.file, b, s.size)
	grown := int64(len(b))
	if err != nil {
		_ = s.file.Truncate(s.size)
		grown = 0
	}
	q.mu.Lock()
	q.n.wroteBytes += uint64(grown)
	s.size += grown
	q.bytes += grown
	q.mu.Unlock()
	q.syncMu.Lock()
	err = q.put(s)
	q.syncMu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	s.sealed, q.active = true, nil
	if err == nil {
		q.synced = max(q.synced, s.next())
	}
	if s.done() {
		q.detachLocked(s, goneDone)
	}
}

// makeRoom drops the oldest segments until so many more bytes are within the limit. The caller has appendMu.
func (q *Queue) makeRoom(need int64) {
	dropped, records := 0, 0
	q.mu.Lock()
	for q.bytes+need > q.opts.MaxBytes && len(q.segs) > 0 && q.segs[0] != q.active {
		n, _ := q.segs[0].unacked()
		records += n
		q.detachLocked(q.segs[0], DroppedSize)
		dropped++
	}
	q.mu.Unlock()
	if dropped == 0 {
		return
	}
	q.dropping(DroppedSize, records)
	q.readMu.Lock()
	q.emptyTrash()
	q.readMu.Unlock()
}

// dropping tells that records are lost to a limit.
func (q *Queue) dropping(reason string, records int) {
	if records == 0 {
		return
	}
	limit := disk.Size(q.opts.MaxBytes)
	if reason == DroppedAge {
		limit = q.opts.MaxAge.String()
	}
	if q.cond.SayFor(droppingFor, ReasonDropping, fmt.Sprintf("the oldest records are dropped: the queue's limit is %s", limit)) {
		q.log.Warn("queue drops its oldest records", "limit", reason, "records", records)
	}
}
