package tsdb

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
	"plimsoll.dev/plimsoll/internal/store"
)

const (
	// decisionSegment is the size at which the next segment of the decision log is begun.
	decisionSegment = 1 << 20
	// defaultDecisions is how many decisions a query without a limit gives.
	defaultDecisions = 100
	// maxDecisions is the most that one query gives.
	maxDecisions = 10_000
)

// decisionLog keeps decisions in segments of lines. A line that is torn or damaged costs itself only.
type decisionLog struct {
	dir      string
	maxBytes int64
	keep     time.Duration
	report   func(string) // told of what was cut when opened

	mu       sync.Mutex
	closed   bool
	segments []*decisionFile // oldest first; the last one is written
	f        *os.File        // the last segment, nil until the first decision
	torn     bool            // a write failed and could not be undone: begin a new segment
	bytes    int64
}

// decisionFile is what is remembered of a segment: enough to pass it over.
type decisionFile struct {
	number      int
	size        int64
	count       int
	first, last time.Time
	// targets are the targets in it; nil when there are too many to remember.
	targets map[string]struct{}
}

// maxTargets bounds decisionFile.targets.
const maxTargets = 256

// openDecisions reads the segments' outlines and cuts a torn tail.
func openDecisions(dir string, maxBytes int64, keep time.Duration, report func(string)) (*decisionLog, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	l := &decisionLog{dir: dir, maxBytes: maxBytes, keep: keep, report: report}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		number, err := strconv.Atoi(strings.TrimSuffix(n.Name(), ".jsonl"))
		if err != nil || n.IsDir() {
			continue
		}
		s, err := l.outline(number)
		if err != nil {
			return nil, err
		}
		l.segments = append(l.segments, s)
		l.bytes += s.size
	}
	slices.SortFunc(l.segments, func(a, b *decisionFile) int { return a.number - b.number })
	return l, nil
}

// outline reads a segment through and cuts its torn tail.
func (l *decisionLog) outline(number int) (*decisionFile, error) {
	name := l.name(number)
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", name, err)
	}
	s := newDecisionFile(number)
	good, damaged := scanDecisions(data, func(d *cluster.Decision) bool { s.add(d); return true })
	if good < len(data) {
		if err := os.Truncate(name, int64(good)); err != nil {
			return nil, fmt.Errorf("cannot cut the torn tail of %q: %w", name, err)
		}
		l.report(fmt.Sprintf("cut a torn tail of %d bytes off %q", len(data)-good, name))
	}
	if damaged > 0 {
		l.report(fmt.Sprintf("%d damaged decisions in %q are left out", damaged, name))
	}
	s.size = int64(good)
	return s, nil
}

func newDecisionFile(number int) *decisionFile {
	return &decisionFile{number: number, targets: map[string]struct{}{}}
}

func (s *decisionFile) add(d *cluster.Decision) {
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
func (s *decisionFile) may(q *store.DecisionQuery) bool {
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

func (l *decisionLog) name(number int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%08d.jsonl", number))
}

// append writes one decision. On an error nothing of it stays in the log.
func (l *decisionLog) append(d *cluster.Decision) error {
	line, err := encodeDecision(nil, d)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return store.ErrClosed
	}
	if err := l.room(len(line)); err != nil {
		return err
	}
	s := l.segments[len(l.segments)-1]
	if _, err := l.f.WriteAt(line, s.size); err != nil {
		if terr := l.f.Truncate(s.size); terr != nil {
			l.torn = true
		}
		return err
	}
	s.size += int64(len(line))
	l.bytes += int64(len(line))
	s.add(d)
	return nil
}

// room makes the last segment ready to take n bytes, and begins a new one if it is full.
func (l *decisionLog) room(n int) error {
	if k := len(l.segments); k > 0 && !l.torn && l.segments[k-1].size+int64(n) <= decisionSegment {
		if l.f != nil {
			return nil
		}
		f, err := os.OpenFile(l.name(l.segments[k-1].number), os.O_RDWR, 0)
		l.f = f
		return err
	}
	number := 1
	if k := len(l.segments); k > 0 {
		number = l.segments[k-1].number + 1
	}
	f, err := os.OpenFile(l.name(number), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	if l.f != nil {
		_ = l.f.Sync()
		_ = l.f.Close()
	}
	l.f, l.torn = f, false
	l.segments = append(l.segments, newDecisionFile(number))
	l.drop(func() bool { return l.bytes+int64(n) > l.maxBytes })
	return nil
}

// drop removes the oldest segments while there is reason to; the one that is written stays.
func (l *decisionLog) drop(reason func() bool) {
	for len(l.segments) > 1 && reason() {
		if err := os.Remove(l.name(l.segments[0].number)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return
		}
		l.bytes -= l.segments[0].size
		l.segments = l.segments[1:]
	}
}

// trim drops what is older than the retention or more than the limit.
func (l *decisionLog) trim(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.drop(func() bool { return l.segments[0].last.Before(now.Add(-l.keep)) || l.bytes > l.maxBytes })
	return nil
}

func (l *decisionLog) close() error {
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

// AppendDecision writes a decision to the decision log; when it returns nil the decision survives kill -9.
func (db *DB) AppendDecision(ctx context.Context, d cluster.Decision) error {
	err := ctx.Err()
	if err == nil && db.closed.Load() {
		err = store.ErrClosed
	}
	if err == nil {
		if err = db.decisions.append(&d); isFull(err) {
			db.met.errors.WithLabelValues(classFull).Inc()
			err = fmt.Errorf("%w: %w", err, store.ErrReadOnly)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot append decision for %q: %w", d.Namespace+"/"+d.Kind+"/"+d.Name, err)
	}
	db.met.decisions.Inc()
	return nil
}
