package queue

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/disk"
)

const (
	brokenBytes = 64 << 20 // of what is set aside
	goneDone    = "done"   // a segment that is gone because all of it was delivered
	droppingFor = time.Minute
)

// expire drops the segments whose newest record is too old.
func (q *Queue) expire() {
	q.appendMu.Lock()
	defer q.appendMu.Unlock()
	limit := q.clock.now() - q.opts.MaxAge.Milliseconds()
	q.mu.Lock()
	active, closed := q.active, q.closed
	old := active != nil && active.span > 0 && active.last < limit
	q.mu.Unlock()
	if closed {
		return
	}
	if old {
		q.seal(active)
	}
	q.mu.Lock()
	records := 0
	for len(q.segs) > 0 && q.segs[0] != q.active && q.segs[0].last < limit {
		n, _ := q.segs[0].unacked()
		records += n
		q.detachLocked(q.segs[0], DroppedAge)
	}
	q.mu.Unlock()
	q.dropping(DroppedAge, records)
}

// setAside moves a damaged file to the folder for such, and keeps that within bounds.
func (q *Queue) setAside(path string) error {
	dir := filepath.Join(q.opts.Dir, "broken")
	if err := disk.Sub(dir); err != nil {
		return err
	}
	to := filepath.Join(dir, fmt.Sprintf("%s.%d", filepath.Base(path), q.opts.now().UnixNano()))
	if err := os.Rename(path, to); err != nil {
		return err
	}
	trimFolder(dir, brokenBytes)
	return nil
}

// trimFolder deletes the oldest files of a folder until the others have at most so many bytes together.
func trimFolder(dir string, most int64) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var files []os.FileInfo
	for _, e := range names {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(b.Name(), a.Name()))
	})
	sum := int64(0)
	for i, f := range files {
		if sum += f.Size(); sum > most && i > 0 {
			_ = os.Remove(filepath.Join(dir, f.Name()))
		}
	}
}
