package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"

	"plimsoll.dev/plimsoll/internal/store"
)

// DB is the embedded store. Its methods are safe for concurrent use.
type DB struct {
	opts       Options
	log        *slog.Logger
	met        *metrics
	unregister func()
	lock       *dirLock
	decisions  *decisionLog
	parser     parser.Parser
	slots      chan struct{} // a query holds one while it runs

	// turn is taken by who appends: one batch goes in at a time. It guards cache and space.
	turn  chan struct{}
	cache *cache
	space space

	// mu is held for reading while gen is used, and for writing while it is replaced.
	mu     sync.RWMutex
	gen    *generation // nil when the engine is closed
	closed atomic.Bool

	cond   conditions
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
		slots:  make(chan struct{}, o.MaxConcurrentQueries),
		turn:   make(chan struct{}, 1),
		wake:   make(chan struct{}, 1),
		cache:  newCache(o.MaxEntities),
	}
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

// acquire takes everything that Close gives back, and gives it back itself if it cannot have all of it.
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
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("cannot make data folder %q: %w", dir, err)
	}
	if db.lock, err = lockDir(dir); err != nil {
		return err
	}
	undo = append(undo, db.lock.release)
	if db.met, db.unregister, err = newMetrics(db.opts.Registerer, db); err != nil {
		return fmt.Errorf("cannot register the store's metrics: %w", err)
	}
	undo = append(undo, func() error { db.unregister(); return nil })
	if db.decisions, err = openDecisions(filepath.Join(dir, "decisions"), db.opts.decisionBytes(), db.opts.Retention, db.repaired); err != nil {
		return fmt.Errorf("cannot open decision log in %q: %w", dir, err)
	}
	undo = append(undo, db.decisions.close)
	db.gen, err = db.openEngine()
	if isFull(err) {
		// The live picture goes on; the maintenance goroutine opens the engine when there is room.
		db.log.Error("store takes no data: disk is full", "dir", dir, "error", err)
		db.met.errors.WithLabelValues(classFull).Inc()
		db.cond.set(ReasonWriteFailed, fmt.Sprintf("cannot open %q: %v", dir, err), db.opts.Now())
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
	if old, ok := db.cond.get(ReasonRepaired); ok {
		message = old.message + "; " + message
	}
	if len(message) > 1000 {
		message = message[:1000] + "..."
	}
	db.cond.set(ReasonRepaired, message, db.opts.Now())
}

func (db *DB) engineDir() string { return filepath.Join(db.opts.Dir, "tsdb") }
func (db *DB) brokenDir() string { return filepath.Join(db.opts.Dir, "broken") }

// openEngine repairs and opens the engine.
func (db *DB) openEngine() (*generation, error) {
	dir := db.engineDir()
	err := os.MkdirAll(dir, 0o750)
	if err != nil {
		return nil, err
	}
	r := &repairer{dir: dir, broken: db.brokenDir(), now: db.opts.Now(), report: db.repaired}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := r.room(); err != nil {
		return nil, err
	}
	logger := newEngineLogger(db.log)
	gen := &generation{engine: db.newEngine()}
	gen.ctx, gen.cancel = context.WithCancel(context.Background())
	open := func() error {
		gen.tsdb, err = promtsdb.Open(dir, logger, nil, db.engineOptions(gen), promtsdb.NewDBStats())
		return err
	}
	// Damaged blocks and head chunks refuse the whole engine: set them aside, and try again.
	err = open()
	for _, mend := range []func() (bool, error){r.blocks, r.headChunks} {
		if err == nil || isFull(err) || errors.Is(err, os.ErrPermission) {
			break
		}
		mended, merr := mend()
		if merr != nil {
			return nil, errors.Join(err, merr)
		}
		if mended {
			err = open()
		}
	}
	if err != nil {
		gen.cancel()
		return nil, err
	}
	// Blocks are written, merged and dropped by the maintenance goroutine, which looks at the disk first.
	gen.tsdb.DisableCompactions()
	return gen, nil
}

// engineOptions are chosen for one machine: small buffers and segments, everything else as Prometheus has it.
func (db *DB) engineOptions(gen *generation) *promtsdb.Options {
	o := promtsdb.DefaultOptions()
	o.NoLockfile = true // ours names the process and cannot go stale
	o.RetentionDuration = db.opts.Retention.Milliseconds()
	o.MaxBytes = max(db.opts.MaxBytes-db.opts.decisionBytes(), 1)
	o.MinBlockDuration = blockRange.Milliseconds()
	o.MaxBlockDuration = max(blockRange, min(db.opts.Retention/10, 31*24*time.Hour)).Milliseconds()
	o.OutOfOrderTimeWindow = db.opts.OutOfOrder.Milliseconds()
	o.OutOfOrderCapMax = 64
	// The log is dropped by whole segments, so they are a small part of what may be kept.
	o.WALSegmentSize = int(min(max(db.opts.MaxBytes/128, 256<<10), 8<<20)) / pageSize * pageSize
	o.WALCompression = compression.Snappy
	o.StripeSize = 512
	o.HeadChunksWriteBufferSize = 256 << 10
	o.HeadChunksWriteQueueSize = 0 // write at once: a failed write must not panic in a goroutine of its own
	o.MaxBlockChunkSegmentSize = 64 << 20
	o.FloatChunkEncoding = chunkenc.EncXOR
	o.BlockReloadInterval = math.MaxInt64 // the maintenance goroutine does what this would
	// A block of late samples that reaches into the head's time must not be merged with one of timely samples: the
	// engine takes the end of such a block for the end of all that left the log, and drops the rest at the next replay.
	o.BlockCompactionExcludeFunc = func(m *promtsdb.BlockMeta) bool {
		return m.Compaction.FromOutOfOrder() && (gen.tsdb == nil || m.MaxTime > gen.tsdb.Head().MinTime())
	}
	return o
}

// newEngine makes the PromQL engine of a generation.
func (db *DB) newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		Logger:               slog.New(slog.DiscardHandler),
		MaxSamples:           db.opts.MaxSamples,
		Timeout:              db.opts.QueryTimeout,
		LookbackDelta:        db.opts.Lookback,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return (10 * time.Second).Milliseconds()
		},
		Parser: db.parser,
	})
}

// Close ends the store: queries are cut off, everything appended is on disk when it returns, the folder is free.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	db.stop()
	db.loopOK.Wait()
	db.turn <- struct{}{} // kept: nobody appends again
	db.cond.set(ReasonClosed, "the store was closed", db.opts.Now())
	err := db.closeEngine()
	err = errors.Join(err, db.decisions.close())
	db.unregister()
	if err = errors.Join(err, db.lock.release()); err != nil {
		return fmt.Errorf("cannot close data folder %q cleanly: %w", db.opts.Dir, err)
	}
	return nil
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
	return markClean(db.engineDir())
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
