package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/internal/table"
)

// influxOptions say where InfluxDB is; without an URL there is none.
type influxOptions struct{ wiring.Influx }

func (o *influxOptions) flags(f *pflag.FlagSet) {
	o.Conn.Flags = dial.Flags{Address: "--influx-url", TokenFile: "--influx-token-file"}
	f.StringVar(&o.Conn.URL, "influx-url", "", "keep the history in InfluxDB at this address, such as http://127.0.0.1:8086")
	f.StringVar(&o.Conn.Org, "influx-org", "", "organization (2.x)")
	f.StringVar(&o.Conn.Bucket, "influx-bucket", "plimsoll", "bucket; on 1.x the database, or database/policy")
	f.StringVar(&o.Conn.TokenFile, "influx-token-file", "", "file with the token; on 1.x user:password")
	plainFlag(f, &o.Conn.Plain, o.Conn.Flags)
	f.StringVar((*string)(&o.Outbox.Encoder.Schema), "influx-schema", string(influx.SchemaV1), "v1; heapster or heapster-fields write Heapster's names, for boards made for it")
	f.StringVar(&o.Outbox.Encoder.Cluster, "cluster", "", "in InfluxDB, write the tag cluster with this value, and read only what has it; for a bucket that clusters share")
	f.IntVar(&o.Outbox.Encoder.SeriesPerNamespace, "influx-series-per-namespace", 10_000, "most entities of one namespace within a day; those beyond are left out, counted and named")
	durationVar(f, &o.Outbox.LateQuiet, "influx-late-quiet", influx.DefaultQuiet, "how long nothing late must have come before it is rolled up into hours and days")
}

func (o *influxOptions) validate() error {
	if o.Conn.URL == "" {
		if o.Conn.Org != "" || o.Conn.TokenFile != "" {
			return usagef("--influx-org and --influx-token-file need --influx-url")
		}
		return nil
	}
	if err := cmp.Or(o.Conn.Validate(), o.Conn.Flags.Check(o.Conn.URL, o.Conn.Plain), o.Outbox.Encoder.Validate()); err != nil {
		return wrongUsage(err)
	}
	if o.Outbox.LateQuiet < time.Second {
		return usagef("--influx-late-quiet %q: want at least 1s", o.Outbox.LateQuiet)
	}
	return nil
}

func (a *app) influxCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "influx", Short: "Prepare an InfluxDB for Plimsoll",
		RunE: func(*cobra.Command, []string) error { return usagef("say what to do: setup") }}
	cmd.AddCommand(a.influxSetupCommand())
	return cmd
}

func (a *app) influxSetupCommand() *cobra.Command {
	var o influxOptions
	var out output
	var dryRun, tokens, force bool
	var timeout time.Duration
	retention := 15 * 24 * time.Hour
	cmd := &cobra.Command{
		Use: "setup", Short: "Create database or bucket, retention, roll-ups, mappings, tokens",
		Long: `Create what Plimsoll needs on an InfluxDB server and check that it took: the database or bucket with the retention asked
for, roll-ups of an hour and a day, the mapping by which InfluxQL finds a bucket (2.x), tokens that can do no more than their part
(--tokens, 2.x). What is there already is left alone, and running it again changes nothing. Only --retention on the command line changes how long an existing
database or bucket keeps data; a shorter time than it has deletes data, and asks for --force with what would be lost.`,
		Example: "  plimsoll influx setup --influx-url http://127.0.0.1:8086 --influx-bucket plimsoll --dry-run",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Conn.URL == "" {
				return usagef("give the server with --influx-url, such as http://127.0.0.1:8086")
			}
			if err := o.validate(); err != nil {
				return err
			}
			if force && !a.typed["force"] {
				return usagef("--force counts on the command line only, not in a variable or the file given by --config")
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			conn, err := influx.NewConn(o.Conn)
			if err != nil {
				return wrongUsage(err)
			}
			defer conn.Close()
			setup, err := influx.NewSetup(influx.SetupOptions{Conn: conn, Retention: retention, ChangeRetention: a.typed["retention"], Force: force, Tokens: tokens})
			if err != nil {
				return wrongUsage(err)
			}
			return a.influxSetup(ctx, setup, out, dryRun)
		},
	}
	f := cmd.Flags()
	o.flags(f)
	f.Var(days(&retention), "retention", "how long raw data is kept; 0 for ever. What exists is changed only when this is on the command line")
	f.BoolVar(&force, "force", false, "do also what deletes data (a shorter --retention), or takes an InfluxQL name from another bucket")
	f.BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVar(&tokens, "tokens", false, "make tokens with least rights for collectors and servers (2.x), and print them")
	durationVar(f, &timeout, "timeout", time.Minute, "how long to wait for the server")
	out.flags(cmd, "table", "json", "yaml")
	return cmd
}

// setupStep is a step as it is printed.
type setupStep struct {
	What    string `json:"what"`
	State   string `json:"state"` // done, pending, refused, failed
	Change  string `json:"change,omitempty"`
	Request string `json:"request,omitempty"`
	Error   string `json:"error,omitempty"`
}

// influxSetup plans or applies and prints what became of each step; its error is that some could not be done.
func (a *app) influxSetup(ctx context.Context, setup *influx.Setup, out output, dryRun bool) error {
	var plan *influx.Plan
	var result influx.Result
	var err error
	if dryRun {
		plan, err = setup.Plan(ctx)
	} else {
		plan, result, err = setup.Apply(ctx)
	}
	if plan == nil {
		return err
	}
	if dryRun {
		err = plan.Refused()
	}
	doc := struct {
		Schema string            `json:"schema"` // plimsoll.dev/influx-setup/v1
		Server string            `json:"server"`
		DryRun bool              `json:"dryRun"`
		Steps  []setupStep       `json:"steps"`
		Notes  []string          `json:"notes,omitempty"`
		Tokens map[string]string `json:"tokens,omitempty"`
	}{Schema: "plimsoll.dev/influx-setup/v1", Server: plan.Version.String(), Notes: plan.Notes, DryRun: dryRun, Steps: []setupStep{}, Tokens: map[string]string{}}
	for _, s := range plan.Steps {
		step := setupStep{What: s.What, State: "pending", Change: s.Change, Request: s.Request}
		switch {
		case s.Refusal != nil:
			step.State, step.Error = "refused", s.Refusal.Error()
		case s.Err != nil:
			step.State, step.Error = "failed", s.Err.Error()
		case s.Done:
			step.State, step.Request = "done", ""
		}
		doc.Steps = append(doc.Steps, step)
	}
	for _, t := range result.Tokens {
		doc.Tokens[t.Role] = t.Value
	}
	printed := out.print(a.out, doc, func() *table.Table {
		t := table.New("STATE", "=WHAT", "NOTE")
		t.Say(append([]string{doc.Server}, doc.Notes...)...)
		for _, s := range doc.Steps {
			t.Add(s.State, s.What, cmp.Or(strings.TrimPrefix(s.Error, "cannot make "+s.What+": "), s.Change))
			if dryRun && s.Request != "" {
				t.Add("", "  "+shorten(s.Request, 120), "")
			}
		}
		for _, token := range result.Tokens {
			t.Add("token", token.Role, token.Value)
		}
		return t
	})
	return cmp.Or(printed, err)
}

// shorten cuts a text for a table; -o json has the whole.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
