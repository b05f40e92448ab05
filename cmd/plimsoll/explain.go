package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/table"
)

func (a *app) explainCommand() *cobra.Command {
	c := client{cluster: personOptions{on: a.plugin}}
	var out output
	var missing, changes bool
	var limit int
	var namespace string
	cmd := &cobra.Command{
		Use:   "explain [NAMESPACE/NAME | NAMESPACE/KIND/NAME]",
		Short: "Say why a target has as many replicas as it has",
		Long: `Say what the autoscaler saw, what each step changed, and why: the newest decisions for a target, newest first. Most
decisions hold; --changes leaves those out.

NAME is a target's or its policy's; KIND tells apart what has the same name: a target's kind, with its API group where
several have that kind (Deployment.apps), or scp or hpa for a policy.

With --missing: every entity without a current value, since when, and why; and what is wrong with Plimsoll itself.`,
		Example: "  plimsoll explain demo/web\n  plimsoll explain demo/web --changes --limit 20\n  plimsoll explain scp/web-fast -n demo\n  plimsoll explain --missing",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case missing && changes:
				return usagef("give --missing or --changes, not both")
			case missing && len(args) > 0:
				return usagef("--missing takes no target, got %q", args[0])
			case !missing && len(args) != 1:
				return usagef("name one target, such as demo/web ('plimsoll top workloads' lists them)")
			case missing && namespace != "":
				return usagef("--missing is of all namespaces: leave out -n %q", namespace)
			case limit < 1 || limit > 1000:
				return usagef("--limit \"%d\": want 1 to 1000", limit)
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if missing || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return targets(cmd.Context(), c), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if missing {
				if !cmd.Flags().Changed("limit") {
					limit = 0
				}
				return a.explainMissing(cmd, &c, &out, limit)
			}
			target := args[0]
			if namespace != "" && strings.Count(target, "/") > 1 {
				return usagef("target %q has a namespace: leave out -n %q", target, namespace)
			} else if namespace != "" {
				target = namespace + "/" + target
			}
			return a.explainTarget(cmd, &c, &out, target, limit, changes)
		},
	}
	c.flags(cmd.Flags(), 10*time.Second)
	cmd.Flags().BoolVar(&missing, "missing", false, "say why values are missing")
	cmd.Flags().BoolVar(&changes, "changes", false, "only decisions that changed the number of replicas")
	cmd.Flags().IntVar(&limit, "limit", 5, "how many decisions; with --missing how many entities, where it is given")
	out.flags(cmd, "table", "json", "yaml")
	namespaceFlags(cmd, &namespace)
	return cmd
}

// targets lists what is scaled, for the shell to complete; nothing where no server answers soon.
func targets(ctx context.Context, c client) []cobra.Completion {
	c.timeout = time.Second
	var list api.WorkloadList
	if err := c.Get(ctx, "/plimsoll/v1/workloads", &list); err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, w := range list.Items {
		if w.Scaled != nil {
			out = append(out, w.Namespace+"/"+w.Name)
		}
	}
	return out
}

// selectWorkload adds the parts of NAMESPACE/NAME or NAMESPACE/KIND/NAME to a query; false where there are fewer or more, or one is empty.
func selectWorkload(q url.Values, parts []string) bool {
	keys := map[int][]string{2: {"namespace", "name"}, 3: {"namespace", "kind", "name"}}[len(parts)]
	if slices.Contains(parts, "") {
		return false
	}
	for i, key := range keys {
		q.Set(key, parts[i])
	}
	return keys != nil
}

func (a *app) explainTarget(cmd *cobra.Command, c *client, out *output, target string, limit int, changes bool) error {
	q := url.Values{"limit": {fmt.Sprint(limit)}}
	if changes {
		q.Set("action", "Up,Down")
	}
	if parts := strings.Split(target, "/"); !selectWorkload(q, parts) {
		return usagef("target %q: want namespace/name or namespace/kind/name", target)
	} else if len(parts) == 3 {
		q.Set("kind", kindOf(parts[1]))
	}
	var list api.DecisionList
	get := func(list *api.DecisionList) error {
		return c.Get(cmd.Context(), "/plimsoll/v1/decisions?"+q.Encode(), list)
	}
	if err := get(&list); err != nil {
		return err
	}
	told := list // where nothing was changed, the newest decision says why
	if len(list.Items) == 0 && changes {
		q.Del("action")
		q.Set("limit", "1")
		if err := get(&told); err != nil {
			return err
		}
		if len(told.Items) > 0 && told.Items[0].From != told.Items[0].To { // it was made since the first answer
			list = told
		}
	}
	if len(told.Items) == 0 && len(told.Notes) > 0 {
		return fmt.Errorf("there is no decision for %q: %s", target, strings.TrimSuffix(strings.Join(told.Notes, " "), "."))
	}
	if k := q.Get("kind"); len(told.Items) == 0 && (k == policyKind.kind || k == hpaKind.kind) {
		return fmt.Errorf("there is no decision for %q: no such %s scales anything, or it is too new%s ('kubectl describe' of it says why)", target, k, orHidden(cmd.Context(), c))
	}
	if len(told.Items) == 0 {
		return fmt.Errorf("there is no decision for %q: no policy names it, or it is too new%s ('plimsoll top workloads' lists what is scaled)", target, orHidden(cmd.Context(), c))
	}
	return out.print(a.out, list, func() *table.Table {
		t := table.New()
		for _, note := range told.Notes {
			t.Say(note, "")
		}
		if len(list.Items) == 0 {
			t.Say(fmt.Sprintf("No decision that is kept changed the number of replicas of %s. The newest:", target), "")
		}
		several := slices.ContainsFunc(told.Items, func(d cluster.Decision) bool { return d.Kind != told.Items[0].Kind }) ||
			slices.ContainsFunc(told.Notes, func(n string) bool { return strings.HasPrefix(n, api.Several) })
		groups := slices.ContainsFunc(told.Items, func(d cluster.Decision) bool {
			return d.Group() != told.Items[0].Group() && d.Kind == told.Items[0].Kind
		})
		for _, d := range told.Items {
			name := d.Namespace + "/" + d.Name
			switch {
			case groups:
				name = d.Namespace + "/" + d.GroupKind() + "/" + d.Name
			case several:
				name = d.Target.String()
			}
			head := d.Time.Local().Format(time.DateTime) + "  " + name
			t.Say(append(policy.Logged(d).Lines(head), "")...)
		}
		return t
	})
}

// explainMissing shows so many entities without a value; zero: all.
func (a *app) explainMissing(cmd *cobra.Command, c *client, out *output, limit int) error {
	var m api.Missing
	if err := c.Get(cmd.Context(), "/plimsoll/v1/missing", &m); err != nil {
		return err
	}
	all := len(m.Items)
	if limit > 0 {
		m.Items = m.Items[:min(limit, all)]
	}
	var o api.Overview
	if err := c.Get(cmd.Context(), "/plimsoll/v1/overview?limit=1", &o); err != nil {
		return err
	}
	doc := struct {
		api.Missing
		Conditions []condition.Condition `json:"conditions"`
	}{m, append([]condition.Condition{}, o.Conditions...)}
	return out.print(a.out, doc, func() *table.Table {
		t := table.New("LEVEL", "NAME", "NODE", "SINCE", "REASON", "DETAIL")
		if len(m.Items) == 0 {
			t = table.New()
			if o.Limited {
				t.Say("Nothing that you may see is missing: everything of it that was found has current values.")
			} else {
				t.Say("Nothing is missing: everything that was found has current values.")
			}
		}
		if n := len(m.Items); n < all {
			t.Say(fmt.Sprintf("%d of %d are shown.", n, all))
		}
		for _, c := range o.Conditions {
			t.Say(fmt.Sprintf("%s, %s: %s", c.Type, c.Reason, c.Message))
		}
		for _, i := range m.Items {
			t.Add(i.Level, i.Title, i.Node, max(0, m.Time.Sub(i.Since)).Round(time.Second).String()+" ago", i.Reason, i.Detail)
		}
		return t
	})
}
