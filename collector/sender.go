package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// sender hands one lane's batches to one sink, one at a time. A batch that comes while the one before is
// still being taken is dropped and counted, or, if the sender waits, stands in line: one place long.
type sender struct {
	name     string // of the sink
	lane     string
	sink     Sink
	waits    bool
	deadline time.Duration
	own      *own
	log      *slog.Logger

	mu      sync.Mutex
	taking  bool
	waiting *metric.Batch
	failing atomic.Bool // the last batch was not taken
}

// offer never blocks.
func (s *sender) offer(ctx context.Context, wg *sync.WaitGroup, b *metric.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.taking {
		s.taking = true
		wg.Go(func() { s.work(ctx, b) })
		return
	}
	if !s.waits {
		s.own.dropped(s.lane, s.name, "busy", b.Samples())
		return
	}
	if s.waiting != nil { // the older one goes: it will be late anyway
		s.own.dropped(s.lane, s.name, "busy", s.waiting.Samples())
	}
	s.waiting = b
}

// work takes the batch and those that stand in line.
func (s *sender) work(ctx context.Context, b *metric.Batch) {
	for b != nil {
		s.deliver(ctx, b)
		s.mu.Lock()
		b, s.waiting = s.waiting, nil
		s.taking = b != nil
		s.mu.Unlock()
	}
}

// deliver hands one batch over within the deadline.
func (s *sender) deliver(ctx context.Context, b *metric.Batch) {
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	err := s.guarded(ctx, b)
	if err == nil {
		s.own.sent.WithLabelValues(s.lane, s.name).Add(float64(b.Samples()))
		if s.failing.Swap(false) {
			s.log.Info("the sink takes batches again", "sink", s.name)
		}
		return
	}
	reason := "error"
	switch {
	case errors.Is(err, context.Canceled):
		reason = "stopped"
	case errors.Is(err, context.DeadlineExceeded):
		reason = "deadline"
	}
	s.own.dropped(s.lane, s.name, reason, b.Samples())
	if reason != "stopped" && !s.failing.Swap(true) {
		s.log.Warn("a sink does not take batches", "sink", s.name, "err", err)
	}
}

// guarded turns a panic of the sink into an error.
func (s *sender) guarded(ctx context.Context, b *metric.Batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.own.panics.Inc()
			err = fmt.Errorf("the %s sink panicked: %v", s.name, p)
		}
	}()
	return s.sink.Take(ctx, b)
}
