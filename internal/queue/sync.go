package queue

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// rewriteAfter is how old the cursor may get although nothing changed: its clocks are needed after a reboot.
const rewriteAfter = 10 * time.Minute

// sync puts all records up to a number on the disk. Callers that come at the same time share one fsync. What is in doubt in
// other segments is tried again, and does not fail the caller.
func (q *Queue) sync(seq uint64) error {
	q.syncMu.Lock()
	defer q.syncMu.Unlock()
	q.mu.Lock()
	var doubted []*segment
	for _, s := range q.segs {
		if s.doubt && s != q.active {
			doubted = append(doubted, s)
		}
	}
	s, next := q.active, q.next
	done := q.synced > seq || s == nil || s.file == nil // without one: sealed meanwhile, and synced by that
	q.mu.Unlock()
	bad := false
	for _, d := range doubted {
		bad = q.put(d) != nil || bad
	}
	if !done {
		if err := q.put(s); err != nil {
			return err
		}
		q.mu.Lock()
		q.synced = max(q.synced, next)
		q.mu.Unlock()
	}
	if !bad {
		q.certain()
	}
	return nil
}

// put puts what was written to a segment on the disk. After an fsync that failed the kernel may call its pages clean,
// and the next fsync says nothing of them: they are written once more before it is believed. The caller has syncMu.
func (q *Queue) put(s *segment) error {
	q.mu.Lock()
	f, from, to, doubt := s.file, s.durable, s.size, s.doubt
	q.mu.Unlock()
	began := time.Now()
	var err error
	if doubt {
		err = writeAgain(q.opts.disk, s.path, from, to)
	} else {
		err = q.opts.disk.sync(f)
	}
	q.met.sync.Observe(time.Since(began).Seconds())
	q.mu.Lock()
	if s.gone != "" { // nothing of it is needed any more
		err = nil
	}
	s.doubt = err != nil
	if err == nil {
		s.durable = max(s.durable, to)
	}
	q.mu.Unlock()
	if err != nil {
		q.syncFailed(err)
	}
	return err
}

// certain ends the condition SyncFailed when nothing is in doubt.
func (q *Queue) certain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.segs {
		if s.doubt {
			return
		}
	}
	q.cond.Clear(ReasonSyncFailed)
}

// syncFailed notes that what was appended may not survive a power cut; it is in the kernel's hands still.
func (q *Queue) syncFailed(err error) {
	q.mu.Lock()
	q.n.syncErrors++
	q.mu.Unlock()
	if q.cond.Say(ReasonSyncFailed, fmt.Sprintf("cannot sync %q: %v; the newest records would not survive a power cut", q.opts.Dir, err)) {
		q.log.Error("queue cannot be synced", "dir", q.opts.Dir, "err", err)
	}
}

// flush syncs dead letters and records, and replaces the cursor if it changed, in this order: what the cursor calls
// acknowledged because it is a dead letter must be one.
func (q *Queue) flush(closing bool) error {
	q.cursorMu.Lock()
	defer q.cursorMu.Unlock()
	q.mu.Lock()
	if q.closed && !closing {
		q.mu.Unlock()
		return ErrClosed
	}
	last, behind := q.next-1, q.synced < q.next || slices.ContainsFunc(q.segs, func(s *segment) bool { return s.doubt })
	q.mu.Unlock()
	var err error
	if behind {
		err = q.sync(last)
	}
	if derr := q.dead.sync(); derr != nil {
		q.syncFailed(derr)
		return errors.Join(err, derr)
	}
	return errors.Join(err, q.writeCursor(closing))
}

func (q *Queue) writeCursor(always bool) error {
	now := q.opts.uptime()
	q.mu.Lock()
	if !always && !q.dirty && now-q.written < rewriteAfter {
		q.mu.Unlock()
		return nil
	}
	b := q.snapshot()
	q.dirty = false
	q.mu.Unlock()
	path := filepath.Join(q.opts.Dir, "cursor")
	if err := replace(q.opts.disk, path, b); err != nil {
		q.mu.Lock()
		q.dirty = true
		q.mu.Unlock()
		if q.cond.Say(ReasonCursor, fmt.Sprintf("cannot replace %q: %v; after a restart more is sent again", path, err)) {
			q.log.Warn("cursor cannot be replaced", "cursor", path, "err", err)
		}
		return err
	}
	q.cond.Clear(ReasonCursor)
	q.mu.Lock()
	q.written = now
	q.n.wroteBytes += uint64(len(b))
	q.mu.Unlock()
	return nil
}

// snapshot writes the cursor down. The caller has mu.
func (q *Queue) snapshot() []byte {
	c := cursor{next: q.next, low: q.next, at: q.instant()}
	if len(q.segs) > 0 {
		c.low = min(q.segs[0].base, q.next)
	}
	c.low = min(c.low, q.left)
	for _, s := range q.segs {
		if s.ackedN > 0 || len(s.acked) > 0 {
			c.segs = append(c.segs, ackedSegment{base: s.base, span: s.span, records: s.ackedN, points: s.ackedPoints, bits: s.acked})
		}
	}
	return c.encode()
}
