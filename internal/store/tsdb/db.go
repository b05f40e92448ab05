package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/places"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/decisions"
)

// DB is the embedded store. Its methods are safe for concurrent use.
type DB struct {
	opts       Options
	log        *slog.Logger
	met        *metrics
	unregister func()
	folder     *disk.Folder
	decisions  *decisions.Log
	parser     parser.Parser
	slots      chan struct{}  // a query holds one while it runs
	asked      *places.Places // of the API's requests, from before one is parsed until its answer is made

	// turn is held by who appends: one batch goes in at a time. It guards what follows, to the empty line.
	turn      chan struct{}
	cache     *cache
	space     space
	left      int       // samples for whose series there was no room
	leftSince time.Time // when that began
	most      string    // which machine had the most series
	mostAt    time.Time // at this time

	// mu is held for reading while gen is used, and for writing while it is replaced.
	mu     sync.RWMutex
	gen    *generation // nil when the engine is closed
	closed atomic.Bool

	cond   *condition.Set
	bytes  atomic.Int64
	wake   chan struct{} // asks for maintenance now
	stop   context.CancelFunc
	loopOK sync.WaitGroup
}

var _ store.Store = (*DB)(nil)

// generation is one opening of the engine. A write that failed ends it; the next one replays the log.
type generation struct {
	tsdb   *promtsdb.DB
	engine *promql.Engine
	ctx    context.Context // ends with the generation, and its queries with it
	cancel context.CancelFunc
	// stuck means that the engine panicked in the middle of a write with its locks held: it cannot be closed.
	stuck atomic.Bool
}

// Open acquires the folder, repairs what an unclean end left behind, replays the log and starts the maintenance
// goroutine. The caller must Close the store.
func Open(o Options) (*DB, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("cannot open embedded store: %w", err)
	}
	o = o.withDefaults()
	db := &DB{
		opts:   o,
		log:    o.Logger.With("component", "store"),
		parser: parser.NewParser(parser.Options{}),
		slots:  make(chan struct{}, maxQueries),
		turn:   make(chan struct{}, 1),
		wake:   make(chan struct{}, 1),
		cache:  newCache(o.maxEntities),
		cond:   newConditions(o.Now),
	}
	db.asked = places.New(places.Options{Most: maxAsked(), Grace: grace, Displaced: func() { db.met.displaced.Inc() }})
	if err := db.acquire(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.loopOK.Add(1)
	go func() {
		defer db.loopOK.Done()
		db.maintain(ctx)
	}()
	return db, nil
}

// acquire gets everything that Close gives back, and gives it back itself if it cannot have all of it.
func (db *DB) acquire() (err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
	}()
	dir := db.opts.Dir
	if db.folder, err = disk.Claim("data folder", dir); err != nil {
		return err
	}
	undo = append(undo, db.folder.Release)
	if db.met, db.unregister, err = newMetrics(db.opts.Registerer, db); err != nil {
		return fmt.Errorf("cannot register the store's metrics: %w", err)
	}
	undo = append(undo, func() error { db.unregister(); return nil })
	if db.decisions, err = decisions.Open(db.folder, decisions.Options{MaxBytes: db.opts.MaxBytes, Retention: db.opts.Retention, Report: db.repaired}); err != nil {
		return err
	}
	undo = append(undo, db.decisions.Close)
	db.gen, err = db.openEngine()
	if cause := disk.CauseOf(err); err != nil && cause != disk.Denied && cause != disk.ReadOnly && !errors.Is(err, disk.ErrNoFile) {
		// The live picture goes on; the maintenance goroutine opens the engine when it can: when there is room, or somebody has mended it.
		class, what := classRead, "the history cannot be opened"
		if cause == disk.Full {
			class, what = classFull, "disk is full"
		}
		db.log.Error("store accepts no data", "why", what, "dir", dir, "err", err)
		db.met.errors.WithLabelValues(class).Inc()
		db.cond.Say(ReasonWriteFailed, fmt.Sprintf("cannot open %q: %v", dir, disk.Explain(err)))
		err = nil
	}
	if err != nil {
		return fmt.Errorf("cannot open data folder %q: %w", dir, err)
	}
	db.measure()
	return nil
}

// repaired notes that something damaged was cut or set aside.
func (db *DB) repaired(message string) {
	db.log.Warn("store repaired", "what", message)
	if old, ok := db.cond.Get(ReasonRepaired); ok {
		message = old.Message + "; " + message
	}
	if len(message) > 1000 {
		message = message[:1000] + "..."
	}
	db.cond.SayFor(repairedFor, ReasonRepaired, message)
}

func (db *DB) engineDir() string { return filepath.Join(db.opts.Dir, "tsdb") }
func (db *DB) brokenDir() string { return filepath.Join(db.opts.Dir, "broken") }

// Close ends the store: queries are cut off, everything appended is on disk when it returns, the folder is free.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	db.stop()
	db.loopOK.Wait()
	db.turn <- struct{}{} // kept: nobody appends again
	db.cond.Say(ReasonClosed, "the store was closed")
	err := errors.Join(db.closeEngine(), db.decisions.Close())
	db.unregister()
	if err = errors.Join(err, db.folder.Release()); err != nil {
		return fmt.Errorf("cannot close data folder %q cleanly: %w", db.opts.Dir, err)
	}
	return nil
}

// AppendDecision writes a decision to the decision log; when it returns nil the decision survives kill -9.
func (db *DB) AppendDecision(ctx context.Context, d cluster.Decision) error {
	err := db.decisions.AppendDecision(ctx, d)
	if err == nil {
		db.met.decisions.Inc()
	} else if disk.CauseOf(err) == disk.Full {
		db.met.errors.WithLabelValues(classFull).Inc()
	}
	return err
}

// Decisions returns the newest decisions that q asks for, newest first; of one moment, the last appended first.
func (db *DB) Decisions(ctx context.Context, q store.DecisionQuery) ([]cluster.Decision, error) {
	return db.decisions.Decisions(ctx, q)
}

// closeEngine cuts the running queries off and closes the engine. The caller has the turn.
func (db *DB) closeEngine() error {
	db.mu.RLock()
	if db.gen != nil {
		db.gen.cancel()
	}
	db.mu.RUnlock()
	db.mu.Lock()
	defer db.mu.Unlock()
	gen := db.gen
	db.gen = nil
	if gen == nil || gen.stuck.Load() {
		return nil
	}
	if err := errors.Join(guard(gen.tsdb.Close), gen.engine.Close()); err != nil {
		return err
	}
	return errors.Join(noteSegments(db.engineDir()), markClean(db.engineDir()))
}

// guard turns a panic of the engine into an error: it panics when it cannot write head chunks, which a full disk brings about.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p}
		}
	}()
	return f()
}

// panicError is a panic of the engine.
type panicError struct{ value any }

// Error tells the panic's value.
func (e *panicError) Error() string { return fmt.Sprintf("engine panicked: %v", e.value) }

// Unwrap gives the error that the engine panicked with, if it was one.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
