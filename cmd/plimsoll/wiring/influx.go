package wiring

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// Influx keeps the history in InfluxDB.
type Influx struct {
	Conn    influx.ConnOptions
	Encoder influx.EncoderOptions
	// Retention is that of a database that is made because there is none.
	Retention time.Duration
	// LateQuiet is how long nothing late must have come before it is rolled up.
	LateQuiet time.Duration
	// RollsUp says whether this process rolls up what comes late, as one alone is to.
	RollsUp bool
	Queue   Queue
}

// influxHistory queues what is appended, from where the writer sends it to InfluxDB.
type influxHistory struct {
	*influx.Sink
	opts   Influx
	conn   *influx.Conn
	queue  *queue.Queue
	writer *influx.Writer
	log    *slog.Logger

	setup atomic.Pointer[condition.Condition] // why the server is not set up yet; nil when it is
}

// writing opens the queue and what sends. The server may be away: what is appended waits in the queue.
func (o Influx) writing(e *environment) (*influxHistory, error) {
	h := &influxHistory{opts: o, log: e.named("influx")}
	var err error
	o.Conn.Logger = h.log
	if h.conn, err = influx.NewConn(o.Conn); err != nil {
		return nil, &UsageError{err}
	}
	e.life.Opened("connections to InfluxDB", func() error { h.conn.Close(); return nil })
	if h.queue, err = o.Queue.open(e, "influx"); err != nil {
		return nil, err
	}
	durable := influx.OnQueue(h.queue)
	if h.Sink, err = influx.NewSink(influx.SinkOptions{Encoder: o.Encoder, Queue: durable, Logger: h.log, Registerer: e.registry}); err != nil {
		return nil, err
	}
	if h.writer, err = influx.NewWriter(influx.WriterOptions{Conn: h.conn, Lanes: durable.Lanes(), DeadLetters: durable, Logger: h.log, Registerer: e.registry}); err != nil {
		return nil, err
	}
	e.life.Runs("influx writer", h.writer.Run)
	e.life.Runs("influx set-up", h.prepare)
	return h, nil
}

func (o Influx) openWriting(e *environment) (collector.Sink, error) {
	h, err := o.writing(e)
	if err != nil {
		return nil, err
	}
	e.sends(h.queue.Health, h.conditions)
	return toStore{h}, nil
}

func (o Influx) open(e *environment) (history, error) {
	h, err := o.writing(e)
	if err != nil {
		return nil, err
	}
	reader, err := influx.NewReader(influx.ReaderOptions{Conn: h.conn, Logger: h.log, Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the reader of InfluxDB", reader.Close)
	e.keeps(h.queue.Health, h.conditions)
	return struct {
		*influxHistory
		*influx.Reader
	}{h, reader}, nil
}

// prepare asks the server what it is and sets it up, until that has worked or is not allowed; then it rolls up what comes late.
func (h *influxHistory) prepare(ctx context.Context) error {
	began := time.Now()
	setup, err := influx.NewSetup(influx.SetupOptions{Conn: h.conn, Retention: h.opts.Retention, KeepExisting: true})
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
		case errors.Is(err, influx.ErrForbidden) || errors.Is(err, influx.ErrNoOrg):
			// A token that may write but not set up is as it should be; the writer tells if it may not write either.
			h.log.Info("the token may not set InfluxDB up; 'plimsoll influx setup' does it with one that may", "url", h.conn.URL(), "err", err)
			return h.prepared(ctx, setup)
		}
		h.log.Warn("InfluxDB is not set up", "url", h.conn.URL(), "err", err, "again", wait)
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
func (h *influxHistory) prepared(ctx context.Context, setup *influx.Setup) error {
	h.setup.Store(nil)
	if !h.opts.RollsUp {
		<-ctx.Done()
		return ctx.Err()
	}
	return setup.RunBackfill(ctx, h.writer, influx.BackfillOptions{Quiet: h.opts.LateQuiet, Logger: h.log})
}

func (h *influxHistory) tryPrepare(ctx context.Context, setup *influx.Setup) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := h.conn.ReadToken(); err != nil { // there may be another one since
		return err
	}
	v, err := h.conn.Detect(ctx)
	if err != nil {
		return err
	}
	if _, _, err := setup.Apply(ctx); err != nil {
		return err
	}
	h.log.Info("history goes to InfluxDB", "url", h.conn.URL(), "version", v.String(), "bucket", h.opts.Conn.Bucket)
	return nil
}

// conditions say what keeps the queue from emptying.
func (h *influxHistory) conditions() []condition.Condition {
	var out []condition.Condition
	if c := h.setup.Load(); c != nil {
		out = append(out, *c)
	}
	return slices.Concat(out, h.writer.Conditions(), h.Sink.Conditions(), queueConditions(h.queue))
}
