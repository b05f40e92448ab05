package main

import (
	"cmp"
	"time"

	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/internal/dial"
)

// historyOptions say where the history is kept.
type historyOptions struct {
	data     string // folder of the embedded store and of queues
	embedded wiring.Embedded
	queue    wiring.Queue
	influx   influxOptions
	remote   wiring.Remote
}

// remoteFlags are the flags by which an engine is found.
var remoteFlags = dial.Flags{Address: "--remote-url", CAFile: "--remote-ca-file", TokenFile: "--remote-token-file", Query: true}

// flags adds the flags of a process that keeps history.
func (o *historyOptions) flags(f *pflag.FlagSet) {
	o.embedded = wiring.Embedded{Retention: 15 * 24 * time.Hour, MaxBytes: 1 << 30}
	f.StringVar(&o.data, "data", "./plimsoll-data", "folder of the history, or of the queue before InfluxDB")
	f.Var(days(&o.embedded.Retention), "retention", "how long history is kept, such as 15d or 36h")
	f.Var(quantity(&o.embedded.MaxBytes), "retention-bytes", "how much the embedded store may take, such as 1Gi")
	o.influx.flags(f)
	f.StringVar(&o.remote.URL, "remote-url", "", "keep the history in a remote-write engine (Prometheus, Mimir, VictoriaMetrics), such as http://db:9090/api/v1/write")
	f.StringVar(&o.remote.QueryURL, "remote-query-url", "", "where that engine answers PromQL; made of --remote-url if empty")
	loginFlags(f, &o.remote.Login, remoteFlags, "the engine")
	o.queueFlags(f)
}

func (o *historyOptions) queueFlags(f *pflag.FlagSet) {
	o.queue.MaxBytes, o.queue.MaxAge = 1<<30, 7*24*time.Hour
	f.Var(quantity(&o.queue.MaxBytes), "queue-max-bytes", "how much the queue may take on disk; past it the oldest is dropped and counted")
	f.Var(days(&o.queue.MaxAge), "queue-max-age", "how old what is queued may become")
	durationVar(f, &o.queue.SyncEvery, "queue-sync", time.Second, "how long a record may wait for fsync; 0 waits for it each time")
}

// validate checks the flags, and settles what follows from several.
func (o *historyOptions) validate() error {
	switch {
	case o.data == "":
		return usagef(`--data "": want a folder`)
	case o.embedded.Retention < 2*time.Hour:
		return usagef("--retention %q: want at least 2h", days(&o.embedded.Retention))
	case o.embedded.MaxBytes < 64<<20:
		return usagef("--retention-bytes %q: want at least 64Mi", quantity(&o.embedded.MaxBytes))
	}
	if err := o.validateQueue(); err != nil {
		return err
	}
	if o.influx.Conn.URL != "" && o.remote.URL != "" {
		return usagef("--influx-url and --remote-url both say where the history is: give one")
	}
	return cmp.Or(o.validateRemote(), o.influx.validate())
}

func (o *historyOptions) validateRemote() error {
	if o.remote.URL == "" {
		if l := o.remote.Login; o.remote.QueryURL+l.TokenFile+l.CAFile+l.CertFile+l.KeyFile != "" {
			return usagef("--remote-query-url, --remote-token-file and --remote-ca-file need --remote-url")
		}
		return nil
	}
	err := remoteFlags.Check(o.remote.URL, o.remote.Login.Plain)
	if err == nil && o.remote.QueryURL != "" {
		err = dial.Flags{Address: "--remote-query-url", TokenFile: remoteFlags.TokenFile}.Check(o.remote.QueryURL, o.remote.Login.Plain)
	}
	return wrongUsage(err)
}

func (o *historyOptions) validateQueue() error {
	switch {
	case o.queue.MaxBytes < 32<<20:
		return usagef("--queue-max-bytes %q: want at least 32Mi", quantity(&o.queue.MaxBytes))
	case o.queue.MaxAge < time.Minute:
		return usagef("--queue-max-age %q: want at least 1m", days(&o.queue.MaxAge))
	case o.queue.SyncEvery < 0 || o.queue.SyncEvery > time.Minute:
		return usagef("--queue-sync %q: want 0 to 1m", o.queue.SyncEvery)
	}
	return nil
}

// store is the history that the flags ask for, with a sample of each series every interval.
func (o *historyOptions) store(interval time.Duration) wiring.History {
	o.embedded.Dir, o.queue.Dir = o.data, o.data
	switch {
	case o.influx.Conn.URL != "":
		out := o.influxStore(true)
		out.Interval = interval
		return out
	case o.remote.URL != "":
		o.remote.Queue, o.remote.Decisions = o.queue, o.embedded
		return o.remote
	}
	return o.embedded
}

// influxStore is InfluxDB as the history; rollsUp says whether this process sums up there what comes late.
func (o *historyOptions) influxStore(rollsUp bool) wiring.Influx {
	out := o.influx.Influx
	out.Outbox.Retention, out.Outbox.RollsUp, out.Queue = o.embedded.Retention, rollsUp, o.queue
	return out
}
