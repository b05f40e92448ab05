package decisions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/store"
)

// segmentBytes is the size at which the next segment is begun.
const segmentBytes = 1 << 20

// Options say what a log keeps.
type Options struct {
	// MaxBytes is the most that the history may take on disk; the log has its Share of that.
	MaxBytes int64
	// Retention is how long decisions are kept. They go by whole segments, so a little more may be kept.
	Retention time.Duration
	// Report is told of what was cut or is left out when the log is opened.
	Report func(what string)
}

// Share is how much of what a history may take on disk is the log's.
func Share(maxBytes int64) int64 { return min(64<<20, maxBytes/8) }

// Log keeps decisions in segments of lines. Its methods are safe for concurrent use.
type Log struct {
	opts Options
	data *disk.Folder // kept, as a claim that nobody refers to is given up
	dir  string
	max  int64

	mu       sync.Mutex
	closed   bool
	segments []*segment // oldest first; the last one is written
	f        *os.File   // the last segment, nil until the first decision
	torn     bool       // a write failed and could not be undone: begin a new segment
	bytes    int64
}

var _ store.DecisionLog = (*Log)(nil)

// segment is what is remembered of a segment: enough to pass it over.
type segment struct {
	number      int
	size        int64
	count       int
	first, last time.Time
	// targets are the targets in it; nil when there are too many to remember.
	targets map[string]struct{}
}

// maxTargets bounds segment.targets.
const maxTargets = 256

// Open opens the log in the folder "decisions" of a data folder, or makes it: it reads the outlines of the segments and cuts a torn
// tail. The caller must Close it before it gives the data folder up.
func Open(data *disk.Folder, o Options) (*Log, error) {
	l := &Log{opts: o, data: data, dir: filepath.Join(data.Dir, "decisions"), max: Share(o.MaxBytes)}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("cannot open decision log in %q: %w", data.Dir, err)
	}
	return l, nil
}

func (l *Log) open() error {
	if err := os.MkdirAll(l.dir, 0o750); err != nil {
		return err
	}
	names, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		number, err := strconv.Atoi(strings.TrimSuffix(n.Name(), ".jsonl"))
		if err != nil || n.IsDir() {
			continue
		}
		s, err := l.outline(number)
		if err != nil {
			return err
		}
		l.segments = append(l.segments, s)
		l.bytes += s.size
	}
	slices.SortFunc(l.segments, func(a, b *segment) int { return a.number - b.number })
	return nil
}

// outline reads a segment through and cuts its torn tail.
func (l *Log) outline(number int) (*segment, error) {
	name := l.name(number)
	data, err := disk.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", name, err)
	}
	s := newSegment(number)
	good, damaged := scan(data, func(d *cluster.Decision) bool { s.add(d); return true })
	if good < len(data) {
		if err := disk.Cut(name, int64(good)); err != nil {
			return nil, fmt.Errorf("cannot cut the torn tail of %q: %w", name, err)
		}
		l.opts.Report(fmt.Sprintf("cut a torn tail of %d bytes off %q", len(data)-good, name))
	}
	if damaged > 0 {
		l.opts.Report(fmt.Sprintf("%d damaged decisions in %q are left out", damaged, name))
	}
	s.size = int64(good)
	return s, nil
}

func newSegment(number int) *segment {
	return &segment{number: number, targets: map[string]struct{}{}}
}

func (s *segment) add(d *cluster.Decision) {
	if s.count == 0 || d.Time.Before(s.first) {
		s.first = d.Time
	}
	if s.count == 0 || d.Time.After(s.last) {
		s.last = d.Time
	}
	s.count++
	if s.targets == nil {
		return
	}
	s.targets[target(d.Namespace, d.Kind, d.Name)] = struct{}{}
	if len(s.targets) > maxTargets {
		s.targets = nil
	}
}

// may says whether the segment can hold a decision that q asks for.
func (s *segment) may(q *store.DecisionQuery) bool {
	if s.count == 0 || !q.Start.IsZero() && s.last.Before(q.Start) || !q.End.IsZero() && s.first.After(q.End) {
		return false
	}
	if s.targets == nil || q.Namespace == "" || q.Kind == "" || q.Name == "" {
		return true
	}
	_, ok := s.targets[target(q.Namespace, q.Kind, q.Name)]
	return ok
}

func target(namespace, kind, name string) string { return namespace + "\x00" + kind + "\x00" + name }

func (l *Log) name(number int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%08d.jsonl", number))
}

// append writes one decision. On an error nothing of it stays in the log; that of the disk is store.ErrReadOnly as well.
func (l *Log) append(d *cluster.Decision) error {
	line, err := encode(nil, d)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return store.ErrClosed
	}
	if err := l.room(len(line)); err != nil {
		return refused(err)
	}
	s := l.segments[len(l.segments)-1]
	if _, err := l.f.WriteAt(line, s.size); err != nil {
		if terr := l.f.Truncate(s.size); terr != nil {
			l.torn = true
		}
		return refused(err)
	}
	s.size += int64(len(line))
	l.bytes += int64(len(line))
	s.add(d)
	return nil
}

// refused is the error of a write. Where the disk takes none, for whatever cause, no decision is taken at present.
func refused(err error) error {
	if disk.CauseOf(err) == disk.Unknown {
		return err
	}
	return fmt.Errorf("%w: %w", disk.Explain(err), store.ErrReadOnly)
}

// room makes the last segment ready to take n bytes, and begins a new one if it is full.
func (l *Log) room(n int) error {
	if k := len(l.segments); k > 0 && !l.torn && l.segments[k-1].size+int64(n) <= segmentBytes {
		if l.f != nil {
			return nil
		}
		f, err := disk.Open(l.name(l.segments[k-1].number), os.O_RDWR)
		l.f = f
		return err
	}
	number := 1
	if k := len(l.segments); k > 0 {
		number = l.segments[k-1].number + 1
	}
	if err := disk.NoLink(l.dir); err != nil {
		return err
	}
	f, err := disk.Open(l.name(number), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if l.f != nil {
		_ = l.f.Sync()
		_ = l.f.Close()
	}
	l.f, l.torn = f, false
	l.segments = append(l.segments, newSegment(number))
	l.drop(func() bool { return l.bytes+int64(n) > l.max })
	return nil
}

// drop removes the oldest segments while there is reason to; the one that is written stays.
func (l *Log) drop(reason func() bool) {
	for len(l.segments) > 1 && reason() {
		if err := os.Remove(l.name(l.segments[0].number)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return
		}
		l.bytes -= l.segments[0].size
		l.segments = l.segments[1:]
	}
}

// Run drops every minute what is older than the retention, until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			l.Trim(now)
		}
	}
}

// Trim drops what is older than the retention or more than the limit; Run does it, and who does not Run calls it.
func (l *Log) Trim(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.drop(func() bool { return l.segments[0].last.Before(now.Add(-l.opts.Retention)) || l.bytes > l.max })
}

// Close puts everything on the disk and ends the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.f == nil {
		return nil
	}
	err := errors.Join(l.f.Sync(), l.f.Close())
	l.f = nil
	return err
}

// AppendDecision writes a decision; when it returns nil the decision survives kill -9.
func (l *Log) AppendDecision(ctx context.Context, d cluster.Decision) error {
	err := ctx.Err()
	if err == nil {
		err = l.append(&d)
	}
	if err != nil {
		return fmt.Errorf("cannot append decision for %q: %w", d.Namespace+"/"+d.Kind+"/"+d.Name, err)
	}
	return nil
}
