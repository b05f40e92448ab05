// Package top shows what nodes, pods, containers and workloads use, now or over a stretch of the history, like kubectl top: lists of
// the public API, filtered, sorted and summed up, as documents and as tables.
package top

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/table"
)

// Source answers paths of the public API.
type Source interface {
	Get(ctx context.Context, path string, v any) error
}

// Options say what is shown, and how.
type Options struct {
	Namespace string // "": all
	SortBy    string // cpu, memory, name; "": what fits the kind
	// Over is how much of the history is summed up instead of now, up to Now.
	Over time.Duration
	Now  time.Time
}

// List is what is shown.
type List struct {
	Document any
	Table    *table.Table
}

// Kind is what can be shown.
type Kind struct {
	Name, Short string
	now         func(context.Context, Source, Options) (List, error)
	past        past
}

// Kinds are all there are.
var Kinds = [...]Kind{
	{"nodes", "Machines: CPU, memory, pressure", nodes, past{"node", []string{"node"}, []string{"NAME"}}},
	{"pods", "Pods, units and replicas", pods, past{"pod", []string{"namespace", "pod", "node"}, []string{"NAMESPACE", "NAME", "+NODE"}}},
	{"containers", "Containers, what hurts first", containers, past{"container", []string{"namespace", "pod", "container", "node"}, []string{"NAMESPACE", "POD", "NAME", "+NODE"}}},
	{"workloads", "Deployments, services and other owners of pods", workloads, past{"workload", []string{"namespace", "workload_kind", "workload"}, []string{"NAMESPACE", "KIND", "NAME"}}},
}

// Show asks for what there is.
func (k Kind) Show(ctx context.Context, from Source, o Options) (List, error) {
	if o.Over > 0 {
		return k.past.show(ctx, from, o)
	}
	return k.now(ctx, from, o)
}

// order sorts rows as is asked for; values that are not known come last.
func order[T any](rows []T, by string, cpu, memory func(T) *float64, name func(T) string) {
	known := func(v *float64) float64 {
		if v == nil {
			return math.Inf(-1)
		}
		return *v
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		switch by {
		case "cpu":
			return cmp.Compare(known(cpu(b)), known(cpu(a)))
		case "memory":
			return cmp.Compare(known(memory(b)), known(memory(a)))
		case "name":
			return cmp.Compare(name(a), name(b))
		}
		return 0
	})
}

func nodes(ctx context.Context, from Source, o Options) (List, error) {
	var list api.NodeList
	if err := from.Get(ctx, "/plimsoll/v1/nodes", &list); err != nil {
		return List{}, err
	}
	order(list.Items, o.SortBy, func(n api.Node) *float64 { return n.CPU }, func(n api.Node) *float64 { return n.WorkingSet }, func(n api.Node) string { return n.Name })
	t := table.New("NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)", "CPU PRESSURE", "+LOAD1", "+MEMORY PRESSURE", "+IO PRESSURE", "+DISK FREE", "CONTAINERS", "+POOL", "STATE")
	for _, n := range list.Items {
		t.Add(n.Name, cores(n.CPU), share(n.CPU, n.Cores), mebibytes(n.WorkingSet), share(n.WorkingSet, n.Memory), percent(n.CPUPressure),
			count(n.Load1), percent(n.MemoryPressure), percent(n.IOPressure), mebibytes(n.DiskFree), containersOf(&n), cmp.Or(n.Pool, "-"), saidBy(marked(n.Parts, stateOfNode(&n)), n.Source))
	}
	return List{list, t}, nil
}

// containersOf is how many containers a machine has, as far as that is known.
func containersOf(n *api.Node) string {
	if n.Containers == nil {
		return "-"
	}
	return fmt.Sprint(*n.Containers)
}

// stateOfNode says how a machine is: since when and why there are no values, else what the cluster says.
func stateOfNode(n *api.Node) string {
	if n.Gap != nil {
		return stateOf(n.Gap, "")
	}
	lacks := lacking(n.CPU, n.WorkingSet)
	if n.Status != "" && lacks != "" {
		return n.Status + ", " + lacks
	}
	return cmp.Or(n.Status, stateOf(nil, lacks))
}

// stateOf says since when and why there are no values, else what is lacking.
func stateOf(g *cluster.Gap, lacks string) string {
	if g == nil {
		return cmp.Or(lacks, "ok")
	}
	return fmt.Sprintf("%s since %s: %s", g.Reason, g.Since.Local().Format(time.DateTime), g.Detail)
}

// marked begins a state with of how many members the sums are that lack some: "2 of 3 pods; ...".
func marked(p *api.Parts, state string) string {
	if p == nil {
		return state
	}
	return p.String() + "; " + state
}

// lacking says which of the two values there is none of, where nothing else says why; "" if there are both.
func lacking(cpu, memory *float64) string {
	switch {
	case cpu == nil && memory == nil:
		return "no CPU and no memory: they are not accounted for"
	case cpu == nil:
		return "no CPU: it is not accounted for"
	case memory == nil:
		return "no memory: it is not accounted for"
	}
	return ""
}

// whyOf says what hurts a container, and which value it lacks.
func whyOf(c *api.Container) string {
	lacks := lacking(c.CPU, c.WorkingSet)
	switch {
	case c.Gap != nil, lacks == "", strings.Contains(c.Why, "not accounted for"):
		return c.Why
	case c.Why == "":
		return lacks
	}
	return c.Why + "; " + lacks
}

// saidBy adds to a state whose figures are shown where no collector has read them.
func saidBy(state, source string) string {
	if source == "" {
		return state
	}
	return state + ", read from the " + source
}

// allContainers asks for all of them, in the order of what hurts. left says that there are more than an answer has; "" if not.
func allContainers(ctx context.Context, from Source, o Options) (list api.ContainerList, left string, err error) {
	path := "/plimsoll/v1/containers?limit=10000"
	if n := len(o.Namespace); n > 0 && n <= maxWords {
		path += "&q=" + url.QueryEscape(o.Namespace)
	}
	if err := from.Get(ctx, path, &list); err != nil {
		return list, "", err
	}
	if n := len(list.Items); list.Found > n {
		left = fmt.Sprintf("%d of %d containers were read, what hurts most first", n, list.Found)
	}
	list.Items = slices.DeleteFunc(list.Items, func(c api.Container) bool { return o.Namespace != "" && c.Namespace != o.Namespace })
	order(list.Items, o.SortBy, func(c api.Container) *float64 { return c.CPU }, func(c api.Container) *float64 { return c.WorkingSet }, func(c api.Container) string { return c.Title })
	return list, left, nil
}

// maxWords is how long a search may be.
const maxWords = 200

func containers(ctx context.Context, from Source, o Options) (List, error) {
	list, left, err := allContainers(ctx, from, o)
	t := table.New("NAMESPACE", "POD", "NAME", "CPU(cores)", "MEMORY(bytes)", "MEMORY(%)", "THROTTLED", "CPU PRESSURE", "OOM KILLS", "+NODE", "+SOURCE", "+RUNTIME", "+READ", "+WRITTEN", "+RECEIVED", "+SENT", "+ID", "WHY")
	f := folder{Table: t}
	for _, c := range list.Items {
		f.add(c.Gap, c.Namespace, c.Pod, c.Name, cores(c.CPU), mebibytes(c.WorkingSet), share(c.WorkingSet, c.MemoryLimit), percent(c.Throttled), percent(c.CPUPressure), count(c.OOMKills),
			c.Node, cmp.Or(c.Source, "collector"), c.Runtime, perSecond(c.DiskRead), perSecond(c.DiskWrite), perSecond(c.NetReceive), perSecond(c.NetTransmit), c.ID, whyOf(&c))
	}
	f.tell("container")
	if left != "" {
		t.Say(left+": the others are not shown; -n shows those of a namespace.", "")
	}
	return List{list, t}, err
}

// folder adds rows to a table. Those on silent machines, which have no values, are folded into one sentence.
type folder struct {
	*table.Table
	silent int
}

func (f *folder) add(g *cluster.Gap, cells ...string) {
	if g != nil && g.Reason == metric.GapSilent {
		f.silent++
		f.Fold(cells...)
		return
	}
	f.Add(cells...)
}

// tell says how many rows are folded.
func (f *folder) tell(noun string) {
	switch f.silent {
	case 0:
	case 1:
		f.Say("1 "+noun+" on a silent machine is not shown: 'plimsoll top nodes' says since when, -o wide shows it.", "")
	default:
		f.Say(fmt.Sprintf("%d %ss on silent machines are not shown: 'plimsoll top nodes' says since when, -o wide shows them.", f.silent, noun), "")
	}
}

// pod is one line of pods: the sum of a pod's containers.
type pod struct {
	Namespace  string   `json:"namespace"`
	Name       string   `json:"name"`
	Node       string   `json:"node"`
	CPU        *float64 `json:"cpu"`
	WorkingSet *float64 `json:"workingSet"`
	Containers int      `json:"containers"` // 0: none of them has begun, or nothing was heard of any
	// Partial names those of cpu and workingSet that lack a container's part, and Parts says of how many containers they are.
	Partial []string   `json:"partial,omitempty"`
	Parts   *api.Parts `json:"parts,omitempty"`
	// Gap says which of the containers has no value, and why.
	Gap   *cluster.Gap `json:"gap"`
	lacks string       // of a container without a gap: which of its values there is none of
}

func pods(ctx context.Context, from Source, o Options) (List, error) {
	list, left, err := allContainers(ctx, from, o)
	sums := sumPods(list.Items)
	unheard, errUnheard := unheardPods(ctx, from, sums, o.Namespace)
	sums = append(sums, unheard...)
	order(sums, cmp.Or(o.SortBy, "name"), func(p *pod) *float64 { return p.CPU }, func(p *pod) *float64 { return p.WorkingSet }, func(p *pod) string { return p.Namespace + "/" + p.Name })
	if left != "" {
		left += ": pods of the others are not shown, or lack them; -n shows those of a namespace."
	}
	var notes []string
	if left != "" {
		notes = append(notes, left)
	}
	if errUnheard != nil {
		notes = append(notes, fmt.Sprintf("Pods of which nothing was heard are not shown: %v.", errUnheard))
	}
	doc := struct {
		Schema string    `json:"schema"` // plimsoll.dev/pods/v1
		Time   time.Time `json:"time"`
		Note   string    `json:"note,omitempty"` // what is not here
		Items  []*pod    `json:"items"`
	}{"plimsoll.dev/pods/v1", list.Time, strings.Join(notes, " "), sums}
	t := table.New("NAMESPACE", "NAME", "CPU(cores)", "MEMORY(bytes)", "CONTAINERS", "+NODE", "STATE")
	f := folder{Table: t}
	for _, p := range sums {
		containers := "-"
		if p.Containers > 0 {
			containers = fmt.Sprint(p.Containers)
		}
		f.add(p.Gap, p.Namespace, p.Name, cores(p.CPU), mebibytes(p.WorkingSet), containers, p.Node, marked(p.Parts, stateOf(p.Gap, p.lacks)))
	}
	f.tell("pod")
	for _, note := range notes {
		t.Say(note, "")
	}
	return List{doc, t}, err
}

// unheardPods are the pods that exist and of no container of which there is a row: they have no machine yet, have not started, or nothing was heard of them.
func unheardPods(ctx context.Context, from Source, rows []*pod, namespace string) (out []*pod, err error) {
	var m api.Missing
	if err := from.Get(ctx, "/plimsoll/v1/missing", &m); err != nil {
		return nil, err
	}
	type key struct{ namespace, name string }
	told := map[key]bool{}
	for _, p := range rows {
		told[key{p.Namespace, p.Name}] = true
	}
	for i := range m.Items {
		it := &m.Items[i]
		space, name, ok := strings.Cut(it.Title, "/")
		if it.Level != metric.Pod.String() || !ok || told[key{space, name}] || namespace != "" && namespace != space {
			continue
		}
		switch it.Reason {
		case metric.GapUnscheduled, metric.GapStarting, metric.GapUnread, metric.GapWaiting:
			out = append(out, &pod{Namespace: space, Name: name, Node: it.Node, Gap: &it.Gap})
		}
	}
	return out, nil
}

// sumPods adds containers up. A sum that lacks the part of a container is that of the others, and says so.
func sumPods(cs []api.Container) []*pod {
	type key struct{ node, namespace, name string }
	type have struct{ cpu, memory, whole int } // containers that have it
	byKey, had := map[key]*pod{}, map[*pod]*have{}
	out := []*pod{}
	add := func(sum **float64, n *int, v *float64) {
		if v == nil {
			return
		}
		if *sum == nil {
			*sum = new(float64)
		}
		**sum += *v
		*n++
	}
	for _, c := range cs {
		k := key{c.Node, c.Namespace, c.Pod}
		p := byKey[k]
		if p == nil {
			p = &pod{Namespace: c.Namespace, Name: c.Pod, Node: c.Node}
			byKey[k], had[p], out = p, &have{}, append(out, p)
		}
		h := had[p]
		add(&p.CPU, &h.cpu, c.CPU)
		add(&p.WorkingSet, &h.memory, c.WorkingSet)
		if c.CPU != nil && c.WorkingSet != nil {
			h.whole++
		}
		p.Containers++
		if lacks := lacking(c.CPU, c.WorkingSet); c.Gap == nil && lacks != "" && p.lacks == "" {
			p.lacks = c.Name + ": " + lacks
		}
		if c.Gap != nil && p.Gap == nil {
			p.Gap = &cluster.Gap{Since: c.Gap.Since, Reason: c.Gap.Reason, Detail: c.Name + ": " + c.Gap.Detail}
		}
	}
	for p, h := range had {
		if h.cpu > 0 && h.cpu < p.Containers {
			p.Partial = append(p.Partial, "cpu")
		}
		if h.memory > 0 && h.memory < p.Containers {
			p.Partial = append(p.Partial, "workingSet")
		}
		if p.Partial != nil {
			p.Parts = &api.Parts{Counted: h.whole, Of: p.Containers, Unit: "containers"}
		}
	}
	return out
}

func workloads(ctx context.Context, from Source, o Options) (List, error) {
	var list api.WorkloadList
	if err := from.Get(ctx, "/plimsoll/v1/workloads", &list); err != nil {
		return List{}, err
	}
	list.Items = slices.DeleteFunc(list.Items, func(w api.Workload) bool { return o.Namespace != "" && w.Namespace != o.Namespace })
	order(list.Items, o.SortBy, func(w api.Workload) *float64 { return w.CPU }, func(w api.Workload) *float64 { return w.WorkingSet }, func(w api.Workload) string { return w.Namespace + "/" + w.Name })
	t := table.New("NAMESPACE", "KIND", "NAME", "CPU(cores)", "MEMORY(bytes)", "PODS", "=SCALED", "STATE")
	f := folder{Table: t}
	for _, w := range list.Items {
		f.add(w.Gap, w.Namespace, w.Kind, w.Name, cores(w.CPU), mebibytes(w.WorkingSet), fmt.Sprint(w.Pods), scaledCell(w.Scaled), stateOfWorkload(&w))
	}
	f.tell("workload")
	return List{list, t}, nil
}

// stateOfWorkload says since when and why there are no values, that there are no pods, for one, and why its policy does not set its count, or not by all of its metrics.
func stateOfWorkload(w *api.Workload) string {
	lacks := lacking(w.CPU, w.WorkingSet)
	if w.Pods == 0 && w.CPU == nil && w.WorkingSet == nil {
		lacks = "no pods"
	}
	state := marked(w.Parts, stateOf(w.Gap, lacks))
	if w.Scaled == nil || w.Scaled.Gap == nil {
		return state
	}
	gap := *w.Scaled.Gap
	switch gap.Reason {
	case cluster.GapPolicy:
		gap.Reason = "policy not in force"
	case cluster.GapScale:
		gap.Reason = "scale not known"
	default:
		gap.Reason = "metrics fail"
	}
	if state == "ok" {
		return stateOf(&gap, "")
	}
	return state + "; " + stateOf(&gap, "")
}
