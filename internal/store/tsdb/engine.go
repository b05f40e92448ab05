package tsdb

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"

	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/store/decisions"
)

// openEngine repairs and opens the engine.
func (db *DB) openEngine() (*generation, error) {
	dir := db.engineDir()
	err := os.MkdirAll(dir, 0o750)
	if err = errors.Join(err, disk.OnlyFiles(dir), disk.OnlyFiles(db.brokenDir())); err != nil {
		return nil, err
	}
	r := &repairer{dir: dir, broken: db.brokenDir(), now: db.opts.Now(), report: db.repaired}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := r.room(); err != nil {
		return nil, err
	}
	logger := newEngineLogger(db.log, db.repaired)
	gen := &generation{engine: db.newEngine()}
	gen.ctx, gen.cancel = context.WithCancel(context.Background())
	open := func() error {
		gen.tsdb, err = promtsdb.Open(dir, logger, nil, db.engineOptions(gen), promtsdb.NewDBStats())
		return err
	}
	// Damaged blocks and head chunks refuse the whole engine: set them aside, and try again.
	err = open()
	for _, mend := range []func() (bool, error){r.blocks, r.headChunks} {
		if err == nil || slices.Contains([]disk.Cause{disk.Full, disk.ReadOnly, disk.Denied}, disk.CauseOf(err)) {
			break // nothing is damaged
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
	// Blocks are written, merged and dropped by the maintenance goroutine, which checks the disk first.
	gen.tsdb.DisableCompactions()
	if err := noteSegments(dir); err != nil { // the next start knows less
		db.log.Warn("store cannot tell at its next start whether its log is whole", "err", err)
	}
	return gen, nil
}

// engineOptions are chosen for one machine: small buffers and segments, everything else as Prometheus has it.
func (db *DB) engineOptions(gen *generation) *promtsdb.Options {
	o := promtsdb.DefaultOptions()
	o.NoLockfile = true // ours names the process and cannot go stale
	o.RetentionDuration = db.opts.Retention.Milliseconds()
	o.MaxBytes = max(db.opts.MaxBytes-decisions.Share(db.opts.MaxBytes), 1)
	o.MinBlockDuration = blockRange.Milliseconds()
	o.MaxBlockDuration = max(blockRange, min(db.opts.Retention/10, 31*24*time.Hour)).Milliseconds()
	o.OutOfOrderTimeWindow = db.opts.OutOfOrder.Milliseconds()
	o.OutOfOrderCapMax = 64
	// The log is dropped by whole segments, so they are a small part of what may be kept.
	o.WALSegmentSize = int(min(max(db.opts.MaxBytes/128, 256<<10), 8<<20)) / pageSize * pageSize
	o.WALCompression = compression.Snappy
	o.StripeSize = 512
	o.HeadChunksWriteBufferSize = 256 << 10
	o.HeadChunksWriteQueueSize = 0 // write at once: a failed write must not panic in another goroutine
	o.MaxBlockChunkSegmentSize = 64 << 20
	o.FloatChunkEncoding = chunkenc.EncXOR
	o.BlockReloadInterval = math.MaxInt64 // the maintenance goroutine does what this would
	// A block of late samples that reaches into the head's time must not be merged with one of timely samples: the
	// engine counts the end of such a block for the end of all that left the log, and drops the rest at the next replay. So it is with a block
	// of what has ended.
	o.BlockCompactionExcludeFunc = func(m *promtsdb.BlockMeta) bool {
		return (m.Compaction.FromOutOfOrder() || m.Compaction.FromStaleSeries()) && (gen.tsdb == nil || m.MaxTime > gen.tsdb.Head().MinTime())
	}
	return o
}

// newEngine makes the PromQL engine of a generation.
func (db *DB) newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		Logger:               slog.New(slog.DiscardHandler),
		MaxSamples:           db.opts.maxSamples,
		Timeout:              db.opts.queryTimeout,
		LookbackDelta:        lookback,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return subqueryStep.Milliseconds()
		},
		Parser: db.parser,
	})
}
