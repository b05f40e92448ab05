package influx

import (
	"cmp"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// forget is how long after its last batch an entity is forgotten; maxEntities is the most that are remembered.
const (
	forget      = 15 * time.Minute
	maxEntities = 65_536
)

// entry is what the encoder remembers of one entity.
type entry struct {
	key   []byte // measurement and tags, ready to be written
	heap  []byte // the tags of Heapster's schema
	hash  uint64 // of the key
	cut   int    // tag values that had to be cut
	seen  int64  // when it last came, Unix milliseconds
	start time.Time
	prev  []prev
	at    int   // where the next point is expected: batches repeat their order
	full  int64 // the newest sample for which no room could be made, Unix milliseconds
}

// prev is the last sample of a series: of counters, and of rows with a label of their own.
type prev struct {
	id   metric.ID
	sub  string
	t    int64
	v    float64
	line uint32  // the line that it went into
	rate float64 // per second, in that line; NaN if it had none
}

// find returns the series of a row and sub, made if it is new: nil if there is no room for one whose sample is of time t, Unix
// milliseconds. The pointer holds until the next find.
func (e *entry) find(id metric.ID, sub string, t int64) *prev {
	if p := e.known(id, sub); p != nil {
		return p
	}
	if len(e.prev) >= maxSubs && !e.room(t) {
		return nil
	}
	e.prev = append(e.prev, prev{id: id, sub: sub})
	e.at = len(e.prev)
	return &e.prev[e.at-1]
}

// room forgets the series that have not come for long at a time, and says whether a new one may be remembered.
func (e *entry) room(t int64) bool {
	if t <= e.full { // nothing was old enough
		return false
	}
	e.prev = slices.DeleteFunc(e.prev, func(p prev) bool { return t-p.t > forget.Milliseconds() })
	if len(e.prev) < maxSubs {
		return true
	}
	e.full = t
	return false
}

// known returns the series of a row and sub, nil if it is new. The pointer holds until the next find.
func (e *entry) known(id metric.ID, sub string) *prev {
	if e.at >= len(e.prev) {
		e.at = 0
	}
	if e.at < len(e.prev) {
		if p := &e.prev[e.at]; p.id == id && p.sub == sub {
			e.at++
			return p
		}
	}
	for i := range e.prev {
		if p := &e.prev[i]; p.id == id && p.sub == sub {
			e.at = i + 1
			return p
		}
	}
	return nil
}

// maxSubs is the most series that are remembered of an entity; a new one beyond them counts as unknown, until one of them is forgotten.
const maxSubs = 4096

// entries are the entities that are remembered, by pointer.
type entries struct {
	byPtr map[*metric.Entity]*entry
	swept int64
}

// tidy forgets what has not come for long, now and then, and makes room.
func (s *entries) tidy(now int64) {
	if now-s.swept > (forget/3).Milliseconds() || now < s.swept {
		s.swept = now
		for p, e := range s.byPtr {
			if now-e.seen > forget.Milliseconds() {
				delete(s.byPtr, p)
			}
		}
	}
	if len(s.byPtr) < maxEntities {
		return
	}
	type aged struct {
		p    *metric.Entity
		seen int64
	}
	all := make([]aged, 0, len(s.byPtr))
	for p, e := range s.byPtr {
		all = append(all, aged{p, e.seen})
	}
	slices.SortFunc(all, func(a, b aged) int { return cmp.Compare(a.seen, b.seen) })
	for _, a := range all[:len(all)/8+1] {
		delete(s.byPtr, a.p)
	}
}
