package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/aggregator/capacity"
	"plimsoll.dev/plimsoll/cmd/plimsoll/terminal"
	"plimsoll.dev/plimsoll/internal/duration"
	"plimsoll.dev/plimsoll/internal/table"
)

// reportOptions are the flags that the reports share.
type reportOptions struct {
	client
	out    output
	window time.Duration
	file   string
}

func (o *reportOptions) flags(cmd *cobra.Command) {
	o.window = capacity.DefaultWindow
	f := cmd.Flags()
	o.client.flags(f, 3*time.Minute) // a report reads weeks of history
	f.Var(days(&o.window), "window", "how far back to look, such as 7d, 2w or 36h; 1h to 400d")
	f.StringVar(&o.file, "out", "", "write to this file instead of standard output")
	o.out.flags(cmd, "table", "wide", "json", "yaml", "csv", "html")
	before(cmd, func() error {
		if o.window < capacity.MinWindow || o.window > capacity.MaxWindow {
			return usagef("--window %q: want 1h to 400d", duration.Format(o.window))
		}
		return nil
	})
}

// tabled is a report that can be shown as a table.
type tabled interface {
	Table(style capacity.Style) *table.Table
}

// report asks for a report, decodes it into r, and writes it as the flags say. narrow takes out of it what is not shown, and returns the lines that go
// with it; nil: nothing.
func (o *reportOptions) report(ctx context.Context, a *app, path string, q url.Values, r tabled, narrow func() (without []string)) error {
	if o.window != capacity.DefaultWindow { // else the server may choose, in its first hour
		q.Set("window", duration.Format(o.window))
	}
	q.Set("format", "json")
	if o.out.format == "html" {
		q.Set("format", "html")
	}
	var b bytes.Buffer
	err := terminal.Progress(a.err, fmt.Sprintf("Reading %s of history", duration.Format(o.window)), func() error {
		if o.out.format != "html" {
			return o.Get(ctx, path+"?"+q.Encode(), r)
		}
		page, err := o.fetch(ctx, path+"?"+q.Encode())
		b.Write(page)
		return err
	})
	if err == nil && o.out.format != "html" {
		err = o.write(&b, r, narrow)
	}
	if err != nil {
		return err
	}
	if o.file == "" {
		_, err := b.WriteTo(a.out)
		return err
	}
	if err := os.WriteFile(o.file, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}

// write writes the report in every format but HTML. The lines above a table are those of the whole report.
func (o *reportOptions) write(b io.Writer, r tabled, narrow func() (without []string)) error {
	lines := r.Table(capacity.People).Lines
	if narrow != nil {
		without := narrow()
		lines = slices.DeleteFunc(lines, func(l string) bool { return slices.Contains(without, l) })
	}
	return o.out.print(b, r, func() *table.Table {
		if o.out.format == "csv" {
			return r.Table(capacity.Raw)
		}
		t := r.Table(capacity.People)
		if t.Lines = lines; len(t.Rows) == 0 {
			t.Columns = nil
		} else if len(lines) > 0 {
			t.Say("")
		}
		return t
	})
}

func (a *app) capacityCommand() *cobra.Command {
	o := &reportOptions{client: client{cluster: personOptions{on: a.plugin}}}
	words := []string{"cluster", "pools", "nodes", "namespaces"}
	var namespace string
	cmd := &cobra.Command{
		Use: "capacity [cluster|pools|nodes|namespaces]", Short: "Report how much room is left, and until when",
		Long: `Report how much room is left: of the cluster, its nodes and its namespaces, what they have, what containers ask for, what they used
over the window, and in how many days it will be used up if it goes on like this.

A dash is a value that is not known, or not in sight; a note names the namespaces whose use lacks a part. docs/reports.md says what each column means.`,
		Example:   "  plimsoll capacity\n  plimsoll capacity nodes --window 30d -o csv\n  plimsoll capacity -o html --out capacity.html",
		ValidArgs: words,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !slices.Contains(words, args[0]) {
				return usagef("cannot report the capacity of %q: want one of %s, or nothing for all", strings.Join(args, " "), strings.Join(words, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var r capacity.CapacityReport
			q := url.Values{}
			switch {
			case namespace != "" && (o.out.format == "html" || len(args) == 1 && args[0] != "namespaces"):
				return usagef("-n %q goes with namespaces, and with every format but html", namespace)
			case namespace != "":
				return o.report(cmd.Context(), a, "/plimsoll/v1/capacity", q, &r, func() (without []string) {
					without = r.Keep(func(s *capacity.Scope) bool { return s.Level == "namespace" && s.Name == namespace })
					a.nothingIn(cmd.Context(), o, namespace, len(r.Scopes))
					return without
				})
			case len(args) == 0:
				return o.report(cmd.Context(), a, "/plimsoll/v1/capacity", q, &r, nil)
			}
			level := strings.TrimSuffix(args[0], "s")
			if o.out.format == "html" {
				q.Set("level", level)
			}
			return o.report(cmd.Context(), a, "/plimsoll/v1/capacity", q, &r, func() (without []string) {
				return r.Keep(func(s *capacity.Scope) bool { return s.Level == level })
			})
		},
	}
	o.flags(cmd)
	namespaceFlags(cmd, &namespace)
	return cmd
}

func (a *app) fitCommand() *cobra.Command {
	o := &reportOptions{client: client{cluster: personOptions{on: a.plugin}}}
	var cpu, memory string
	by := "request"
	cmd := &cobra.Command{
		Use: "fit", Short: "Say how many more replicas of a size fit, and where",
		Long: `Say how many more replicas of a size fit, and on which nodes: by what is requested, as the scheduler goes, or by what was used
(95th percentile over the window). Where nodes are of node pools, how many of them fit into which; else each node counts as it is.`,
		Example: "  plimsoll fit --cpu 500m --memory 1Gi\n  plimsoll fit --memory 2Gi --by use",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"by": {by}}
			for name, v := range map[string]string{"cpu": cpu, "memory": memory} {
				if v != "" {
					q.Set(name, v)
				}
			}
			return o.report(cmd.Context(), a, "/plimsoll/v1/fit", q, &capacity.FitReport{}, nil)
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.Var(amount(&cpu), "cpu", "CPU of one replica, such as 500m or 2")
	f.Var(amount(&memory), "memory", "memory of one replica, such as 1Gi")
	f.StringVar(&by, "by", by, "what counts as free: request (allocatable - requests) or use (allocatable - 95th percentile of use)")
	complete(cmd, "by", "request", "use")
	before(cmd, func() error {
		switch {
		case cpu == "" && memory == "":
			return usagef("say how large a replica is, such as --cpu 500m --memory 1Gi")
		case by != "request" && by != "use":
			return usagef("--by %q: want request or use", by)
		}
		return nil
	})
	return cmd
}

func (a *app) rightsizeCommand() *cobra.Command {
	o := &reportOptions{client: client{cluster: personOptions{on: a.plugin}}}
	var namespace string
	cmd := &cobra.Command{
		Use: "rightsize [NAMESPACE/NAME | NAMESPACE/KIND/NAME]", Short: "Report what containers should ask for",
		Long: `Report for each container of each workload, or pod without one, what it asks for and what it should: CPU by its 95th percentile, memory by its maximum and
15 %; more after an OOM kill or where it was throttled; scaled workloads keep the load that they are kept at. Every row says why.`,
		Example: "  plimsoll rightsize\n  plimsoll rightsize -n shop --window 30d\n  plimsoll rightsize shop/cart -o json\n  plimsoll rightsize cart -n shop",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && namespace != "" && strings.Contains(args[0], "/") {
				return usagef("name one workload, such as shop/cart, or a namespace with -n, or nothing for all")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{}
			if namespace != "" {
				q.Set("namespace", namespace)
			}
			if len(args) == 1 && namespace != "" {
				q.Set("name", args[0])
			} else if len(args) == 1 {
				if parts := strings.SplitN(args[0], "/", 3); !selectWorkload(q, parts) {
					return usagef("workload %q: want namespace/name or namespace/kind/name", args[0])
				}
			}
			var r capacity.RightsizeReport
			return o.report(cmd.Context(), a, "/plimsoll/v1/rightsize", q, &r, func() (without []string) {
				a.nothingIn(cmd.Context(), o, namespace, len(r.Rows))
				return nil
			})
		},
	}
	o.flags(cmd)
	namespaceFlags(cmd, &namespace)
	return cmd
}
