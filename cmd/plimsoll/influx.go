package main

import (
	"time"

	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/internal/dial"
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

// encoder says what is written there.
func (o *influxOptions) encoder() influx.EncoderOptions {
	return influx.EncoderOptions{Cluster: o.cluster, Schema: influx.Schema(o.schema), SeriesPerNamespace: o.seriesBudget}
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
		return wrongUsage(err)
	}
	encoder := o.encoder()
	if err := encoder.Validate(); err != nil {
		return wrongUsage(err)
	}
	if o.lateQuiet < time.Second {
		return usagef("--influx-late-quiet %q: want at least 1s", o.lateQuiet)
	}
	return nil
}
