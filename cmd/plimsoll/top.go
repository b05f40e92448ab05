package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/aggregator/top"
	"plimsoll.dev/plimsoll/cmd/plimsoll/terminal"
	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/duration"
	"plimsoll.dev/plimsoll/internal/table"
)

// topOptions are the flags that the four kinds of top share.
type topOptions struct {
	client
	top.Options
	out   output
	local bool
	host  host.Host // of local
	watch bool
}

func (a *app) topCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "top", Short: "Show what nodes, pods, containers or workloads use now",
		Long: "Show what nodes, pods, containers or workloads use now, like kubectl top.\n\nA dash is a value that is not known; 'plimsoll explain --missing' says why. A sum that lacks a part says of how\nmany it is: \"2 of 3 pods\".",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("cannot show %q: want nodes, pods, containers or workloads", args[0])
			}
			return usagef("say what to show: nodes, pods, containers or workloads")
		},
	}
	for _, k := range top.Kinds {
		cmd.AddCommand(a.topOf(k))
	}
	return cmd
}

func (a *app) topOf(kind top.Kind) *cobra.Command {
	o := &topOptions{}
	o.cluster.on = a.plugin
	cmd := &cobra.Command{Use: kind.Name, Aliases: []string{strings.TrimSuffix(kind.Name, "s")}, Short: kind.Short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var from top.Source = &o.client
			if o.local {
				l, err := wiring.OpenLocal(cmd.Context(), o.host)
				if err != nil {
					return err
				}
				defer l.Close()
				from = l
			}
			for {
				if o.watch && terminal.Is(a.out) {
					if _, err := a.out.Write([]byte("\x1b[H\x1b[2J")); err != nil {
						return err
					}
				}
				if err := a.showTop(cmd.Context(), kind, o, from); err != nil || !o.watch {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(2 * time.Second):
				}
			}
		}}
	f := cmd.Flags()
	o.client.flags(f, 10*time.Second)
	o.client.otherwise = ", or --local to read this machine"
	f.BoolVar(&o.local, "local", false, "read this machine's cgroups now instead of asking a server")
	hostFlags(f, &o.host)
	f.StringVar(&o.SortBy, "sort-by", "", "cpu, memory or name (containers: what hurts, by default)")
	f.BoolVarP(&o.watch, "watch", "w", false, "show again every 2 seconds")
	f.Var(days(&o.Over), "over", "mean CPU and highest memory over so much of the history, such as 1h, instead of now")
	if kind.Name != "nodes" {
		namespaceFlags(cmd, &o.Namespace)
	}
	complete(cmd, "sort-by", "cpu", "memory", "name")
	o.out.flags(cmd, "table", "wide", "json", "yaml", "csv")
	before(cmd, func() error {
		if o.Over < 0 || f.Changed("over") && (o.Over == 0 || o.local) {
			return usagef("--over %q: want such as 1h, and a server (--local keeps no history)", o.Over)
		}
		if !slices.Contains([]string{"", "cpu", "memory", "name"}, o.SortBy) {
			return usagef("--sort-by %q: want cpu, memory or name", o.SortBy)
		}
		return validHost(o.host)
	})
	return cmd
}

// nothingIn tells of a namespace with nothing to show: a mistyped one looks like an idle one otherwise.
func (a *app) nothingIn(ctx context.Context, from top.Source, namespace string, rows int) {
	if namespace != "" && rows == 0 {
		fmt.Fprintf(a.err, "plimsoll: nothing is known in namespace %q%s\n", namespace, orHidden(ctx, from))
	}
}

// orHidden goes on after a word that there is no such thing, where whoever asks may not see all.
func orHidden(ctx context.Context, from top.Source) string {
	if !limited(ctx, from) {
		return ""
	}
	return ", or it is one that you may not see"
}

// limited says whether whoever asks may not see all of what there is, or whether that is not known.
func limited(ctx context.Context, from top.Source) bool {
	var o api.Overview
	err := from.Get(ctx, "/plimsoll/v1/overview?limit=1", &o)
	return err != nil || o.Limited
}

// showTop prints what there is, now or over a time.
func (a *app) showTop(ctx context.Context, kind top.Kind, o *topOptions, from top.Source) error {
	o.Now = time.Now()
	list, err := kind.Show(ctx, from, o.Options)
	if err != nil {
		return err
	}
	if rows := len(list.Table.Rows) + len(list.Table.Folded); o.Namespace != "" {
		a.nothingIn(ctx, from, o.Namespace, rows)
	} else if rows == 0 && o.Over > 0 {
		seen := ""
		if limited(ctx, from) {
			seen = " that you may see"
		}
		fmt.Fprintf(a.err, "plimsoll: the history has nothing%s of the last %s\n", seen, duration.Format(o.Over))
	}
	return o.out.print(a.out, list.Document, func() *table.Table { return list.Table })
}
