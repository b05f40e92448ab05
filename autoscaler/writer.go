package autoscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// queueLength is how many decisions and batches may wait for the store. When it is slower than that, what comes is
// dropped and counted: the loop does not wait.
const queueLength = 1024

// writer writes decisions and series to the store beside the loop.
type writer struct {
	decisions DecisionLog
	history   History
	timeout   time.Duration
	log       *slog.Logger
	metrics   *metrics
	queue     chan any // store.Decision or *metric.Batch

	mu  sync.Mutex
	err error // of the newest write of a decision
}

func newWriter(d DecisionLog, h History, timeout time.Duration, log *slog.Logger, m *metrics) *writer {
	return &writer{decisions: d, history: h, timeout: timeout, log: log, metrics: m, queue: make(chan any, queueLength)}
}

// start starts writing; stop writes what is queued and ends it.
func (w *writer) start() (stop func()) {
	done, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case x := <-w.queue:
				w.write(x)
			case <-end:
				w.flush()
				return
			}
		}
	}()
	return func() { close(end); <-done }
}

// flush writes what is queued, for as long as one write may last.
func (w *writer) flush() {
	deadline := time.Now().Add(w.timeout)
	for time.Now().Before(deadline) {
		select {
		case x := <-w.queue:
			w.write(x)
		default:
			return
		}
	}
}

func (w *writer) write(x any) {
	ctx, cancel := context.WithTimeout(context.Background(), w.timeout) // the last words are written after Run's ctx has ended
	defer cancel()
	switch x := x.(type) {
	case *metric.Batch:
		if err := w.history.Append(ctx, x); err != nil {
			w.metrics.lost.WithLabelValues("history").Inc()
			w.log.Debug("cannot keep a target's series", "err", err)
		}
	case cluster.Decision:
		err := w.decisions.AppendDecision(ctx, x)
		w.mu.Lock()
		was := w.err
		w.err = err
		w.mu.Unlock()
		if err != nil {
			w.metrics.lost.WithLabelValues("decision").Inc()
			if was == nil && !errors.Is(err, store.ErrClosed) {
				w.log.Warn("cannot keep decisions", "err", err)
			}
		} else if was != nil {
			w.log.Info("decisions are kept again")
		}
	}
}

func (w *writer) decision(d cluster.Decision) {
	if w.decisions != nil {
		w.put(d, "decision")
	}
}

func (w *writer) batch(b *metric.Batch) { w.put(b, "history") }

func (w *writer) put(x any, what string) {
	select {
	case w.queue <- x:
	default:
		w.metrics.lost.WithLabelValues(what).Inc()
	}
}

// health says whether decisions are kept.
func (w *writer) health() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return fmt.Errorf("decisions are not kept: %w", w.err)
	}
	return nil
}
