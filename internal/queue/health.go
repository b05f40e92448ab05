package queue

import (
	"sync"
	"time"
)

// Reasons of a condition, as Health gives them.
const (
	// ReasonClosed: the queue was closed.
	ReasonClosed = "Closed"
	// ReasonDiskFull: no records are taken because the disk has no room.
	ReasonDiskFull = "DiskFull"
	// ReasonWriteFailed: the last write failed.
	ReasonWriteFailed = "WriteFailed"
	// ReasonSyncFailed: the disk does not confirm; the newest records would not survive a power cut.
	ReasonSyncFailed = "SyncFailed"
	// ReasonReadFailed: a segment cannot be read at present; nothing is lost by that.
	ReasonReadFailed = "ReadFailed"
	// ReasonDropping: the oldest records were dropped in the last minute, because of the size or the age limit.
	ReasonDropping = "Dropping"
	// ReasonCursor: what was acknowledged cannot be written down.
	ReasonCursor = "CursorFailed"
	// ReasonDamaged: something damaged was found and set aside since the queue was opened.
	ReasonDamaged = "Damaged"
)

// order is the order of weight; the first condition that holds is the one Health tells. Those before healthyFrom mean
// that no records are taken.
var order = [...]string{ReasonClosed, ReasonDiskFull, ReasonWriteFailed, ReasonSyncFailed, ReasonReadFailed, ReasonDropping, ReasonCursor, ReasonDamaged}

const healthyFrom = 3

// Health is the queue's state for /readyz, the page and doctor. OK means that it takes records; a reason may be given
// all the same.
type Health struct {
	OK      bool      `json:"ok"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

type condition struct {
	message       string
	since, latest time.Time
}

// conditions are what is wrong at present, by reason.
type conditions struct {
	mu    sync.Mutex
	holds map[string]condition
}

// set makes a condition hold and says whether it did not before.
func (c *conditions) set(reason, message string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds == nil {
		c.holds = map[string]condition{}
	}
	old, was := c.holds[reason]
	if !was {
		old.since = now
	}
	c.holds[reason] = condition{message, old.since, now}
	return !was
}

// clear ends a condition and says whether it held.
func (c *conditions) clear(reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, was := c.holds[reason]
	delete(c.holds, reason)
	return was
}

// expire ends a condition that was not set again for so long, or whose time lies in the future (the clock stepped).
func (c *conditions) expire(reason string, now time.Time, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x, ok := c.holds[reason]; ok && (now.Sub(x.latest) > after || now.Before(x.latest)) {
		delete(c.holds, reason)
	}
}

// Health returns the weightiest condition that holds.
func (q *Queue) Health() Health {
	q.mu.Lock()
	closed := q.closed
	q.mu.Unlock()
	if closed {
		return Health{Reason: ReasonClosed, Message: ErrClosed.Error()}
	}
	q.cond.mu.Lock()
	defer q.cond.mu.Unlock()
	for i, reason := range order {
		if x, ok := q.cond.holds[reason]; ok {
			return Health{OK: i >= healthyFrom, Reason: reason, Message: x.message, Since: x.since}
		}
	}
	return Health{OK: true}
}
