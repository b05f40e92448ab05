package tsdb

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/tsdb/wlog"

	"plimsoll.dev/plimsoll/internal/disk"
)

// notedFile says, in the engine's folder, which segments its logs had when it was last looked at, and how large they were: a start takes a log for
// whole that has lost its end, or all of it.
const notedFile = "segments"

// noted are the sizes of the logs' segments, by their paths in the engine's folder: "wal/00000003".
type noted map[string]int64

// logDirs are the folders of the logs.
var logDirs = [...]string{"wal", wlog.WblDirName}

// sizes looks at the segments that are there.
func sizes(dir string) (noted, error) {
	out := noted{}
	for _, log := range logDirs {
		names, err := segments(filepath.Join(dir, log))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			switch info, err := os.Lstat(name); {
			case err == nil:
				out[log+"/"+filepath.Base(name)] = info.Size()
			case !errors.Is(err, os.ErrNotExist): // the engine drops what it needs no more
				return nil, err
			}
		}
	}
	return out, nil
}

// readNoted reads what was noted; nothing where there is no such file, as none was made before there was one.
func readNoted(dir string) noted {
	f, err := disk.Open(filepath.Join(dir, notedFile), os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil
	}
	return parseNoted(string(data))
}

// parseNoted reads lines of a segment and its size, and passes over what is none.
func parseNoted(text string) noted {
	out := noted{}
	for line := range strings.Lines(text) {
		name, size, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		log, number, _ := strings.Cut(name, "/")
		n, err := strconv.Atoi(number)
		bytes, serr := strconv.ParseInt(size, 10, 64)
		if err == nil && serr == nil && n >= 0 && bytes > 0 && slices.Contains(logDirs[:], log) && wlog.SegmentName("", n) == number {
			out[name] = bytes
		}
	}
	return out
}

// lacks are the bytes that were noted and are gone, by segment. What the engine has dropped itself is not among them: of the log all up to its checkpoint, of that of
// late samples its begin.
func (was noted) lacks(dir string, have noted) noted {
	first := map[string]int{}
	for name := range have {
		log, number := filepath.Split(name)
		n, _ := strconv.Atoi(number)
		if at, ok := first[log]; !ok || n < at {
			first[log] = n
		}
	}
	first["wal/"] = 0
	if _, at, err := wlog.LastCheckpoint(filepath.Join(dir, "wal")); err == nil {
		first["wal/"] = at + 1
	}
	out := noted{}
	for name, size := range was {
		log, number := filepath.Split(name)
		if n, _ := strconv.Atoi(number); n >= first[log] && size > have[name] {
			out[name] = size - have[name]
		}
	}
	return out
}

// noteSegments notes what the logs have. What is gone of that which was noted before stays noted: the next start tells of it.
func noteSegments(dir string) error {
	have, err := sizes(dir)
	if err == nil {
		was := readNoted(dir)
		for name := range was.lacks(dir, have) {
			have[name] = was[name]
		}
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(have)) {
			fmt.Fprintf(&b, "%s %d\n", name, have[name])
		}
		err = replace(filepath.Join(dir, notedFile), b.String())
	}
	if err != nil {
		return fmt.Errorf("cannot note which segments the log in %q has: %w", dir, err)
	}
	return nil
}

// replace puts a new file of the engine's folder in the place of whatever has its name. No link is followed.
func replace(name, text string) error {
	tmp := name + ".tmp"
	if err := disk.NoLink(filepath.Dir(name)); err != nil {
		return err
	}
	f, err := disk.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

// lost tells of what was noted of the logs and is not there any more, and says whether there is such. It is told once: what is there is noted anew.
func (r *repairer) lost() (bool, error) {
	have, err := sizes(r.dir)
	if err != nil {
		return false, err
	}
	gone := readNoted(r.dir).lacks(r.dir, have)
	if err := os.Remove(filepath.Join(r.dir, notedFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	names := slices.Sorted(maps.Keys(gone))
	var all int64
	for _, name := range names {
		all += gone[name]
		if _, there := have[name]; !there {
			r.missed++
		}
	}
	switch {
	case len(names) == 0:
		return false, nil
	case len(names) > 3:
		names = append(names[:3:3], "...")
	}
	r.report(fmt.Sprintf("%d segments of the log in %q are missing or shorter than they were (%s): %d bytes are lost, with the samples in them that are in no block", len(gone), r.dir, strings.Join(names, ", "), all))
	return true, nil
}

// orphans sets the head chunks aside where nothing is left of the log: nobody knows any more whose they are, and new series would get their numbers.
func (r *repairer) orphans() error {
	dir := filepath.Join(r.dir, "chunks_head")
	if names, err := os.ReadDir(dir); err != nil || len(names) == 0 {
		return nil //nolint:nilerr // there are none
	}
	aside, err := r.setAside(dir)
	if err == nil {
		r.report(fmt.Sprintf("set head chunks aside as %q: the names of their series are lost with the log", aside))
	}
	return err
}

// note notes what the logs have, while the store takes data.
func (db *DB) note() {
	if db.writable() != nil {
		return
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.gen == nil {
		return
	}
	if err := noteSegments(db.engineDir()); err != nil && db.cond.Say(ReasonMaintenance, err.Error()) {
		db.log.Warn("store maintenance failed", "dir", db.opts.Dir, "err", err)
	}
}
