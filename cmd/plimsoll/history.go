package main

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/lifecycle"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// history is where a process keeps what was measured, and reads it back from.
type history struct {
	store.Appender
	store.Querier
	store.DecisionLog
	// health says whether what is appended is kept.
	health func() condition.Condition
	// conditions say what a person should know beyond that; nil: nothing.
	conditions func() []condition.Condition
	// prometheus serves the Prometheus HTTP API over it; nil where the store has no PromQL.
	prometheus http.Handler
}

// historyOptions say where the history is kept.
type historyOptions struct {
	data           string
	retention      days
	retentionBytes quantity
	influx         influxOptions
	remote         remoteOptions
	queueBytes     quantity
	queueAge       days
	queueSync      time.Duration
}

// flags adds the flags of a process that keeps history.
func (o *historyOptions) flags(f *pflag.FlagSet) {
	o.retention, o.retentionBytes = days(15*24*time.Hour), quantity(1<<30)
	f.StringVar(&o.data, "data", "./plimsoll-data", "folder of the history, or of the queue before InfluxDB")
	f.Var(&o.retention, "retention", "how long history is kept, such as 15d or 36h")
	f.Var(&o.retentionBytes, "retention-bytes", "how much the embedded store may take, such as 1Gi")
	o.influx.flags(f)
	o.remote.flags(f)
	o.queueFlags(f)
}

func (o *historyOptions) queueFlags(f *pflag.FlagSet) {
	o.queueBytes, o.queueAge = quantity(1<<30), days(7*24*time.Hour)
	f.Var(&o.queueBytes, "queue-max-bytes", "how much the queue may take on disk; past it the oldest is dropped and counted")
	f.Var(&o.queueAge, "queue-max-age", "how old what is queued may become")
	f.DurationVar(&o.queueSync, "queue-sync", time.Second, "how long a record may wait for fsync; 0 waits for it each time")
}

func (o *historyOptions) validate() error {
	switch {
	case o.data == "":
		return usagef(`--data "": want a folder`)
	case o.retention < days(2*time.Hour):
		return usagef("--retention %q: want at least 2h", o.retention.String())
	case o.retentionBytes < 64<<20:
		return usagef("--retention-bytes %q: want at least 64Mi", o.retentionBytes.String())
	}
	if err := o.validateQueue(); err != nil {
		return err
	}
	if o.influx.url != "" && o.remote.url != "" {
		return usagef("--influx-url and --remote-url both say where the history is: give one")
	}
	if err := o.remote.validate(); err != nil {
		return err
	}
	return o.influx.validate()
}

func (o *historyOptions) validateQueue() error {
	switch {
	case o.queueBytes < 32<<20:
		return usagef("--queue-max-bytes %q: want at least 32Mi", o.queueBytes.String())
	case o.queueAge < days(time.Minute):
		return usagef("--queue-max-age %q: want at least 1m", o.queueAge.String())
	case o.queueSync < 0 || o.queueSync > time.Minute:
		return usagef("--queue-sync %q: want 0 to 1m", o.queueSync)
	}
	return nil
}

// openQueue opens the durable queue in the data folder; each kind of records has its own.
func openQueue(o historyOptions, kind string, log *slog.Logger, reg prometheus.Registerer, life *lifecycle.Life) (*queue.Queue, error) {
	q, err := queue.Open(queue.Options{Dir: filepath.Join(o.data, "queue", kind), MaxBytes: int64(o.queueBytes), MaxAge: time.Duration(o.queueAge), SyncEvery: o.queueSync,
		Logger: logOf(log, "queue"), Registerer: reg})
	if err != nil {
		return nil, err
	}
	life.Opened("the queue", q.Close)
	life.Runs("queue", q.Run)
	return q, nil
}

// queueConditions say what a person should know of a queue that takes records all the same.
func queueConditions(q *queue.Queue) []condition.Condition {
	h := q.Health()
	if !h.OK() || h.Reason == "" {
		return nil
	}
	return []condition.Condition{condition.Ill("HistoryQueued", h.Reason, h.Message, h.Since)}
}

// latest is how late samples may come: a collector that was cut off brings all that its queue has kept (seven days, unless asked
// for otherwise), while the samples of others are of now.
const latest = 8 * 24 * time.Hour

// openHistory opens the store that the options ask for.
func openHistory(o historyOptions, log *slog.Logger, reg prometheus.Registerer, life *lifecycle.Life) (*history, error) {
	switch {
	case o.influx.url != "":
		return openInflux(o, log, reg, life)
	case o.remote.url != "":
		return openRemote(o, log, reg, life)
	}
	db, err := tsdb.Open(tsdb.Options{Dir: o.data, Retention: time.Duration(o.retention), MaxBytes: int64(o.retentionBytes), OutOfOrder: min(time.Duration(o.retention), latest), Logger: log, Registerer: reg})
	if err != nil {
		return nil, err
	}
	life.Opened("the store", db.Close)
	return &history{Appender: db, Querier: db, DecisionLog: db, health: db.Health, prometheus: db.API()}, nil
}
