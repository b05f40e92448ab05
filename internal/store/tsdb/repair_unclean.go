package tsdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/disk"
)

// cleanFile says, in the engine's folder, that the engine was closed. It is gone while the engine is open.
const cleanFile = "clean"

// markClean notes that the engine was closed.
func markClean(dir string) error {
	if err := replace(filepath.Join(dir, cleanFile), ""); err != nil {
		return fmt.Errorf("cannot note that %q was closed: %w", dir, err)
	}
	return nil
}

// prepare does all that must be done before the engine is opened.
func (r *repairer) prepare() error {
	err := os.Remove(filepath.Join(r.dir, cleanFile))
	unclean := errors.Is(err, os.ErrNotExist)
	if err != nil && !unclean {
		return err
	}
	if err := syncFile(r.dir); err != nil { // a power cut must not bring it back
		return err
	}
	if err := r.logs(); err != nil {
		return err
	}
	if r.wasUnclean = unclean; unclean {
		if err := r.unclean(); err != nil {
			return err
		}
	}
	return r.metas()
}

// room says whether the disk has room for the head chunks that a replay writes. Without, the engine would panic.
func (r *repairer) room() error {
	names, err := segments(filepath.Join(r.dir, "wal"))
	if err != nil {
		return err
	}
	need := int64(256 << 10)
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && r.wasUnclean {
			need += info.Size() / 2
		}
	}
	free, err := disk.Free(r.dir)
	if err != nil || free >= need {
		return err
	}
	return fmt.Errorf("replaying the log needs %s on the disk, which has %s: %w", disk.Size(need), disk.Size(free), unix.ENOSPC)
}

// unclean makes the folder of an engine that was not closed (kill -9, a panic) safe to replay. The engine writes
// head chunks through a buffer that dies with it, but notes in the log of late samples at once where each chunk
// lies. At the first replay it sees that such a chunk is missing; at the second, newer chunks lie behind that
// place, and it counts the samples as stored and drops them. All that is in head chunks is in the logs too, so
// both the chunks and the notes go, and are made anew from the logs.
func (r *repairer) unclean() error {
	if err := os.RemoveAll(filepath.Join(r.dir, "chunks_head")); err != nil {
		return fmt.Errorf("cannot remove head chunks of an unclean end: %w", err)
	}
	names, err := segments(filepath.Join(r.dir, wlog.WblDirName))
	if err != nil {
		return err
	}
	for _, name := range names {
		data, err := disk.ReadFile(name)
		if err != nil {
			return fmt.Errorf("cannot read %q: %w", name, err)
		}
		if err := r.dropMarkers(name, data); err != nil {
			return err
		}
	}
	return nil
}

// dropMarkers rewrites a segment without its notes of chunks, if it has any.
func (r *repairer) dropMarkers(name string, data []byte) error {
	dec := record.NewDecoder(labels.NewSymbolTable(), nil)
	marker := func(rec []byte) bool { return dec.Type(rec) == record.MmapMarkers }
	any := false
	scanSegment(data, func(rec []byte) { any = any || marker(rec) })
	if !any {
		return nil
	}
	tmp, _, err := r.copySegment(name, data, func(rec []byte) bool { return !marker(rec) })
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Rename(wlog.SegmentName(tmp, 0), name); err != nil {
		return fmt.Errorf("cannot rewrite %q: %w", name, err)
	}
	return nil
}

// copySegment writes the good records of a segment that are wanted to a new one, in a folder beside it that the
// caller removes, and returns the folder and the number of records.
func (r *repairer) copySegment(name string, data []byte, wanted func(rec []byte) bool) (tmp string, n int, err error) {
	tmp = name + ".repair.tmp"
	defer func() {
		if err != nil {
			_ = os.RemoveAll(tmp)
			err = fmt.Errorf("cannot rewrite %q: %w", name, err)
		}
	}()
	if err := os.RemoveAll(tmp); err != nil {
		return tmp, 0, err
	}
	w, err := wlog.NewSize(nil, nil, tmp, 1<<30, compression.Snappy)
	if err != nil {
		return tmp, 0, err
	}
	scanSegment(data, func(rec []byte) {
		if err == nil && wanted(rec) {
			n++
			err = w.Log(rec)
		}
	})
	return tmp, n, errors.Join(err, w.Close())
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
