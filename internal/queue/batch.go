package queue

import (
	"sync"
	"time"
)

// Record is one record that is handed out.
type Record struct {
	// Data is what was appended; the reader may keep and change it.
	Data []byte
	Meta
	// Seq is the record's number; it only rises.
	Seq uint64
	// Age is how long ago it was appended, by the queue's clock.
	Age time.Duration
}

// Batch is what a lane hands out. It must be ended by Ack or Nack, whole or record by record; until then nobody else gets its
// records. Its methods are safe for concurrent use.
type Batch struct {
	// Records are in the order in which they were appended.
	Records []Record

	q    *Queue
	l    *lane
	mu   sync.Mutex
	refs []ref
	done []bool
}

// Points is how many points the records have together.
func (b *Batch) Points() int {
	n := 0
	for i := range b.Records {
		n += b.Records[i].Points
	}
	return n
}

// Ack says that the records were delivered, or are dead letters: they are not handed out again. Those already settled stay as they are.
func (b *Batch) Ack() { b.settle(0, len(b.Records), true) }

// Nack gives the records back that are not settled: they are handed out again, at once if a reader asks.
func (b *Batch) Nack() { b.settle(0, len(b.Records), false) }

// AckRecord is Ack for one record, by its place in Records.
func (b *Batch) AckRecord(i int) { b.settle(i, i+1, true) }

func (b *Batch) settle(from, to int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.q
	q.mu.Lock()
	trash := len(q.trash)
	for i := from; i < to; i++ {
		if !b.done[i] {
			b.done[i] = true
			q.settleLocked(b.l, b.refs[i], ok)
		}
	}
	trash = len(q.trash) - trash
	q.wakeLocked()
	q.mu.Unlock()
	if trash > 0 && q.readMu.TryLock() { // else who has it empties the trash, or the next tick does
		q.emptyTrash()
		q.readMu.Unlock()
	}
}

// settleLocked gets one record back. The caller has mu.
func (q *Queue) settleLocked(l *lane, r ref, ok bool) {
	s := r.s
	l.out -= r.e.weight()
	s.release(r.i, r.e.points)
	switch {
	case q.closed:
		return
	case s.gone != "" && ok:
		q.n.delivered++
		q.n.deliveredPoints += uint64(r.e.points)
		return
	case s.gone != "":
		q.n.drop(s.gone, 1, uint64(r.e.points))
		return
	case ok && s.ack(r.i, r.e.points):
		q.n.delivered++
		q.n.deliveredPoints += uint64(r.e.points)
		q.dirty = true
	}
	if s.done() {
		q.detachLocked(s, goneDone)
	}
}
