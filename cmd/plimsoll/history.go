package main

import (
	"time"

	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/internal/dial"
)

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

// store is the history that the flags ask for.
func (o *historyOptions) store() wiring.History {
	embedded := wiring.Embedded{Dir: o.data, Retention: time.Duration(o.retention), MaxBytes: int64(o.retentionBytes)}
	switch {
	case o.influx.url != "":
		return o.influxStore(true)
	case o.remote.url != "":
		login := dial.Options{Flags: remoteFlags, CAFile: o.remote.caFile, TokenFile: o.remote.tokenFile}
		return wiring.Remote{URL: o.remote.url, QueryURL: o.remote.queryURL, Login: login, Queue: o.queue(), Decisions: embedded}
	}
	return embedded
}

// influxStore is InfluxDB as the history; rollsUp says whether this process sums up there what comes late.
func (o *historyOptions) influxStore(rollsUp bool) wiring.Influx {
	return wiring.Influx{Conn: o.influx.conn(), Encoder: o.influx.encoder(), Retention: time.Duration(o.retention), LateQuiet: o.influx.lateQuiet, RollsUp: rollsUp, Queue: o.queue()}
}

func (o *historyOptions) queue() wiring.Queue {
	return wiring.Queue{Dir: o.data, MaxBytes: int64(o.queueBytes), MaxAge: time.Duration(o.queueAge), SyncEvery: o.queueSync}
}
