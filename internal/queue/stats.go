package queue

import (
	"maps"
	"time"
)

// Reasons for which a record is dropped after it was acknowledged (DroppedSize, DroppedAge, DroppedDamaged), or not accepted in the first
// place (the others).
const (
	DroppedSize     = "size"
	DroppedAge      = "age"
	DroppedDamaged  = "damaged"
	RefusedFull     = "disk_full"
	RefusedTooLarge = "too_large"
	RefusedError    = "write_failed"
)

func reasons() []string {
	return []string{DroppedSize, DroppedAge, DroppedDamaged, RefusedFull, RefusedTooLarge, RefusedError}
}

// Count is a number of records and of the points in them.
type Count struct {
	Records, Points uint64
}

// Stats is a snapshot of the queue. Counts are since Open.
type Stats struct {
	Records   int    // on disk and not acknowledged, those in flight included
	Points    uint64 // in these
	Bytes     int64  // of the segments on disk
	Segments  int
	InFlight  int           // records handed out
	OldestAge time.Duration // of the oldest record that is not acknowledged; zero if there is none

	Appended, Delivered, Dead Count
	// Dropped has what was lost or not accepted, by reason.
	Dropped map[string]Count
	// DeadDropped is how many dead letters were dropped because there were too many.
	DeadDropped uint64
	// SetAside is how many damaged files were found.
	SetAside uint64
	// TornBytes is what was cut from the end of a segment by an unclean end.
	TornBytes uint64
	// SyncErrors is how often fsync failed.
	SyncErrors uint64
	// RawBytes were appended; WrittenBytes were written for them, cursors and footers included.
	RawBytes, WrittenBytes uint64
}

// counts are what Stats tells since Open. They belong to Queue.mu.
type counts struct {
	appended, appendedPoints   uint64
	delivered, deliveredPoints uint64
	dropped                    map[string]Count
	setAside, syncErrors       uint64
	torn                       int64
	rawBytes, wroteBytes       uint64
}

func (n *counts) drop(reason string, records int, points uint64) {
	if records <= 0 && points == 0 {
		return
	}
	if n.dropped == nil {
		n.dropped = map[string]Count{}
	}
	c := n.dropped[reason]
	n.dropped[reason] = Count{c.Records + uint64(max(records, 0)), c.Points + points}
}

// Stats returns a snapshot of the queue. It does not touch the disk.
func (q *Queue) Stats() Stats {
	dead, deadDropped := Count{q.dead.letters.Load(), q.dead.points.Load()}, q.dead.dropped.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{Bytes: q.bytes, Segments: len(q.segs), Dead: dead, DeadDropped: deadDropped,
		Appended: Count{q.n.appended, q.n.appendedPoints}, Delivered: Count{q.n.delivered, q.n.deliveredPoints},
		Dropped: maps.Clone(q.n.dropped), SetAside: q.n.setAside, TornBytes: uint64(q.n.torn), SyncErrors: q.n.syncErrors,
		RawBytes: q.n.rawBytes, WrittenBytes: q.n.wroteBytes}
	for _, g := range q.segs {
		n, points := g.unacked()
		if s.Records == 0 && n > 0 {
			s.OldestAge = max(time.Duration(q.clock.now()-g.oldest())*time.Millisecond, 0)
		}
		s.Records += n
		s.Points += points
		s.InFlight += g.leasedN
	}
	return s
}

// oldest is the time of the oldest record that is not acknowledged, or of the segment's first if the index is not there.
func (s *segment) oldest() int64 {
	if s.index == nil {
		return s.first
	}
	i := firstFree(s.acked, nil, 0, s.span)
	if i < 0 {
		return s.last
	}
	return s.first + int64(s.index[i].age)*100
}
