package influx

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/queue"
)

// OutboxOptions say what is kept where.
type OutboxOptions struct {
	Conn    *Conn
	Encoder EncoderOptions
	// Queue has what was not sent yet. Its owner runs it and closes it.
	Queue *queue.Queue
	// Retention is that of a database that is made because there is none.
	Retention time.Duration
	// RollsUp says whether this process rolls up what comes late, as one alone is to, once nothing late has come for LateQuiet.
	RollsUp    bool
	LateQuiet  time.Duration
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Outbox is a history in InfluxDB, as far as it is written: what is appended is queued, and sent until the server has it. The server may
// be away, and is set up when it is there.
type Outbox struct {
	*Sink
	opts   OutboxOptions
	writer *Writer
	setup  atomic.Pointer[condition.Condition] // why the server is not set up yet; nil when it is
}

// NewOutbox returns an outbox. It starts nothing.
func NewOutbox(o OutboxOptions) (*Outbox, error) {
	h := &Outbox{opts: o}
	durable := OnQueue(o.Queue)
	var err error
	if h.Sink, err = NewSink(SinkOptions{Encoder: o.Encoder, Queue: durable, Logger: o.Logger, Registerer: o.Registerer}); err != nil {
		return nil, err
	}
	h.writer, err = NewWriter(WriterOptions{Conn: o.Conn, Lanes: durable.Lanes(), DeadLetters: durable, Logger: o.Logger, Registerer: o.Registerer})
	return h, err
}

// Run sends until ctx ends.
func (h *Outbox) Run(ctx context.Context) error { return h.writer.Run(ctx) }

// SetUp asks the server what it is and sets it up, until that has worked or is not allowed; then it rolls up what comes late.
func (h *Outbox) SetUp(ctx context.Context) error {
	began := time.Now()
	setup, err := NewSetup(SetupOptions{Conn: h.opts.Conn, Retention: h.opts.Retention})
	if err != nil {
		return err
	}
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := h.tryPrepare(ctx, setup)
		switch {
		case err == nil:
			return h.prepared(ctx, setup)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrForbidden) || errors.Is(err, ErrNoOrg):
			// A token that may write but not set up is as it should be; the writer tells if it may not write either.
			h.opts.Logger.Info("the token may not set InfluxDB up; 'plimsoll influx setup' does it with one that may", "url", h.opts.Conn.URL(), "err", err)
			return h.prepared(ctx, setup)
		}
		h.opts.Logger.Warn("InfluxDB is not set up", "url", h.opts.Conn.URL(), "err", err, "again", wait)
		unready := condition.Ill("InfluxDBReady", "SetupFailed", err.Error(), began)
		h.setup.Store(&unready)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// prepared is what is done once nothing is left to set up.
func (h *Outbox) prepared(ctx context.Context, setup *Setup) error {
	h.setup.Store(nil)
	if !h.opts.RollsUp {
		<-ctx.Done()
		return ctx.Err()
	}
	return setup.RunBackfill(ctx, h.writer, BackfillOptions{Quiet: h.opts.LateQuiet, Cluster: h.opts.Encoder.Cluster, Logger: h.opts.Logger})
}

func (h *Outbox) tryPrepare(ctx context.Context, setup *Setup) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := h.opts.Conn.ReadToken(); err != nil { // there may be another one since
		return err
	}
	v, err := h.opts.Conn.Detect(ctx)
	if err != nil {
		return err
	}
	if _, _, err := setup.Apply(ctx); err != nil {
		return err
	}
	h.opts.Logger.Info("history goes to InfluxDB", "url", h.opts.Conn.URL(), "version", v.String(), "bucket", h.opts.Conn.opts.Bucket)
	return nil
}

// Health says whether what is appended is kept until it is sent.
func (h *Outbox) Health() condition.Condition { return h.opts.Queue.Health() }

// Conditions say what keeps the queue from emptying, and what else a person should know of it.
func (h *Outbox) Conditions() []condition.Condition {
	out := h.opts.Queue.Conditions()
	if c := h.setup.Load(); c != nil {
		out = append(out, *c)
	}
	return slices.Concat(out, h.writer.Conditions(), h.Sink.Conditions())
}
