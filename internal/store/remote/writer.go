package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/condition"
)

// Source is a lane of the durable queue. Samples must be in order, so it is to be the lane that keeps it.
type Source interface {
	// Next waits for a record. It ends with ctx's error.
	Next(ctx context.Context) (Record, error)
}

// Record is what the queue hands out. The writer is done with Data when it calls Done.
type Record struct {
	Data   []byte
	Points int
	// Done tells the queue that the record is stored or set aside.
	Done func() error
}

// DeadLetters keeps what the engine refuses for ever, within a limit of its own.
type DeadLetters interface {
	SetAside(record []byte, reason string) error
}

// WriterOptions say what is sent where.
type WriterOptions struct {
	Sender *Sender
	Source Source
	// DeadLetters takes what is refused for ever; without one it is counted and lost.
	DeadLetters DeadLetters
	Logger      *slog.Logger          // nil: nothing is logged
	Registerer  prometheus.Registerer // nil: the own metrics are not registered
	// Fix says what a person can do about a record that was not sent; nil, or "": there is nothing to add.
	Fix func(*SendError) string

	random func() float64 // tests alone set it: numbers of [0,1) for the waits
}

// Validate says what in the options cannot be.
func (o *WriterOptions) Validate() error {
	if o.Sender == nil || o.Source == nil {
		return errors.New("cannot write by remote write: no sender or no source")
	}
	return nil
}

// Writer takes records from the queue and sends them until the engine has them.
type Writer struct {
	opts WriterOptions
	met  *metrics

	mu      sync.Mutex
	failing *SendError // nil: the last request was taken
	ill     condition.Condition
}

// NewWriter returns a writer. It starts nothing.
func NewWriter(o WriterOptions) (*Writer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.random == nil {
		o.random = rand.Float64
	}
	met, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	return &Writer{opts: o, met: met}, nil
}

// Run sends until ctx ends, which is no error. It ends with an error when the queue does.
func (w *Writer) Run(ctx context.Context) error {
	for {
		r, err := w.opts.Source.Next(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that was asked for
		}
		if err != nil {
			return fmt.Errorf("cannot take a record from the queue: %w", err)
		}
		if !w.deliver(ctx, &r) {
			return nil
		}
		if err := r.Done(); err != nil {
			return fmt.Errorf("cannot tell the queue that a record is sent: %w", err)
		}
	}
}

// deliver sends a record until the engine has it; false when ctx ended first.
func (w *Writer) deliver(ctx context.Context, r *Record) bool {
	for attempt := 0; ; attempt++ {
		began := time.Now()
		refused, err := w.opts.Sender.Send(ctx, r.Data)
		w.met.seconds.Observe(time.Since(began).Seconds())
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			w.recovered()
			w.met.sent.Add(float64(r.Points))
			w.setAside(refused)
			return true
		}
		wait := w.failed(err, attempt)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// setAside keeps what was refused.
func (w *Writer) setAside(refused []Refusal) {
	for _, f := range refused {
		w.met.refused.Add(float64(f.Samples))
		if w.opts.DeadLetters == nil {
			continue
		}
		if err := w.opts.DeadLetters.SetAside(f.Record, f.Message); err != nil {
			w.opts.Logger.Warn("cannot set aside what the engine refused", "err", err)
		}
	}
	if len(refused) > 0 {
		w.opts.Logger.Warn("engine refused samples for ever", "parts", len(refused), "message", refused[0].Message)
	}
}

const (
	firstWait   = time.Second
	longestWait = time.Minute
	mendWait    = 30 * time.Second // at least, when a person has to do something
)

// failed remembers why a record was not sent and says how long to wait: what the engine asks for, or a random part of a time that
// doubles, whichever is longer.
func (w *Writer) failed(err error, attempt int) time.Duration {
	var se *SendError
	if !errors.As(err, &se) {
		se = &SendError{Class: Transient, err: err}
	}
	message := se.Error()
	if w.opts.Fix != nil {
		if fix := w.opts.Fix(se); fix != "" {
			message += ": " + fix
		}
	}
	w.met.failures.WithLabelValues(se.Class.String()).Inc()
	backoff := min(firstWait<<min(attempt, 10), longestWait)
	wait := time.Duration(w.opts.random() * float64(backoff))
	if se.Class == Configuration {
		wait = mendWait + wait/2
	}
	reason := ReasonUnreachable
	if se.Class == Configuration {
		reason = ReasonRefusesUs
	}
	w.mu.Lock()
	was, since := w.failing, w.ill.Since
	if was == nil {
		since = time.Now()
	}
	w.failing, w.ill = se, condition.Ill("HistorySent", reason, message, since)
	w.mu.Unlock()
	if was == nil || was.Class != se.Class || was.Status != se.Status {
		w.opts.Logger.Warn("cannot send history, it waits in the queue", "class", se.Class.String(), "err", message)
	}
	return max(wait, se.RetryAfter)
}

func (w *Writer) recovered() {
	w.mu.Lock()
	was, since := w.failing, w.ill.Since
	w.failing = nil
	w.mu.Unlock()
	if was != nil {
		w.opts.Logger.Info("engine takes history again", "after", time.Since(since).Round(time.Second).String())
	}
}

// Reasons of Health.
const (
	ReasonUnreachable = "RemoteUnreachable"
	ReasonRefusesUs   = "RemoteRefusesUs"
)

// Health says whether the engine takes what is sent.
func (w *Writer) Health() condition.Condition {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing == nil {
		return condition.Well("HistorySent")
	}
	return w.ill
}
