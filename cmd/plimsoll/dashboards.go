package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/dashboards/grafana"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/table"
)

func (a *app) dashboardsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dashboards", Short: "Bring Plimsoll's boards to a Grafana",
		Long: `Bring Plimsoll's boards to a Grafana, as files that it provisions or through its API. Each board asks either a Prometheus
source (this server, or an engine that it writes to) or an InfluxDB source in InfluxQL.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("cannot %q boards: want export or push", args[0])
			}
			return usagef("say what to do with the boards: export or push")
		},
	}
	cmd.AddCommand(a.dashboardsExport(), a.dashboardsPush())
	return cmd
}

// sourceFlag adds --source.
func sourceFlag(cmd *cobra.Command, source *grafana.Source) {
	cmd.Flags().StringVar((*string)(source), "source", string(grafana.Prometheus), "the kind of data source: prometheus or influx")
	complete(cmd, "source", "prometheus", "influx")
	before(cmd, func() error {
		if _, err := grafana.ParseSource(string(*source)); err != nil {
			return usagef("--source: %w", err)
		}
		return nil
	})
}

func (a *app) dashboardsExport() *cobra.Command {
	var o grafana.ExportOptions
	var out output
	cmd := &cobra.Command{
		Use: "export DIR", Short: "Write the boards and provisioning files",
		Long: `Write the boards to DIR/dashboards, and beside them in DIR/provisioning the files that tell Grafana of them. A datasource
file that exists already is left as it is.`,
		Example: "  plimsoll dashboards export boards\n  plimsoll dashboards export boards --source influx --seen-at /var/lib/grafana/plimsoll",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("name one folder, such as boards")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			o.Dir = args[0]
			paths, err := grafana.Export(o)
			if len(paths) == 0 {
				return err
			}
			doc := exported{Schema: "plimsoll.dev/dashboards-export/v1", Files: paths}
			return cmp.Or(out.print(a.out, doc, func() *table.Table { return &table.Table{Lines: paths} }), err)
		},
	}
	sourceFlag(cmd, &o.Source)
	out.flags(cmd, "table", "json", "yaml")
	cmd.Flags().StringVar(&o.SeenAt, "seen-at", "", "the path of DIR/dashboards for Grafana, if it sees the folder elsewhere (in a container)")
	return cmd
}

// exported are the files that were written.
type exported struct {
	Schema string   `json:"schema"` // plimsoll.dev/dashboards-export/v1
	Files  []string `json:"files"`
}

// pushed is what became of each board.
type pushed struct {
	Schema string        `json:"schema"` // plimsoll.dev/dashboards-push/v1
	Boards []pushedBoard `json:"boards"`
}

type pushedBoard struct {
	Title string `json:"title"`
	UID   string `json:"uid"`
	Done  string `json:"done"`
}

func (p pushed) table() *table.Table {
	t := &table.Table{}
	for _, b := range p.Boards {
		t.Say(fmt.Sprintf("%-9s  %s  (%s)", b.Done, b.Title, b.UID))
	}
	return t
}

// grafanaFlags are the flags by which Grafana is found.
var grafanaFlags = dial.Flags{Address: "--url", CAFile: "--ca-file", TokenFile: "--token-file"}

func (a *app) dashboardsPush() *cobra.Command {
	var o grafana.PushOptions
	var out output
	var login dial.Options
	cmd := &cobra.Command{
		Use: "push", Short: "Bring the boards to a running Grafana",
		Long: `Bring the boards to a running Grafana through its API. Boards that differ from those there replace them (Grafana keeps the
earlier version); boards that are the same are left alone.`,
		Example: "  plimsoll dashboards push --url https://grafana.example.org --token-file grafana.token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.URL == "" {
				return usagef("give Grafana's address with --url")
			}
			if err := o.Validate(); err != nil {
				return wrongUsage(err)
			}
			if err := grafanaFlags.Check(o.URL, login.Plain); err != nil {
				return wrongUsage(err)
			}
			login.Patience = o.Timeout
			transport, err := dial.New(login)
			if err != nil {
				return wrongUsage(err)
			}
			o.Client = dial.Client(transport)
			done, err := grafana.Push(cmd.Context(), o)
			doc := pushed{Schema: "plimsoll.dev/dashboards-push/v1", Boards: []pushedBoard{}}
			for _, r := range done {
				doc.Boards = append(doc.Boards, pushedBoard{r.Title, r.UID, r.Done})
			}
			var printed error
			if len(done) > 0 {
				printed = out.print(a.out, doc, doc.table)
			}
			if errors.Is(err, grafana.ErrRefused) && login.TokenFile == "" {
				err = fmt.Errorf("%w; no token was given: --token-file", err)
			}
			return cmp.Or(printed, err)
		},
	}
	sourceFlag(cmd, &o.Source)
	out.flags(cmd, "table", "json", "yaml")
	f := cmd.Flags()
	f.StringVar(&o.URL, "url", "", "Grafana's address, such as https://grafana.example.org")
	loginFlags(f, &login, grafanaFlags, "Grafana")
	f.StringVar(&o.Folder, "folder", "", "UID of the folder for the boards, which must exist; none: where they are, or the topmost")
	f.StringVar(&o.Namespace, "grafana-namespace", "default", "tenant in Grafana's new API: default, org-N, stacks-N")
	durationVar(f, &o.Timeout, "timeout", 15*time.Second, "how long to wait for each answer")
	return cmd
}
