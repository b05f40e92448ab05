package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// source answers paths of the public API: a server, or this machine itself.
type source interface {
	Get(ctx context.Context, path string, v any) error
}

// topOptions are the flags that the four kinds of top share.
type topOptions struct {
	client
	out       output
	local     bool
	namespace string
	sortBy    string
	watch     bool
	over      time.Duration
}

func (a *app) topCommand() *cobra.Command {
	top := &cobra.Command{
		Use: "top", Short: "Show what nodes, pods, containers or workloads use now",
		Long: "Show what nodes, pods, containers or workloads use now, like kubectl top.\n\nA dash is a value that is not known; 'plimsoll explain --missing' says why.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("cannot show %q: want nodes, pods, containers or workloads", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what to show: nodes, pods, containers or workloads")
		},
	}
	for _, k := range []struct {
		use, short string
		show       func(context.Context, *app, *topOptions, source) error
	}{
		{"nodes", "Machines: CPU, memory, pressure", topNodes},
		{"pods", "Pods, units and replicas", topPods},
		{"containers", "Containers, what hurts first", topContainers},
		{"workloads", "Deployments, services and other owners of pods", topWorkloads},
	} {
		top.AddCommand(a.topOf(k.use, k.short, k.show))
	}
	return top
}

func (a *app) topOf(use, short string, show func(context.Context, *app, *topOptions, source) error) *cobra.Command {
	o := &topOptions{}
	cmd := &cobra.Command{Use: use, Aliases: []string{strings.TrimSuffix(use, "s")}, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var from source = &o.client
			if o.local {
				l, err := wiring.OpenLocal(cmd.Context())
				if err != nil {
					return err
				}
				defer l.Close()
				from = l
			}
			for {
				if o.watch && terminal(a.out) {
					if _, err := a.out.Write([]byte("\x1b[H\x1b[2J")); err != nil {
						return err
					}
				}
				run := show
				if o.over > 0 {
					run = func(ctx context.Context, a *app, o *topOptions, from source) error {
						return topOver(ctx, a, o, from, use)
					}
				}
				if err := run(cmd.Context(), a, o, from); err != nil || !o.watch {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(2 * time.Second):
				}
			}
		}}
	o.client.flags(cmd)
	o.client.otherwise = ", or --local to read this machine"
	f := cmd.Flags()
	f.BoolVar(&o.local, "local", false, "read this machine's cgroups now instead of asking a server")
	f.StringVar(&o.sortBy, "sort-by", "", "cpu, memory or name (containers: what hurts, by default)")
	f.BoolVarP(&o.watch, "watch", "w", false, "show again every 2 seconds")
	f.DurationVar(&o.over, "over", 0, "mean CPU and highest memory over so much of the history, such as 1h, instead of now")
	if use != "nodes" {
		f.StringVarP(&o.namespace, "namespace", "n", "", "only this namespace")
	}
	complete(cmd, "sort-by", "cpu", "memory", "name")
	o.out.flags(cmd, "table", "wide", "json", "yaml", "csv")
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if o.over < 0 || o.over > 0 && o.local {
			return usagef("--over %q: want such as 1h, and a server (--local keeps no history)", o.over)
		}
		if !slices.Contains([]string{"", "cpu", "memory", "name"}, o.sortBy) {
			return usagef("--sort-by %q: want cpu, memory or name", o.sortBy)
		}
		return check(cmd, args)
	}
	return cmd
}

// order sorts rows as --sort-by asks; values that are not known come last.
func order[T any](rows []T, by string, cpu, memory func(T) *float64, name func(T) string) {
	down := func(a, b *float64) int {
		switch {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return 1
		case b == nil:
			return -1
		}
		return cmp.Compare(*b, *a)
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		switch by {
		case "cpu":
			return down(cpu(a), cpu(b))
		case "memory":
			return down(memory(a), memory(b))
		case "name":
			return cmp.Compare(name(a), name(b))
		}
		return 0
	})
}

func topNodes(ctx context.Context, a *app, o *topOptions, from source) error {
	var list api.NodeList
	if err := from.Get(ctx, "/plimsoll/v1/nodes", &list); err != nil {
		return err
	}
	order(list.Items, o.sortBy, func(n api.Node) *float64 { return n.CPU }, func(n api.Node) *float64 { return n.WorkingSet }, func(n api.Node) string { return n.Name })
	return o.out.print(a.out, list, func(t *table) {
		t.header = []string{"NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)", "CPU PRESSURE", wideOnly + "LOAD1", wideOnly + "MEMORY PRESSURE", wideOnly + "IO PRESSURE", wideOnly + "DISK FREE", "CONTAINERS", "STATE"}
		for _, n := range list.Items {
			containers := float64(n.Containers)
			t.rows = append(t.rows, []string{n.Name, cores(n.CPU), share(n.CPU, n.Cores), mebibytes(n.WorkingSet), share(n.WorkingSet, n.Memory), percent(n.CPUPressure),
				count(n.Load1), percent(n.MemoryPressure), percent(n.IOPressure), mebibytes(n.DiskFree), count(&containers), stateOf(n.Gap)})
		}
	})
}

// stateOf says since when and why there are no values.
func stateOf(g *cluster.Gap) string {
	if g == nil {
		return "ok"
	}
	return fmt.Sprintf("%s since %s: %s", g.Reason, g.Since.Local().Format(time.DateTime), g.Detail)
}

// containers asks for all of them, in the order of what hurts.
func (o *topOptions) containers(ctx context.Context, from source) (api.ContainerList, error) {
	var list api.ContainerList
	if err := from.Get(ctx, "/plimsoll/v1/containers?limit=10000", &list); err != nil {
		return list, err
	}
	list.Items = slices.DeleteFunc(list.Items, func(c api.Container) bool { return o.namespace != "" && c.Namespace != o.namespace })
	order(list.Items, o.sortBy, func(c api.Container) *float64 { return c.CPU }, func(c api.Container) *float64 { return c.WorkingSet }, func(c api.Container) string { return c.Title })
	return list, nil
}

// nothing says so where a namespace has nothing to show: a mistyped one looks like an idle one otherwise.
func (o *topOptions) nothing(a *app, rows int) {
	if rows == 0 && o.namespace != "" {
		fmt.Fprintf(a.err, "plimsoll: nothing is known in namespace %q\n", o.namespace)
	}
}

func topContainers(ctx context.Context, a *app, o *topOptions, from source) error {
	list, err := o.containers(ctx, from)
	if err != nil {
		return err
	}
	o.nothing(a, len(list.Items))
	return o.out.print(a.out, list, func(t *table) {
		t.header = []string{"NAMESPACE", "POD", "NAME", "CPU(cores)", "MEMORY(bytes)", "MEMORY(%)", "THROTTLED", "CPU PRESSURE", "OOM KILLS", wideOnly + "RUNTIME", wideOnly + "READ", wideOnly + "WRITTEN", wideOnly + "RECEIVED", wideOnly + "SENT", wideOnly + "ID", "WHY"}
		for _, c := range list.Items {
			t.rows = append(t.rows, []string{c.Namespace, c.Pod, c.Name, cores(c.CPU), mebibytes(c.WorkingSet), share(c.WorkingSet, c.MemoryLimit), percent(c.Throttled), percent(c.CPUPressure), count(c.OOMKills),
				c.Runtime, perSecond(c.DiskRead), perSecond(c.DiskWrite), perSecond(c.NetReceive), perSecond(c.NetTransmit), c.ID, c.Why})
		}
	})
}

// pod is one line of top pods: the sum of a pod's containers.
type pod struct {
	Namespace  string   `json:"namespace"`
	Name       string   `json:"name"`
	Node       string   `json:"node"`
	CPU        *float64 `json:"cpu"`
	WorkingSet *float64 `json:"workingSet"`
	Containers int      `json:"containers"`
}

func topPods(ctx context.Context, a *app, o *topOptions, from source) error {
	list, err := o.containers(ctx, from)
	if err != nil {
		return err
	}
	pods := sumPods(list.Items)
	order(pods, cmp.Or(o.sortBy, "name"), func(p *pod) *float64 { return p.CPU }, func(p *pod) *float64 { return p.WorkingSet }, func(p *pod) string { return p.Namespace + "/" + p.Name })
	doc := struct {
		Schema string    `json:"schema"` // plimsoll.dev/pods/v1
		Time   time.Time `json:"time"`
		Items  []*pod    `json:"items"`
	}{"plimsoll.dev/pods/v1", list.Time, pods}
	o.nothing(a, len(pods))
	return o.out.print(a.out, doc, func(t *table) {
		t.header = []string{"NAMESPACE", "NAME", "CPU(cores)", "MEMORY(bytes)", "CONTAINERS", wideOnly + "NODE"}
		for _, p := range pods {
			containers := float64(p.Containers)
			t.rows = append(t.rows, []string{p.Namespace, p.Name, cores(p.CPU), mebibytes(p.WorkingSet), count(&containers), p.Node})
		}
	})
}

// sumPods adds containers up. A pod one of whose containers has no value has none either.
func sumPods(cs []api.Container) []*pod {
	type key struct{ node, namespace, name string }
	byKey := map[key]*pod{}
	out := []*pod{}
	add := func(sum **float64, v *float64, first bool) {
		switch {
		case v == nil || !first && *sum == nil:
			*sum = nil
		case first:
			x := *v
			*sum = &x
		default:
			**sum += *v
		}
	}
	for _, c := range cs {
		k := key{c.Node, c.Namespace, c.Pod}
		p := byKey[k]
		if p == nil {
			p = &pod{Namespace: c.Namespace, Name: c.Pod, Node: c.Node}
			byKey[k], out = p, append(out, p)
		}
		add(&p.CPU, c.CPU, p.Containers == 0)
		add(&p.WorkingSet, c.WorkingSet, p.Containers == 0)
		p.Containers++
	}
	return out
}

func topWorkloads(ctx context.Context, a *app, o *topOptions, from source) error {
	var list api.WorkloadList
	if err := from.Get(ctx, "/plimsoll/v1/workloads", &list); err != nil {
		return err
	}
	list.Items = slices.DeleteFunc(list.Items, func(w api.Workload) bool { return o.namespace != "" && w.Namespace != o.namespace })
	order(list.Items, o.sortBy, func(w api.Workload) *float64 { return w.CPU }, func(w api.Workload) *float64 { return w.WorkingSet }, func(w api.Workload) string { return w.Namespace + "/" + w.Name })
	o.nothing(a, len(list.Items))
	return o.out.print(a.out, list, func(t *table) {
		t.header = []string{"NAMESPACE", "KIND", "NAME", "CPU(cores)", "MEMORY(bytes)", "PODS", "SCALED"}
		for _, w := range list.Items {
			pods := float64(w.Pods)
			t.rows = append(t.rows, []string{w.Namespace, w.Kind, w.Name, cores(w.CPU), mebibytes(w.WorkingSet), count(&pods), scaledCell(w.Scaled)})
		}
	})
}

// scaledCell says how a workload stands to its line: "cpu 41%/70%, 3 (1-10)".
func scaledCell(s *cluster.Scaled) string {
	if s == nil {
		return "-"
	}
	text := ""
	for _, m := range s.Metrics {
		text += m.Name + " " + percent(m.Load) + "/" + percent(m.Target) + ", "
	}
	lo, hi, now := float64(s.Min), float64(s.Max), float64(s.Replicas)
	return text + count(&now) + " (" + count(&lo) + "-" + count(&hi) + ")"
}
