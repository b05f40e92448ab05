package queue

import (
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
)

// Reasons of a condition, as Health gives them.
const (
	// ReasonClosed: the queue was closed.
	ReasonClosed = "Closed"
	// ReasonDiskFull: no records are accepted because the disk has no room.
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

// newConditions makes the queue's conditions, in the order of weight.
func newConditions(now func() time.Time) *condition.Set {
	return &condition.Set{Type: "HistoryWritable", Now: now, Blocks: []string{ReasonClosed, ReasonDiskFull, ReasonWriteFailed},
		Tells: []string{ReasonSyncFailed, ReasonReadFailed, ReasonDropping, ReasonCursor, ReasonDamaged}}
}

// Health says whether the queue accepts records; a reason may be given all the same.
func (q *Queue) Health() condition.Condition { return q.cond.Health() }

// Conditions say what a person should know of the queue: that it accepts no records, or what is wrong though it does.
func (q *Queue) Conditions() []condition.Condition {
	h := q.Health()
	switch {
	case !h.OK():
		return []condition.Condition{h}
	case h.Reason != "":
		return []condition.Condition{condition.Ill("HistoryQueued", h.Reason, h.Message, h.Since)}
	}
	return nil
}
