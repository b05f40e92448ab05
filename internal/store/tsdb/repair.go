package tsdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"golang.org/x/sys/unix"
)

// repairer makes a folder fit to be opened. The engine's own repair drops everything behind a damaged record, and
// refuses to start over a damaged block; this one drops the damaged records alone, and sets damaged blocks aside.
type repairer struct {
	dir    string // the engine's folder
	broken string // where damaged files go
	now    time.Time
	report func(string) // told of everything that was changed

	wasUnclean bool
	refs       chunks.HeadSeriesRef // the highest series reference seen in a damaged log
}

// cleanFile says, in the engine's folder, that the engine was closed. It is gone while the engine is open.
const cleanFile = "clean"

// markClean notes that the engine was closed.
func markClean(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, cleanFile), nil, 0o640); err != nil {
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
	free, err := freeBytes(r.dir)
	if err != nil || free >= need {
		return err
	}
	return fmt.Errorf("replaying the log needs %s on the disk, which has %s: %w", size(need), size(free), unix.ENOSPC)
}

// logs repairs the write-ahead log, its checkpoints, and the log of late samples.
func (r *repairer) logs() error {
	wal := filepath.Join(r.dir, "wal")
	dirs := []string{wal, filepath.Join(r.dir, wlog.WblDirName)}
	checkpoints, _ := filepath.Glob(filepath.Join(wal, "checkpoint.*"))
	for _, c := range checkpoints {
		if !strings.HasSuffix(c, ".tmp") {
			dirs = append(dirs, c)
		}
	}
	damaged := false
	for _, d := range dirs {
		did, err := r.log(d)
		if err != nil {
			return err
		}
		damaged = damaged || did
	}
	if !damaged {
		return nil
	}
	return r.reserve(wal, dirs)
}

// unclean makes the folder of an engine that was not closed (kill -9, a panic) safe to replay. The engine writes
// head chunks through a buffer that dies with it, but notes in the log of late samples at once where each chunk
// lies. At the first replay it sees that such a chunk is missing; at the second, newer chunks lie behind that
// place, and it takes the samples for stored and drops them. All that is in head chunks is in the logs too, so
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
		data, err := os.ReadFile(name)
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

// segments returns the numbered files of a log, in order.
func segments(dir string) ([]string, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if _, err := strconv.Atoi(n.Name()); err == nil && !n.IsDir() {
			out = append(out, filepath.Join(dir, n.Name()))
		}
	}
	sort.Strings(out) // of equal length
	return out, nil
}

// log repairs the segments of one log and says whether any was damaged.
func (r *repairer) log(dir string) (bool, error) {
	names, err := segments(dir)
	if err != nil {
		return false, err
	}
	damaged := false
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return false, fmt.Errorf("cannot read %q: %w", name, err)
		}
		s := scanSegment(data, nil)
		if s.damage == nil {
			continue
		}
		damaged = true
		if s.after == 0 {
			err = r.cut(name, s, len(data))
		} else {
			err = r.rewrite(name, data, s)
		}
		if err != nil {
			return false, err
		}
	}
	return damaged, nil
}

// cut truncates a segment behind its last good record. It needs no room on the disk.
func (r *repairer) cut(name string, s scan, size int) error {
	if err := os.Truncate(name, s.end); err != nil {
		return fmt.Errorf("cannot cut the torn tail of %q: %w", name, err)
	}
	r.report(fmt.Sprintf("cut a torn tail of %d bytes off %q (%v)", size-int(s.end), name, s.damage))
	return nil
}

// rewrite replaces a segment by one of its good records, and sets the damaged one aside.
func (r *repairer) rewrite(name string, data []byte, s scan) error {
	tmp, kept, err := r.copySegment(name, data, func([]byte) bool { return true })
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	aside, err := r.setAside(name)
	if err != nil {
		return err
	}
	if err := os.Rename(wlog.SegmentName(tmp, 0), name); err != nil {
		return fmt.Errorf("cannot repair %q: %w", name, err)
	}
	r.report(fmt.Sprintf("left damaged records out of %q (%v), kept %d others; the damaged file is %q", name, s.damage, kept, aside))
	return nil
}

// setAside moves a file or folder to the broken ones and returns its new name.
func (r *repairer) setAside(name string) (string, error) {
	if err := os.MkdirAll(r.broken, 0o750); err != nil {
		return "", fmt.Errorf("cannot set %q aside: %w", name, err)
	}
	rel, err := filepath.Rel(r.dir, name)
	if err != nil {
		rel = filepath.Base(name)
	}
	aside := filepath.Join(r.broken, r.now.UTC().Format("20060102T150405.000Z-")+strings.ReplaceAll(rel, string(filepath.Separator), "-"))
	if err := os.Rename(name, aside); err != nil {
		return "", fmt.Errorf("cannot set %q aside: %w", name, err)
	}
	return aside, nil
}

// reserve writes a series record with a number far above all that the damaged logs name. The engine numbers new
// series from the highest it finds in its log; were that one lost, a new series could take its number, and at the
// next replay the head chunks of the old.
func (r *repairer) reserve(wal string, dirs []string) error {
	dec := record.NewDecoder(labels.NewSymbolTable(), nil)
	for _, d := range dirs {
		names, err := segments(d)
		if err != nil {
			return err
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			scanSegment(data, func(rec []byte) { r.see(&dec, rec) })
		}
	}
	if r.refs == 0 {
		return nil
	}
	w, err := wlog.NewSize(nil, nil, wal, 1<<20, compression.None)
	if err != nil {
		return fmt.Errorf("cannot repair %q: %w", wal, err)
	}
	var enc record.Encoder
	rec := enc.Series([]record.RefSeries{{Ref: r.refs + 1<<20, Labels: labels.FromStrings(metricName, "plimsoll_store_repaired")}}, nil)
	if err := errors.Join(w.Log(rec), w.Close()); err != nil {
		return fmt.Errorf("cannot repair %q: %w", wal, err)
	}
	return nil
}

func (r *repairer) see(dec *record.Decoder, rec []byte) {
	switch dec.Type(rec) {
	case record.Series:
		ss, _ := dec.Series(rec, nil)
		for i := range ss {
			r.refs = max(r.refs, ss[i].Ref)
		}
	case record.Samples:
		ss, _ := dec.Samples(rec, nil)
		for i := range ss {
			r.refs = max(r.refs, ss[i].Ref)
		}
	}
}

// blockDirs returns the folders that are named like blocks.
func (r *repairer) blockDirs() []string {
	names, _ := os.ReadDir(r.dir)
	var out []string
	for _, n := range names {
		if n.IsDir() && len(n.Name()) == 26 {
			out = append(out, filepath.Join(r.dir, n.Name()))
		}
	}
	return out
}

// metas sets blocks without a readable meta.json aside: the engine would pass over them in silence, or not start.
func (r *repairer) metas() error {
	for _, dir := range r.blockDirs() {
		var meta struct {
			Version int    `json:"version"`
			ULID    string `json:"ulid"`
		}
		data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
		if err == nil {
			err = json.Unmarshal(data, &meta)
		}
		if err == nil && (meta.Version != 1 || meta.ULID != filepath.Base(dir)) {
			err = fmt.Errorf("version %d of block %q", meta.Version, meta.ULID)
		}
		if err == nil {
			continue
		}
		if err := r.block(dir, err); err != nil {
			return err
		}
	}
	return nil
}

// blocks sets every block aside that cannot be opened, and says whether there was one.
func (r *repairer) blocks() (mended bool, err error) {
	for _, dir := range r.blockDirs() {
		b, err := promtsdb.OpenBlock(nil, dir, nil, nil)
		if err == nil {
			if err := b.Close(); err != nil {
				return mended, err
			}
			continue
		}
		if err := r.block(dir, err); err != nil {
			return mended, err
		}
		mended = true
	}
	return mended, nil
}

// headChunks sets the head chunks aside. The logs have all that is in them.
func (r *repairer) headChunks() (bool, error) {
	dir := filepath.Join(r.dir, "chunks_head")
	if _, err := os.Stat(dir); err != nil {
		return false, nil
	}
	aside, err := r.setAside(dir)
	if err != nil {
		return false, err
	}
	r.report(fmt.Sprintf("set damaged head chunks aside as %q; their samples are in the log", aside))
	return true, r.unclean()
}

func (r *repairer) block(dir string, damage error) error {
	aside, err := r.setAside(dir)
	if err != nil {
		return err
	}
	r.report(fmt.Sprintf("set damaged block %q aside as %q (%v)", filepath.Base(dir), aside, damage))
	return nil
}
