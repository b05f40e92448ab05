package queue

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/disk"
)

// Errors that callers can test for with errors.Is.
var (
	// ErrFull is a disk without room; the record was not accepted, and was counted.
	ErrFull = errors.New("queue accepts no records at present: disk is full")
	// ErrTooLarge is a record that is empty or longer than is accepted.
	ErrTooLarge = errors.New("record is empty or too long")
	// ErrClosed is a queue that was closed.
	ErrClosed = errors.New("queue is closed")
)

// Meta is what the queue knows about a record beside its bytes.
type Meta struct {
	// Points is how many points (lines) the record holds; what is lost is counted in records and in points, and a batch
	// is bounded by them.
	Points int
	// Kind is the owner's to use, for instance to tell encodings apart.
	Kind uint8
}

// Queue is a durable queue. All methods are safe for concurrent use. Locks are acquired in the order appendMu, cursorMu, syncMu,
// readMu, mu; mu is never held over a question to the disk, so that Stats and Health always answer.
type Queue struct {
	opts  Options
	log   *slog.Logger
	dir   *disk.Folder
	codec *codec
	clock *ageClock
	dead  *deadLetters
	cond  *condition.Set
	met   *metrics

	buffers  chan []byte // for records that are packed
	appendMu sync.Mutex  // one record is written at a time
	checked  time.Duration
	noRoom   bool

	syncMu sync.Mutex
	synced uint64 // all numbers below are on the disk

	cursorMu sync.Mutex // the cursor is replaced by one at a time

	readMu  sync.Mutex // files that are read, and indexes while they are loaded
	scratch []byte     // belongs to readMu; the longest record that was read

	mu      sync.Mutex
	closed  bool
	segs    []*segment // oldest first; the last may be active
	active  *segment   // nil: the next Append begins one
	next    uint64     // the number of the next record
	bytes   int64      // of all segments
	trash   []*segment // no longer part of the queue; their files are to go
	seq     uint64     // ticks on every use of an index
	marks   marks
	fresh   lane
	backlog lane
	changed chan struct{} // closed and replaced when a waiting reader may find something
	dirty   bool          // the cursor is not what was last written
	written time.Duration // when the cursor was written
	n       counts
	left    uint64 // the lowest segment that was left where it is when the queue was opened; maxSeq if none was
}

// Close puts everything on the disk and gives the folder up. Readers get ErrClosed; batches that are still out are
// handed out again after the next Open. Close may be called more than once.
func (q *Queue) Close() error {
	q.mu.Lock()
	was := q.closed
	q.closed = true
	q.wakeLocked()
	q.mu.Unlock()
	if was {
		return nil
	}
	q.cond.Say(ReasonClosed, ErrClosed.Error())
	q.appendMu.Lock()
	defer q.appendMu.Unlock()
	err := q.flush(true)
	q.readMu.Lock()
	defer q.readMu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range slices.Concat(q.segs, q.trash) {
		if s.file != nil {
			_ = s.file.Close()
			s.file = nil
		}
	}
	q.met.unregister()
	q.codec.close()
	return errors.Join(err, q.dead.close(), q.dir.Release())
}

// wakeLocked lets waiting readers try again. The caller has mu.
func (q *Queue) wakeLocked() {
	if q.fresh.waiting+q.backlog.waiting > 0 || q.closed {
		close(q.changed)
		q.changed = make(chan struct{})
	}
}

// detachLocked removes a segment of the queue; emptyTrash deletes its file. The records that are neither acknowledged nor
// handed out are counted as dropped; those handed out are when they come back. The caller has mu.
func (q *Queue) detachLocked(s *segment, reason string) {
	i := slices.Index(q.segs, s)
	if i < 0 {
		return
	}
	q.segs = slices.Delete(q.segs, i, i+1)
	q.trash = append(q.trash, s)
	q.bytes -= s.size
	q.dirty = true
	if q.active == s {
		q.active = nil
	}
	s.gone = reason
	if reason == goneDone {
		return
	}
	records, points := s.unacked()
	q.n.drop(reason, records-s.leasedN, points-min(points, s.leasedPoints))
}

// emptyTrash deletes the files of detached segments, or sets them aside when they are damaged. The caller has readMu.
func (q *Queue) emptyTrash() {
	q.mu.Lock()
	trash := q.trash
	q.trash = nil
	q.mu.Unlock()
	var left []*segment
	for _, s := range trash {
		if s.file != nil {
			_ = s.file.Close()
			s.file = nil
		}
		var err error
		if s.damaged {
			err = q.setAside(s.path)
		} else {
			err = os.Remove(s.path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			if q.cond.Say(ReasonWriteFailed, "cannot remove segment: "+err.Error()) {
				q.log.Warn("segment cannot be removed", "segment", s.path, "err", err)
			}
			left = append(left, s)
		}
	}
	if len(left) > 0 {
		q.mu.Lock()
		q.trash = append(q.trash, left...)
		q.mu.Unlock()
	}
}

// Run syncs, remembers what was acknowledged, and drops what is too old, until ctx ends; then it does the first two once more.
func (q *Queue) Run(ctx context.Context) error {
	every := q.opts.SyncEvery
	if every == 0 || every > time.Hour {
		every = min(max(every, time.Second), time.Hour)
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = q.flush(true) // what fails is in Health
			return nil
		case <-t.C:
			q.tick()
		}
	}
}

// tick is what Run does every time.
func (q *Queue) tick() {
	if err := q.flush(false); errors.Is(err, ErrClosed) {
		return
	}
	q.expire()
	q.readMu.Lock()
	q.emptyTrash()
	q.readMu.Unlock()
}
