package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/lifecycle"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// influxOptions say where InfluxDB is; without an URL there is none.
type influxOptions struct {
	url, org, bucket, tokenFile string
	schema, cluster             string
	seriesBudget                int
	lateQuiet                   time.Duration
}

func (o *influxOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.url, "influx-url", "", "keep the history in InfluxDB at this address, such as http://127.0.0.1:8086")
	f.StringVar(&o.org, "influx-org", "", "organization (2.x)")
	f.StringVar(&o.bucket, "influx-bucket", "plimsoll", "bucket; on 1.x the database, or database/policy")
	f.StringVar(&o.tokenFile, "influx-token-file", "", "file with the token; on 1.x user:password")
	f.StringVar(&o.schema, "influx-schema", string(influx.SchemaV1), "v1; heapster or heapster-fields write Heapster's names, for boards made for it")
	f.StringVar(&o.cluster, "cluster", "", "value of the tag cluster")
	f.IntVar(&o.seriesBudget, "influx-series-per-namespace", 10_000, "most entities of one namespace within a day; those beyond are left out, counted and named")
	f.DurationVar(&o.lateQuiet, "influx-late-quiet", influx.DefaultQuiet, "how long nothing late must have come before it is rolled up into hours and days")
}

// conn says where the server is.
func (o *influxOptions) conn() influx.ConnOptions {
	return influx.ConnOptions{URL: o.url, Org: o.org, Bucket: o.bucket, TokenFile: o.tokenFile, Flags: dial.Flags{Address: "--influx-url", TokenFile: "--influx-token-file"}}
}

func (o *influxOptions) validate() error {
	if o.url == "" {
		if o.org != "" || o.tokenFile != "" {
			return usagef("--influx-org and --influx-token-file need --influx-url")
		}
		return nil
	}
	conn := o.conn()
	if err := conn.Validate(); err != nil {
		return &usageError{err}
	}
	encoder := influx.EncoderOptions{Cluster: o.cluster, Schema: influx.Schema(o.schema), SeriesPerNamespace: o.seriesBudget}
	if err := encoder.Validate(); err != nil {
		return &usageError{err}
	}
	if o.lateQuiet < time.Second {
		return usagef("--influx-late-quiet %q: want at least 1s", o.lateQuiet)
	}
	return nil
}

// influxHistory queues what is appended, from where the writer sends it to InfluxDB, and reads from InfluxDB.
type influxHistory struct {
	*influx.Sink
	*influx.Reader // nil in a collector, which only writes
	opts           historyOptions
	conn           *influx.Conn
	queue          *queue.Queue
	writer         *influx.Writer
	log            *slog.Logger
	rollsUp        bool // rolls up what comes late: the one process that reads, or a collector without a server

	setup atomic.Pointer[condition.Condition] // why the server is not set up yet; nil when it is
}

// openInflux opens the queue and what sends and reads. The server may be away: what is appended waits in the queue.
func openInflux(o historyOptions, log *slog.Logger, reg prometheus.Registerer, life *lifecycle.Life) (*history, error) {
	h, err := openInfluxWriter(o, true, log, reg, life)
	if err != nil {
		return nil, err
	}
	if h.Reader, err = influx.NewReader(influx.ReaderOptions{Conn: h.conn, Logger: h.log, Registerer: reg}); err != nil {
		return nil, err
	}
	life.Opened("the reader of InfluxDB", h.Reader.Close)
	return &history{Appender: h, Querier: h, DecisionLog: h, health: h.queue.Health, conditions: h.conditions}, nil
}

// openInfluxWriter opens the writing half: what a collector needs.
func openInfluxWriter(o historyOptions, rollsUp bool, log *slog.Logger, reg prometheus.Registerer, life *lifecycle.Life) (*influxHistory, error) {
	h := &influxHistory{opts: o, rollsUp: rollsUp, log: logOf(log, "influx")}
	var err error
	conn := o.influx.conn()
	conn.Logger = h.log
	if h.conn, err = influx.NewConn(conn); err != nil {
		return nil, &usageError{err}
	}
	life.Opened("connections to InfluxDB", func() error { h.conn.Close(); return nil })
	if h.queue, err = openQueue(o, "influx", log, reg, life); err != nil {
		return nil, err
	}
	durable := influx.OnQueue(h.queue)
	encoder := influx.EncoderOptions{Cluster: o.influx.cluster, Schema: influx.Schema(o.influx.schema), SeriesPerNamespace: o.influx.seriesBudget}
	if h.Sink, err = influx.NewSink(influx.SinkOptions{Encoder: encoder, Queue: durable, Logger: h.log, Registerer: reg}); err != nil {
		return nil, err
	}
	if h.writer, err = influx.NewWriter(influx.WriterOptions{Conn: h.conn, Lanes: durable.Lanes(), DeadLetters: durable, Logger: h.log, Registerer: reg}); err != nil {
		return nil, err
	}
	life.Runs("influx writer", h.writer.Run)
	life.Runs("influx set-up", h.prepare)
	return h, nil
}

// prepare asks the server what it is and sets it up, until that has worked or is not allowed; then it rolls up what comes late.
func (h *influxHistory) prepare(ctx context.Context) error {
	began := time.Now()
	setup, err := influx.NewSetup(influx.SetupOptions{Conn: h.conn, Retention: time.Duration(h.opts.retention), KeepExisting: true})
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
	if !h.rollsUp {
		<-ctx.Done()
		return ctx.Err()
	}
	return setup.RunBackfill(ctx, h.writer, influx.BackfillOptions{Quiet: h.opts.influx.lateQuiet, Logger: h.log})
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
	h.log.Info("history goes to InfluxDB", "url", h.conn.URL(), "version", v.String(), "bucket", h.opts.influx.bucket)
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
