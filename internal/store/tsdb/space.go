package tsdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/store"
)

// space remembers the last look at the disk.
type space struct {
	looked time.Time
}

// freeBytes returns how many bytes the file system of dir has for processes without privileges.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("cannot look at the disk of %q: %w", dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// writable says why no data can be taken, or nil. It needs no turn.
func (db *DB) writable() error {
	if db.closed.Load() {
		return store.ErrClosed
	}
	for _, reason := range []string{ReasonWriteFailed, ReasonDiskFull} {
		if c, ok := db.cond.get(reason); ok {
			return fmt.Errorf("%s: %w", c.message, store.ErrReadOnly)
		}
	}
	return nil
}

// look checks the room on the disk, at most once a second, and sets or clears DiskFull. The caller has the turn.
func (db *DB) look() {
	if db.opts.MinFree < 0 || time.Since(db.space.looked) < time.Second {
		return
	}
	db.space.looked = time.Now()
	free, err := freeBytes(db.opts.Dir)
	if err != nil {
		return // the write itself will tell
	}
	_, full := db.cond.get(ReasonDiskFull)
	switch {
	case free < db.opts.MinFree:
		message := fmt.Sprintf("the disk of %q has %s left, less than the %s that are kept free", db.opts.Dir, size(free), size(db.opts.MinFree))
		if db.cond.set(ReasonDiskFull, message, db.opts.Now()) {
			db.log.Warn("store takes no data: disk is full", "dir", db.opts.Dir, "free_bytes", free, "kept_free_bytes", db.opts.MinFree)
			db.met.errors.WithLabelValues(classFull).Inc()
		}
	case full && free >= db.opts.MinFree+db.opts.MinFree/4:
		db.cond.clear(ReasonDiskFull)
		db.log.Info("store takes data again: disk has room", "dir", db.opts.Dir, "free_bytes", free)
	}
}

// failed notes that a write to the engine failed. Until it is reopened no data is taken. The caller has the turn.
func (db *DB) failed(gen *generation, doing string, err error) {
	message := fmt.Sprintf("cannot %s in %q: %v", doing, db.opts.Dir, err)
	class := classWrite
	if isFull(err) {
		class = classFull
	}
	var p *panicError
	if errors.As(err, &p) {
		gen.stuck.Store(true)
	}
	db.met.errors.WithLabelValues(class).Inc()
	if db.cond.set(ReasonWriteFailed, message, db.opts.Now()) {
		db.log.Error("store takes no data: write failed", "doing", doing, "dir", db.opts.Dir, "err", err)
	}
}

// isFull says whether an error means that there is no room.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// recover reopens the engine after a failed write, once a probe write succeeds. What was acknowledged is in the
// log and is replayed; what was torn by the failure was never acknowledged, and is cut. The caller has the turn.
func (db *DB) recover() {
	if _, broken := db.cond.get(ReasonWriteFailed); !broken {
		return
	}
	if err := db.probe(); err != nil {
		return
	}
	db.log.Info("store is reopened after a failed write", "dir", db.opts.Dir)
	if err := db.closeEngine(); err != nil {
		db.log.Warn("engine did not close cleanly", "err", err)
	}
	db.cache = newCache(db.opts.MaxEntities)
	gen, err := db.openEngine()
	if err != nil {
		db.met.errors.WithLabelValues(classRead).Inc()
		db.cond.set(ReasonWriteFailed, fmt.Sprintf("cannot reopen %q: %v", db.opts.Dir, err), db.opts.Now())
		return
	}
	db.mu.Lock()
	db.gen = gen
	db.mu.Unlock()
	db.met.reopened.Inc()
	db.cond.clear(ReasonWriteFailed)
	db.log.Info("store takes data again", "dir", db.opts.Dir)
}

// probe writes as much as a tick or two would and deletes it again.
func (db *DB) probe() error {
	need := max(db.opts.MinFree, 1<<20)
	if free, err := freeBytes(db.opts.Dir); err != nil || free < need {
		return fmt.Errorf("not enough room: %s", size(free))
	}
	name := filepath.Join(db.opts.Dir, "probe")
	defer os.Remove(name)
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 256<<10))
	return errors.Join(err, f.Sync(), f.Close())
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
