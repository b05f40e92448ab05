package tsdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/store"
)

// space remembers the last check of the disk.
type space struct {
	checked time.Time
}

// writable says why no data can be accepted, or nil. It needs no turn.
func (db *DB) writable() error {
	if db.closed.Load() {
		return store.ErrClosed
	}
	for _, reason := range []string{ReasonWriteFailed, ReasonDiskFull} {
		if c, ok := db.cond.Get(reason); ok {
			return fmt.Errorf("%s: %w", c.Message, store.ErrReadOnly)
		}
	}
	return nil
}

// checkRoom checks the room on the disk, at most once a second, and sets or clears DiskFull. The caller has the turn.
func (db *DB) checkRoom() {
	if db.opts.minFree < 0 || time.Since(db.space.checked) < time.Second {
		return
	}
	db.space.checked = time.Now()
	free, err := disk.Free(db.opts.Dir)
	if err != nil {
		return // the write itself will tell
	}
	_, full := db.cond.Get(ReasonDiskFull)
	switch {
	case free < db.opts.minFree:
		message := fmt.Sprintf("the disk of %q has %s left, less than the %s that are kept free", db.opts.Dir, disk.Size(free), disk.Size(db.opts.minFree))
		if db.cond.Say(ReasonDiskFull, message) {
			db.log.Warn("store accepts no data: disk is full", "dir", db.opts.Dir, "free_bytes", free, "kept_free_bytes", db.opts.minFree)
			db.met.errors.WithLabelValues(classFull).Inc()
		}
	case full && free >= db.opts.minFree+db.opts.minFree/4:
		db.cond.Clear(ReasonDiskFull)
		db.log.Info("store accepts data again: disk has room", "dir", db.opts.Dir, "free_bytes", free)
	}
}

// failed notes that a write to the engine failed. Until it is reopened no data is accepted. The caller has the turn.
func (db *DB) failed(gen *generation, doing string, err error) {
	message := fmt.Sprintf("cannot %s in %q: %v", doing, db.opts.Dir, disk.Explain(err))
	class := classWrite
	if disk.CauseOf(err) == disk.Full {
		class = classFull
	}
	var p *panicError
	if errors.As(err, &p) {
		gen.stuck.Store(true)
	}
	db.met.errors.WithLabelValues(class).Inc()
	if db.cond.Say(ReasonWriteFailed, message) {
		db.log.Error("store accepts no data: write failed", "doing", doing, "dir", db.opts.Dir, "err", err)
	}
}

// recover reopens the engine after a failed write, once a probe write succeeds. What was acknowledged is in the
// log and is replayed; what was torn by the failure was never acknowledged, and is cut. The caller has the turn.
func (db *DB) recover() {
	if _, broken := db.cond.Get(ReasonWriteFailed); !broken {
		return
	}
	if err := db.probe(); err != nil {
		return
	}
	db.log.Info("store is reopened after a failed write", "dir", db.opts.Dir)
	if err := db.closeEngine(); err != nil {
		db.log.Warn("engine did not close cleanly", "err", err)
	}
	db.cache = newCache(db.opts.maxEntities)
	gen, err := db.openEngine()
	if err != nil {
		db.met.errors.WithLabelValues(classRead).Inc()
		db.cond.Say(ReasonWriteFailed, fmt.Sprintf("cannot reopen %q: %v", db.opts.Dir, err))
		return
	}
	db.mu.Lock()
	db.gen = gen
	db.mu.Unlock()
	db.met.reopened.Inc()
	db.cond.Clear(ReasonWriteFailed)
	db.log.Info("store accepts data again", "dir", db.opts.Dir)
}

// probe writes as much as a tick or two would and deletes it again.
func (db *DB) probe() error {
	need := max(db.opts.minFree, 1<<20)
	if free, err := disk.Free(db.opts.Dir); err != nil || free < need {
		return fmt.Errorf("not enough room: %s", disk.Size(free))
	}
	name := filepath.Join(db.opts.Dir, "probe")
	defer os.Remove(name)
	f, err := disk.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 256<<10))
	return errors.Join(err, f.Sync(), f.Close())
}
