package main

import (
	"cmp"
	"time"

	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// influxOptions say where InfluxDB is; without an URL there is none.
type influxOptions struct{ wiring.Influx }

func (o *influxOptions) flags(f *pflag.FlagSet) {
	o.Conn.Flags = dial.Flags{Address: "--influx-url", TokenFile: "--influx-token-file"}
	f.StringVar(&o.Conn.URL, "influx-url", "", "keep the history in InfluxDB at this address, such as http://127.0.0.1:8086")
	f.StringVar(&o.Conn.Org, "influx-org", "", "organization (2.x)")
	f.StringVar(&o.Conn.Bucket, "influx-bucket", "plimsoll", "bucket; on 1.x the database, or database/policy")
	f.StringVar(&o.Conn.TokenFile, "influx-token-file", "", "file with the token; on 1.x user:password")
	f.StringVar((*string)(&o.Outbox.Encoder.Schema), "influx-schema", string(influx.SchemaV1), "v1; heapster or heapster-fields write Heapster's names, for boards made for it")
	f.StringVar(&o.Outbox.Encoder.Cluster, "cluster", "", "value of the tag cluster")
	f.IntVar(&o.Outbox.Encoder.SeriesPerNamespace, "influx-series-per-namespace", 10_000, "most entities of one namespace within a day; those beyond are left out, counted and named")
	f.DurationVar(&o.Outbox.LateQuiet, "influx-late-quiet", influx.DefaultQuiet, "how long nothing late must have come before it is rolled up into hours and days")
}

func (o *influxOptions) validate() error {
	if o.Conn.URL == "" {
		if o.Conn.Org != "" || o.Conn.TokenFile != "" {
			return usagef("--influx-org and --influx-token-file need --influx-url")
		}
		return nil
	}
	if err := cmp.Or(o.Conn.Validate(), o.Outbox.Encoder.Validate()); err != nil {
		return wrongUsage(err)
	}
	if o.Outbox.LateQuiet < time.Second {
		return usagef("--influx-late-quiet %q: want at least 1s", o.Outbox.LateQuiet)
	}
	return nil
}
