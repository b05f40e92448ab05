package tsdb

import (
	"cmp"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

const (
	// missed is how many of its intervals something must be absent to have ended.
	missed = 2.5
	// leastMissed is the shortest absence that counts, so that a slow tick of the live lane does not.
	leastMissed = 5 * time.Second
	// unknownInterval stands in for an interval that is not known yet.
	unknownInterval = time.Minute
	// usualInterval is how often most things come, in milliseconds: of a series with one sample it stands for its interval beside others of its entity.
	usualInterval = 10_000
)

// absence returns how long something that comes every interval milliseconds must be away to have ended.
func absence(interval int64) time.Duration {
	d := time.Duration(interval) * time.Millisecond
	if d <= 0 {
		d = unknownInterval
	}
	return max(time.Duration(missed*float64(min(d, 10*time.Minute))), leastMissed)
}

// gap marks all series of an entity that could not be read at time t as ended, or those of some rows; the next sample begins them again. One whose successor
// has come has left them to it.
func (w *writer) gap(g *metric.Gap, t int64) {
	e := w.db.cache.find(g.Entity)
	if e == nil || !identity.Same(e.entity, g.Entity) {
		return
	}
	if g.Rows != (metric.Set{}) {
		for i := range e.series {
			if s := &e.series[i]; s.last < t && g.Rows.Has(s.id) {
				w.mark(s, t)
			}
		}
		return
	}
	told := e.seen.Equal(w.seen) // in the same batch: what whoever runs it says of it while it does not run
	e.seen = w.seen
	for i := range e.series {
		if s := &e.series[i]; s.last < t && !(told && s.id.Standing() && s.last == e.last) {
			w.mark(s, t)
		}
	}
}

// mark appends a staleness marker of time t. Where it cannot be stored, the lookback ends the series.
func (w *writer) mark(s *series, t int64) {
	if s.ref == 0 || t > w.newest {
		return
	}
	if _, err := w.app.Append(s.ref, labels.EmptyLabels(), t, math.Float64frombits(value.StaleNaN)); err == nil {
		w.count++
		w.markers++
	}
}

// markVanished marks what has not come for two and a half of its intervals as ended, one interval after its last
// sample, and forgets it: whole entities, and single series of entities that still come (an interface that is
// gone). The millisecond more keeps the marker off a late sample's time. The caller has the turn.
func (db *DB) markVanished() {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.gen == nil {
		return
	}
	now := time.Now()
	w := writer{db: db, gen: db.gen, ctx: db.gen.ctx, newest: db.opts.Now().Add(ahead).UnixMilli(), seen: now}
	w.app = db.gen.tsdb.Appender(w.ctx)
	for _, e := range db.cache.byLine {
		if now.Sub(e.seen) > absence(e.longest()) {
			for i := range e.series {
				s := &e.series[i]
				w.mark(s, s.last+cmp.Or(s.interval, usualInterval)+1)
			}
			db.cache.drop(e)
			continue
		}
		w.markSeries(e)
	}
	_ = w.commit() // a failure is a condition already; there is nobody to tell
}

// longest is the longest interval of an entity's series; 0: there is none that has two samples. A counter of roll-ups begins with two points of one pass, which tell nothing of the others' intervals. An entity may have several writers (a node its collector
// and the roll-ups), whose groups come shortly after one another: the distance between groups says nothing.
func (e *entry) longest() int64 {
	longest, some := int64(0), false
	for i := range e.series {
		interval := e.series[i].interval
		longest, some = max(longest, cmp.Or(interval, usualInterval)), some || interval != 0
	}
	if !some {
		return 0
	}
	return longest
}

// markSeries marks and forgets the series that an entity does not have any more.
func (w *writer) markSeries(e *entry) {
	kept := e.series[:0]
	for i := range e.series {
		s := e.series[i]
		if time.Duration(e.last-s.last)*time.Millisecond <= absence(s.interval) {
			kept = append(kept, s)
			continue
		}
		w.mark(&s, s.last+cmp.Or(s.interval, usualInterval)+1)
		w.db.cache.forget(e, &s)
	}
	if len(kept) == len(e.series) {
		return
	}
	clear(e.series[len(kept):])
	e.series, e.index, e.at = kept, nil, 0
}
