package tsdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// maintain runs until ctx ends: every second it checks whether the store can recover, every few seconds it marks
// what vanished, and every minute (or when woken) it writes the head out, merges blocks and drops what is too
// old or too much.
func (db *DB) maintain(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		now := n%60 == 0
		select {
		case <-ctx.Done():
			return
		case <-db.wake:
			now = true
		case <-tick.C:
		}
		db.tidy(ctx, n%5 == 0)
		if now {
			db.compact(ctx)
		}
		if now || n%10 == 0 {
			db.measure()
			db.note()
		}
	}
}

// tidy does what needs the turn.
func (db *DB) tidy(ctx context.Context, markers bool) {
	select {
	case db.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-db.turn }()
	db.checkRoom()
	db.recover()
	if markers && db.writable() == nil {
		db.markVanished()
	}
}

// compact writes head chunks and blocks, merges blocks, and applies the retention. With the disk full it does not
// write; retention is part of writing, and a full disk that is full of our blocks is what MaxBytes is for.
func (db *DB) compact(ctx context.Context) {
	if db.writable() != nil {
		return
	}
	now := db.opts.Now()
	db.decisions.Trim(now)
	err := trimBroken(db.brokenDir(), now.Add(-db.opts.Retention))
	db.mu.RLock()
	defer db.mu.RUnlock()
	gen := db.gen
	if gen == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(gen.ctx, cancel)()
	if merr := guard(func() error { gen.tsdb.ForceHeadMMap(); return nil }); merr != nil {
		// The engine's locks are free again, but its chunk writer is not usable any more.
		db.failedOutside(gen, "write head chunks", merr)
		return
	}
	err = errors.Join(err, guard(func() error { return gen.tsdb.Compact(ctx) }))
	if err == nil && db.manyEnded(gen) {
		err = guard(gen.tsdb.CompactStaleHead)
	}
	switch {
	case err == nil:
		db.cond.Clear(ReasonMaintenance)
	case ctx.Err() == nil:
		db.met.errors.WithLabelValues(classMaintenance).Inc()
		if db.cond.Say(ReasonMaintenance, fmt.Sprintf("cannot write or merge blocks in %q: %v", db.opts.Dir, err)) {
			db.log.Warn("store maintenance failed", "dir", db.opts.Dir, "err", err)
		}
	}
}

// manyEnded says whether so much of what the head holds has ended that it is worth a block of its own: who makes things and lets them go all
// the time would fill the memory for the hours that the head keeps.
func (db *DB) manyEnded(gen *generation) bool {
	h := gen.tsdb.Head()
	ended := int(h.NumStaleSeries())
	return ended >= db.opts.maxEnded && ended*3 >= int(h.NumSeries())
}

// failedOutside is failed for the maintenance goroutine, which has no turn. A panic of the head chunk writer
// leaves no lock behind, so the generation can be closed.
func (db *DB) failedOutside(gen *generation, doing string, err error) {
	var p *panicError
	if errors.As(err, &p) && p.Unwrap() != nil {
		err = p.Unwrap()
	}
	db.failed(gen, doing, err)
}

// measure counts the bytes in the folder.
func (db *DB) measure() {
	var n int64
	_ = filepath.WalkDir(db.opts.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // gone in the meantime
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	db.bytes.Store(n)
}
