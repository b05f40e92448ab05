package tsdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"plimsoll.dev/plimsoll/internal/disk"
)

// repairer makes a folder fit to be opened. The engine's own repair drops everything behind a damaged record, and
// refuses to start over a damaged block; this one drops the damaged records alone, and sets damaged blocks aside.
type repairer struct {
	dir    string // the engine's folder
	broken string // where damaged files go
	now    time.Time
	report func(string) // told of everything that was changed

	wasUnclean bool
	missed     int                  // segments that are missing, and of which it was told
	refs       chunks.HeadSeriesRef // the highest series reference seen in a damaged log
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
	damaged, err := r.lost()
	if err != nil {
		return err
	}
	for _, d := range dirs {
		did, err := r.log(d)
		if err != nil {
			return err
		}
		lacks, err := r.gaps(d)
		if err != nil {
			return err
		}
		damaged = damaged || did || lacks
	}
	if !damaged {
		return nil
	}
	return r.reserve(wal, dirs)
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
		data, err := disk.ReadFile(name)
		if err != nil {
			return false, fmt.Errorf("cannot read %q: %w", name, err)
		}
		s := scanSegment(data, nil)
		if s.damage == nil {
			continue
		}
		damaged = true
		rewrite := s.after != 0
		if !rewrite {
			err = r.cut(name, s, len(data))
			rewrite = errors.Is(err, disk.ErrNoFile) // the file has another name, by which it stays whole
		}
		if rewrite {
			err = r.rewrite(name, data, s)
		}
		if err != nil {
			return false, err
		}
	}
	return damaged, nil
}

// mostGaps is how many segments may be missing before somebody has to look.
const mostGaps = 10_000

// gaps puts an empty segment where one is missing, which the engine would not start over, and says whether one was. What was in it is lost.
func (r *repairer) gaps(dir string) (bool, error) {
	names, err := segments(dir)
	if err != nil || len(names) == 0 {
		return false, err
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(filepath.Base(name)) // segments are those that have one
		return n
	}
	next, last := number(names[0]), number(names[len(names)-1])
	if filepath.Base(dir) == "wal" {
		next = 0
		if _, at, err := wlog.LastCheckpoint(dir); err == nil {
			next = at + 1
		}
	}
	missing := 0
	for ; next <= last && missing < mostGaps; next++ {
		name := wlog.SegmentName(dir, next)
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("cannot put a segment in the place of one that is missing: %w", err)
		}
		if err := f.Close(); err != nil {
			return false, err
		}
		missing++
	}
	if missing > r.missed {
		r.report(fmt.Sprintf("%d segments of %q are missing, what was in them is lost", missing, dir))
	}
	return missing > 0, nil
}

// cut truncates a segment behind its last good record. It needs no room on the disk.
func (r *repairer) cut(name string, s scan, size int) error {
	if err := disk.Cut(name, s.end); err != nil {
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

// asideStamp is how the names of files that were set aside begin.
const asideStamp = "20060102T150405.000Z-"

// setAside moves a file or folder to the broken ones and returns its new name.
func (r *repairer) setAside(name string) (string, error) {
	if err := disk.Sub(r.broken); err != nil {
		return "", fmt.Errorf("cannot set %q aside: %w", name, err)
	}
	rel, err := filepath.Rel(r.dir, name)
	if err != nil {
		rel = filepath.Base(name)
	}
	aside := filepath.Join(r.broken, r.now.UTC().Format(asideStamp)+strings.ReplaceAll(rel, string(filepath.Separator), "-"))
	if err := os.Rename(name, aside); err != nil {
		return "", fmt.Errorf("cannot set %q aside: %w", name, err)
	}
	return aside, nil
}

// reserve writes a series record with a number far above all that the damaged logs name. The engine numbers new
// series from the highest it finds in its log; were that one lost, a new series could get its number, and at the
// next replay the head chunks of the old.
func (r *repairer) reserve(wal string, dirs []string) error {
	dec := record.NewDecoder(labels.NewSymbolTable(), nil)
	for _, d := range dirs {
		names, err := segments(d)
		if err != nil {
			return err
		}
		for _, name := range names {
			data, err := disk.ReadFile(name)
			if err != nil {
				return err
			}
			scanSegment(data, func(rec []byte) { r.see(&dec, rec) })
		}
	}
	if r.refs == 0 {
		return r.orphans()
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
