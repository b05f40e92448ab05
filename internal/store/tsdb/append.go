package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

const (
	// ahead is how far a sample's time may be in the future. One sample from next year would make all others too old.
	ahead = 10 * time.Minute
	// commitEvery is how many samples go into the log at once at most.
	commitEvery = 1 << 16
)

// Append stores a batch; see the package comment for what its nil promises. Entities named in b.Gaps get
// staleness markers. It waits for batches that came before, as long as ctx lets it.
func (db *DB) Append(ctx context.Context, b *metric.Batch) (err error) {
	start := time.Now()
	defer func() { db.met.append.Observe(time.Since(start).Seconds()) }()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot append batch of node %q: %w", b.Node, err)
	}
	if err := db.writable(); err != nil && !db.mayRecheckRoom() {
		return fmt.Errorf("cannot append batch of node %q: %w", b.Node, err)
	}
	select {
	case db.turn <- struct{}{}:
		defer func() { <-db.turn }()
	case <-ctx.Done():
		return fmt.Errorf("cannot append batch of node %q: %w", b.Node, ctx.Err())
	}
	db.checkRoom()
	if err := db.writable(); err != nil {
		return fmt.Errorf("cannot append batch of node %q: %w", b.Node, err)
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.gen == nil {
		return fmt.Errorf("cannot append batch of node %q: %w", b.Node, store.ErrClosed)
	}
	w := writer{db: db, gen: db.gen, ctx: ctx, newest: db.opts.Now().Add(ahead).UnixMilli(), seen: start, foreign: b.Sender != ""}
	err = w.batch(b)
	db.noRoom(b, &w)
	if err != nil {
		return fmt.Errorf("cannot append batch of node %q: %w", b.Node, err)
	}
	return nil
}

// noRoom tells of samples of a batch for whose series there was no room: how many in all since it began, until a minute after the last. The caller has the turn.
func (db *DB) noRoom(b *metric.Batch, w *writer) {
	if w.left == 0 {
		return
	}
	if _, holds := db.cond.Get(ReasonSeriesLimit); !holds {
		db.left, db.leftSince = 0, db.opts.Now()
		db.log.Warn("new series are left out", "why", w.why, "node", b.Node, "sender", b.Sender)
	}
	db.left += w.left
	of, fix := fmt.Sprintf("machine %q, read here", b.Node), ""
	switch {
	case b.Sender != "":
		of = fmt.Sprintf("machine %q, sent by %q", b.Node, b.Sender)
	case b.Node == "":
		of = "sums of what is on several machines"
	}
	if b.Sender != "" || w.theirs {
		fix = ", or give more with --memory"
	}
	db.cond.SayFor(time.Minute, ReasonSeriesLimit, fmt.Sprintf("since %s, %d samples were not kept, the last %d of %s: the store is full, %s%s; look for labels that change all the time%s",
		db.leftSince.UTC().Format(time.RFC3339), db.left, w.left, of, w.why, db.mostOf(), fix))
}

// mostOf says which machine has the most series, as a clause that follows. It is looked up once a second at most: there may be very many. The caller has the turn.
func (db *DB) mostOf() string {
	if now := db.opts.Now(); now.Sub(db.mostAt).Abs() >= time.Second {
		first := ""
		for node, n := range db.cache.of {
			if most := db.cache.of[first]; node != "" && (first == "" || n > most || n == most && node < first) {
				first = node
			}
		}
		db.mostAt, db.most = now, ""
		if first != "" {
			db.most = fmt.Sprintf("; machine %q has the most, %d", first, db.cache.of[first])
		}
	}
	return db.most
}

// mayRecheckRoom says whether the only thing wrong is a full disk, which the appender checks itself.
func (db *DB) mayRecheckRoom() bool {
	_, broken := db.cond.Get(ReasonWriteFailed)
	return !broken && !db.closed.Load()
}

// writer puts one batch into the engine. Its caller has the turn.
type writer struct {
	db      *DB
	gen     *generation
	ctx     context.Context
	app     storage.Appender
	newest  int64 // samples after this are from the future
	seen    time.Time
	foreign bool // others have sent the batch
	count   int  // samples in app
	markers int
	left    int    // samples for whose series there was no room
	why     string // of the last of them
	theirs  bool   // and it is for lack of room for what others send

	builder labels.ScratchBuilder
	dropped [len(dropReasons)]int
}

// dropReasons are indexes of writer.dropped, which are counted after the batch.
var dropReasons = [...]string{dropNotFinite, dropFuture, dropTooOld, dropDuplicate, dropUnknown, dropSeriesLimit}

const (
	iNotFinite = iota
	iFuture
	iTooOld
	iDuplicate
	iUnknown
	iSeriesLimit
)

func (w *writer) batch(b *metric.Batch) error {
	w.app = w.gen.tsdb.Appender(w.ctx)
	for i := range b.Groups {
		g := &b.Groups[i]
		if g.Entity == nil {
			w.dropped[iUnknown] += len(g.Points)
			continue
		}
		w.group(w.db.cache.get(g.Entity), g.Points)
		if w.count < commitEvery {
			continue
		}
		if err := w.commit(); err != nil {
			return err
		}
		w.app = w.gen.tsdb.Appender(w.ctx)
	}
	for i := range b.Gaps {
		if g := &b.Gaps[i]; g.Entity != nil {
			w.gap(g, b.Time.UnixMilli())
		}
	}
	return w.commit()
}

// group appends an entity's points.
func (w *writer) group(e *entry, points []metric.Point) {
	if e.seen.IsZero() {
		e.own = !w.foreign
	}
	e.seen = w.seen
	for i := range points {
		p := &points[i]
		if v := p.V; v-v != 0 { // NaN, +Inf, -Inf
			w.dropped[iNotFinite]++
			continue
		}
		if p.T > w.newest {
			w.dropped[iFuture]++
			continue
		}
		s := e.find(p.ID, p.Sub)
		if !w.sample(e, s, p.T, p.V) {
			continue
		}
		s.note(p.T)
		if p.T > e.last {
			e.last = p.T
		}
	}
}

// sample appends one sample and says whether the engine took it.
func (w *writer) sample(e *entry, s *series, t int64, v float64) bool {
	if s.ref != 0 {
		_, err := w.app.Append(s.ref, labels.EmptyLabels(), t, v)
		if err == nil {
			w.count++
			return true
		}
		if !errors.Is(err, promtsdb.ErrInvalidSample) {
			w.drop(err)
			return false
		}
		w.db.cache.forget(e, s) // the head forgot it
	}
	ls, ok := w.labels(e.entity, s.id, s.sub)
	if !ok || t <= 0 {
		w.dropped[iUnknown]++
		return false
	}
	if why, theirs := w.crowded(e); why != "" && !w.has(ls) {
		w.dropped[iSeriesLimit]++
		w.left++
		w.why, w.theirs = why, theirs
		return false
	}
	ref, err := w.app.Append(0, ls, t, v)
	if err != nil {
		w.drop(err)
		return false
	}
	w.count++
	w.db.cache.opened(e, s, ref)
	return true
}

// crowded says why there is no room for another series of an entity, "" where there is, and whether that is the room for others' series. What is summed up of something
// that another has told of first is among those.
func (w *writer) crowded(e *entry) (why string, theirs bool) {
	all, most := int(w.gen.tsdb.Head().NumSeries()), w.db.opts.maxOfNode
	if all >= w.db.opts.maxSeries {
		return fmt.Sprintf("there are %d series, the most that are kept", w.db.opts.maxSeries), false
	}
	if !e.own {
		if n := all - w.db.cache.own; n >= w.db.opts.MaxForeign {
			return fmt.Sprintf("there are %d series that others have sent or that have ended lately, and no new one of others is kept from %d on", n, w.db.opts.MaxForeign), true
		}
		most = min(most, w.db.opts.MaxForeign/2)
	}
	if node := e.entity.Node; w.db.cache.of[node] >= most && node != "" {
		return fmt.Sprintf("node %q has %d series, the most that are kept of one", node, most), !e.own && most < w.db.opts.maxOfNode
	}
	return "", false
}

// has says whether the engine has a series. The cache forgets, and is empty after a start: such a series is not new.
func (w *writer) has(ls labels.Labels) bool {
	known, ok := w.app.(storage.GetRef)
	if !ok {
		return false
	}
	ref, _ := known.GetRef(ls, ls.Hash())
	return ref != 0
}

func (w *writer) drop(err error) {
	switch {
	case errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfBounds), errors.Is(err, storage.ErrOutOfOrderSample):
		w.dropped[iTooOld]++
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		w.dropped[iDuplicate]++
	default:
		w.dropped[iUnknown]++
	}
}

// labels returns the labels of a series; ok is false if the catalogue does not have it.
func (w *writer) labels(e *metric.Entity, id metric.ID, sub string) (ls labels.Labels, ok bool) {
	if int(id) >= len(metric.Rows()) {
		return ls, false
	}
	row := metric.Get(id)
	if !row.Has(e.Level) {
		return ls, false
	}
	b := &w.builder
	b.Reset()
	b.Add(metricName, row.At(e.Level))
	names := identity.Labels(e)
	for _, l := range names {
		b.Add(l.Name, clean(l.Value))
	}
	if e.Level == row.Levels[0] {
		for _, l := range row.Fixed {
			b.Add(l.Name, l.Value)
		}
	}
	if row.Sub != "" && sub != "" {
		b.Add(row.Sub, clean(sub))
	}
	for _, l := range w.db.opts.ExternalLabels {
		if !has(names, l.Name) && !has(row.Fixed, l.Name) && l.Name != row.Sub && l.Value != "" {
			b.Add(l.Name, clean(l.Value))
		}
	}
	b.Sort()
	return b.Labels(), true
}

func has(ls []metric.Label, name string) bool {
	for _, l := range ls {
		if l.Name == name {
			return true
		}
	}
	return false
}

// clean makes a label value valid UTF-8: the engine would keep any bytes, but JSON cannot carry them.
func clean(v string) string { return strings.ToValidUTF8(v, "\uFFFD") }

// commit writes what was appended to the log, which is the acknowledgement, and counts.
func (w *writer) commit() error {
	err := guard(w.app.Commit)
	if err != nil {
		w.db.failed(w.gen, "write to the log", err)
		return fmt.Errorf("cannot write to the log: %w: %w", err, store.ErrReadOnly)
	}
	w.db.met.appended.Add(float64(w.count - w.markers))
	w.db.met.markers.Add(float64(w.markers))
	for i, n := range w.dropped {
		if n > 0 {
			w.db.met.dropped.WithLabelValues(dropReasons[i]).Add(float64(n))
		}
	}
	w.count, w.markers, w.dropped = 0, 0, [len(dropReasons)]int{}
	if w.full() {
		select {
		case w.db.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// full says whether the head holds enough for a block to be written.
func (w *writer) full() bool {
	h := w.gen.tsdb.Head()
	lo, hi := h.MinTime(), h.MaxTime()
	return lo != math.MaxInt64 && hi-lo > blockRange.Milliseconds()/2*3
}
