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
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/store"
)

// WriterOptions say what is sent where.
type WriterOptions struct {
	Endpoint EndpointOptions
	// Queue has what was not sent yet, and keeps what the engine refuses for ever. Its owner runs it and closes it.
	Queue *queue.Queue
	// Flags are how conditions name where the engine comes from.
	Flags dial.Flags
	// Labels are those that each entity is to have: identity.Labels if nil, identity.Wire for a server of ours.
	Labels     func(*metric.Entity) []metric.Label
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: the own metrics are not registered

	random func() float64 // tests alone set it: numbers of [0,1) for the waits
}

// Writer is a history in an engine, as far as it is written: what is appended is queued, and sent until the engine has it.
type Writer struct {
	opts   WriterOptions
	sender *Sender
	met    *metrics

	mu      sync.Mutex
	failing *SendError // nil: the last request was taken
	ill     condition.Condition
}

// NewWriter returns a writer. It starts nothing.
func NewWriter(o WriterOptions) (*Writer, error) {
	if o.Queue == nil {
		return nil, errors.New("cannot write by remote write: no queue")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Labels == nil {
		o.Labels = identity.Labels
	}
	if o.random == nil {
		o.random = rand.Float64
	}
	w := &Writer{opts: o}
	var err error
	if w.sender, err = NewSender(SenderOptions{Endpoint: o.Endpoint, Logger: o.Logger}); err != nil {
		return nil, err
	}
	w.met, err = newMetrics(o.Registerer)
	return w, err
}

// Close lets go of the connections.
func (w *Writer) Close() error {
	w.sender.Close()
	return nil
}

// recordPoints bounds a record: the sums of a large cluster are too much for one.
const recordPoints = 5000

// Append encodes the batch and queues it. On an error a part of it may be queued; to append it again is harmless.
func (w *Writer) Append(ctx context.Context, b *metric.Batch) error {
	for _, part := range remotewrite.Split(b, recordPoints) {
		record, points, _, err := Encode(part, w.opts.Labels, time.Now()) // what is left out could never be stored
		if err != nil {
			return err
		}
		if record == nil {
			continue
		}
		if err := w.opts.Queue.Append(ctx, record, queue.Meta{Points: points}); err != nil {
			if errors.Is(err, queue.ErrFull) {
				return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
			}
			return err
		}
	}
	return nil
}

// Run sends the records one by one, oldest first, as engines want them, until ctx ends, which is no error. It ends with an error when
// the queue does.
func (w *Writer) Run(ctx context.Context) error {
	for {
		b, err := w.opts.Queue.Backlog(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that was asked for
		}
		if err != nil {
			return fmt.Errorf("cannot take a record from the queue: %w", err)
		}
		for i := range b.Records {
			if !w.deliver(ctx, &b.Records[i]) {
				return nil
			}
			b.AckRecord(i)
		}
	}
}

// deliver sends a record until the engine has it; false when ctx ended first.
func (w *Writer) deliver(ctx context.Context, r *queue.Record) bool {
	for attempt := 0; ; attempt++ {
		began := time.Now()
		refused, err := w.sender.Send(ctx, r.Data)
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
		if err := w.opts.Queue.Dead(f.Record, queue.Meta{Points: 1}, f.Message); err != nil {
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
	switch fix := w.opts.Flags.Fix(se.Status, se.Unwrap()); {
	case fix != "":
		message += ": " + fix
	case se.Class == Limited:
		message += ": raise the engine's limit of series, or delete some; what was collected stays queued"
	case se.Class == TooLarge:
		message += ": one series alone is too much for the engine, or for a proxy before it: raise the limit of a request's body"
	}
	w.met.failures.WithLabelValues(se.Class.String()).Inc()
	backoff := min(firstWait<<min(attempt, 10), longestWait)
	wait := time.Duration(w.opts.random() * float64(backoff))
	if se.Class != Transient {
		wait = mendWait + wait/2
	}
	reason := [...]string{Transient: ReasonUnreachable, Configuration: ReasonRefusesUs, Limited: ReasonLimit, TooLarge: ReasonTooLarge, Refused: ReasonRefusesUs}[se.Class]
	if se.Class == Transient && se.Status != 0 {
		reason = ReasonBusy // it was reached, and said so
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

// Reasons of conditions.
const (
	ReasonUnreachable = "RemoteUnreachable"
	ReasonBusy        = "RemoteBusy"
	ReasonRefusesUs   = "RemoteRefusesUs"
	ReasonLimit       = "RemoteLimitReached"
	ReasonTooLarge    = "RemoteSeriesTooLarge"
)

// Health says whether what is appended is kept until it is sent.
func (w *Writer) Health() condition.Condition { return w.opts.Queue.Health() }

// Conditions say what keeps the queue from emptying, and what else a person should know of it.
func (w *Writer) Conditions() []condition.Condition {
	out := w.opts.Queue.Conditions()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing != nil {
		out = append(out, w.ill)
	}
	return out
}
