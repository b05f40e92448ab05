package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Machine is GET /plimsoll/v1/nodes/{name}: one machine, what it has to give and what of that is asked for, how the cluster says that it is, and
// the pods on it.
type Machine struct {
	Schema string    `json:"schema"` // plimsoll.dev/node/v1
	Time   time.Time `json:"time"`
	Node
	CPURoom    Asked           `json:"cpuRoom"`
	MemoryRoom Asked           `json:"memoryRoom"`
	MaxPods    *int            `json:"maxPods"`    // null: not known
	Conditions []NodeCondition `json:"conditions"` // of a cluster, Ready first; empty where no cluster says any
	Pods       []Pod           `json:"pods"`       // by namespace and name; without those that are done
}

// Asked is one resource of a machine: what pods may have of it, and what they ask for.
type Asked struct {
	Allocatable *float64 `json:"allocatable"` // null: nothing says so
	Requests    *float64 `json:"requests"`    // null: no pod asks for any
}

// NodeCondition is one thing that the cluster says of a machine.
type NodeCondition struct {
	Type    string     `json:"type"`   // Ready, MemoryPressure, DiskPressure, PIDPressure, ...
	Status  string     `json:"status"` // True, False, Unknown
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
	Since   *time.Time `json:"since"` // when the status last changed
}

// Pod is one pod on a machine, or what stands for one where no cluster is served: a replica, a unit, a container of its own.
type Pod struct {
	Namespace     string       `json:"namespace"`
	WorkloadKind  string       `json:"workloadKind"`
	Workload      string       `json:"workload"`
	Name          string       `json:"name"`
	Title         string       `json:"title"`
	State         string       `json:"state"` // as whoever runs it says: what kubectl shows as STATUS; "" where nobody does
	Since         *time.Time   `json:"since"`
	Restarts      *int         `json:"restarts"` // of its containers; null where nobody counts them
	CPU           *float64     `json:"cpu"`      // cores
	CPURequest    *float64     `json:"cpuRequest"`
	WorkingSet    *float64     `json:"workingSet"`
	MemoryRequest *float64     `json:"memoryRequest"`
	Containers    []string     `json:"containers"`        // the names of its own and its sidecars, and of those that end what runs
	Partial       []string     `json:"partial,omitempty"` // of cpu and workingSet those that lack a container's part; gap says why
	Parts         *Parts       `json:"parts,omitempty"`   // with partial: of how many containers they are
	Source        string       `json:"source,omitempty"`  // "kubelet": no collector has read it
	Gap           *cluster.Gap `json:"gap"`
}

func (a *API) getNode(w http.ResponseWriter, r *http.Request) error {
	p := params.Read(r)
	if p.Err != nil {
		return p.Err
	}
	sees := scope.From(r.Context())
	pic, name := a.picture(time.Now(), sees), r.PathValue("name")
	i, found := slices.BinarySearchFunc(pic.nodes, name, func(n Node, name string) int { return strings.Compare(n.Name, name) })
	if !found {
		return serve.NotFound("there is no node %q; /plimsoll/v1/nodes lists them", name)
	}
	var known *cluster.Node
	for _, n := range a.nodes(sees) {
		if n.Name == name {
			known = n
		}
	}
	return serve.WriteJSON(w, pic.machine(pic.nodes[i], known, sees.IsWhole()))
}

// machine makes the answer about one machine; known is nil where no cluster tells of it. Unless everything is seen its pods' requests are not its own.
func (p *picture) machine(n Node, known *cluster.Node, whole bool) Machine {
	m := Machine{Schema: "plimsoll.dev/node/v1", Time: p.time, Node: n, Conditions: []NodeCondition{}, Pods: p.podsOn(n.Name)}
	i := slices.IndexFunc(p.snap.Nodes, func(it *live.Item) bool { return it.Entity.Node == n.Name })
	for _, x := range [...]struct {
		to           *Asked
		given, asked metric.ID
		name         cluster.ResourceName
		decimals     int
		of           func(*Pod) *float64
	}{
		{&m.CPURoom, metric.CPUAllocatable, metric.CPURequest, "cpu", decCores, func(p *Pod) *float64 { return p.CPURequest }},
		{&m.MemoryRoom, metric.MemoryAllocatable, metric.MemoryRequest, "memory", decBytes, func(p *Pod) *float64 { return p.MemoryRequest }},
	} {
		if i >= 0 {
			x.to.Allocatable, x.to.Requests = gauge(p.snap.Nodes[i], x.given, x.decimals), gauge(p.snap.Nodes[i], x.asked, x.decimals)
		}
		if known != nil && x.to.Allocatable == nil {
			v, ok := known.Allocatable.Get(x.name)
			x.to.Allocatable = num(v.Float(), ok, x.decimals)
		}
		if i >= 0 && !p.snap.Nodes[i].Silent() && x.to.Requests != nil || !whole {
			continue
		}
		x.to.Requests = nil // of what was heard long ago there may be none any more
		for k := range m.Pods {
			x.to.Requests = join(metric.Sum, x.to.Requests, x.of(&m.Pods[k]))
		}
	}
	if known != nil {
		m.Conditions = conditionsOf(known)
		if known.MaxPods > 0 {
			m.MaxPods = &known.MaxPods
		}
	}
	return m
}

// conditionsOf are a machine's, Ready first.
func conditionsOf(n *cluster.Node) []NodeCondition {
	out := make([]NodeCondition, 0, len(n.Conditions))
	for _, c := range n.Conditions {
		x := NodeCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message}
		if !c.Since.IsZero() {
			at := c.Since.UTC()
			x.Since = &at
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b NodeCondition) int {
		first := func(c *NodeCondition) int {
			if c.Type == "Ready" {
				return 0
			}
			return 1
		}
		return cmp.Or(first(&a)-first(&b), strings.Compare(a.Type, b.Type))
	})
	return out
}

// podsOn are the pods on a machine: those that the inventory knows, and what else the picture has there.
func (p *picture) podsOn(name string) []Pod {
	out, machines := []Pod{}, machinesOf(p.snap)
	for _, k := range p.snap.Known {
		if k.Pod.Node == name && !k.Pod.Finished() {
			out = append(out, p.podOf(k, machines))
		}
	}
	for _, it := range p.snap.Pods {
		if it.Pod == nil && it.Entity.Node == name && !it.Ended {
			out = append(out, p.podOfItem(it))
		}
	}
	slices.SortStableFunc(out, func(a, b Pod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), natural(a.Name, b.Name))
	})
	return out
}

// podOfItem makes a pod's row of what the picture has of it.
func (p *picture) podOfItem(it *live.Item) Pod {
	e := it.Entity
	row := Pod{Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload, Name: e.Pod, Title: TitleOf(e), Containers: []string{}, Source: it.Source, Gap: gapOf(it.Gap),
		CPURequest: gauge(it, metric.CPURequest, decCores), MemoryRequest: gauge(it, metric.MemoryRequest, decBytes)}
	for _, c := range it.Items {
		if p.byKey[identity.KeyOf(c.Entity)] != nil {
			row.Containers = append(row.Containers, c.Entity.Container)
		}
		if len(it.Items) == 1 { // what is of the one container is told as its own row does
			row.Title, row.Gap = TitleOf(c.Entity), gapOf(c.Gap)
		}
	}
	if !it.Silent() {
		row.CPU, row.WorkingSet = rate(it, metric.CPUUsage, decCores), gauge(it, metric.MemoryWorkingSet, decBytes)
		row.Partial, row.Parts = partial(it), partsOf(it)
	}
	return row
}

// podOf makes the row of a pod that the inventory knows. It asks for something whether or not anything was heard of it.
func (p *picture) podOf(k live.Known, machines map[string]*live.Item) Pod {
	row := Pod{Containers: []string{}}
	if k.Item != nil {
		row = p.podOfItem(k.Item)
	}
	pod := k.Pod
	row.Namespace, row.WorkloadKind, row.Workload, row.Name, row.Title = pod.Namespace, pod.Owner.Kind, pod.Owner.Name, pod.Name, slashed(pod.Namespace, pod.Name)
	row.State = pod.Status.State
	if at := pod.Status.Since.UTC(); !pod.Status.Since.IsZero() {
		row.Since = &at
	}
	restarts := 0
	row.Containers = row.Containers[:0]
	for c := range pod.Lasting() {
		row.Containers = append(row.Containers, c.Name)
		restarts += c.Restarts
	}
	for _, list := range [...][]cluster.Container{pod.InitContainers, pod.Ephemeral} { // of those that end, what runs now
		for i := range list {
			if c := &list[i]; !c.Always && !c.Started.IsZero() {
				row.Containers = append(row.Containers, c.Name)
			}
		}
	}
	row.Restarts = &restarts
	if k.Item == nil || row.CPURequest == nil {
		row.CPURequest = requested(pod, "cpu", decCores)
	}
	if k.Item == nil || row.MemoryRequest == nil {
		row.MemoryRequest = requested(pod, "memory", decBytes)
	}
	if k.Item != nil {
		row.rests(k)
	}
	if gap, ok := absence(k, machines, p.snap.Time); ok {
		row.Gap = &gap
	} else if m := machines[pod.Node]; row.Gap == nil && k.Item == nil && m != nil && m.Silent() {
		row.Gap = gapOf(m.Gap)
	}
	return row
}

// rests has a pod's sums say that the parts of containers are not in them that do not run.
func (row *Pod) rests(k live.Known) {
	beside := between(k)
	gap := restsIn(k, beside)
	if gap == nil || row.Parts != nil || row.CPU == nil && row.WorkingSet == nil {
		return
	}
	row.Parts = &Parts{Of: len(beside), Unit: "containers"}
	for _, it := range k.Item.Items {
		switch waits := it.WaitsFor() != nil; {
		case waits:
			row.Parts.Of++
		case !it.Ended:
			row.Parts.Of++
			row.Parts.Counted++
		}
	}
	row.Partial = lacking(row.Partial, row.CPU, row.WorkingSet)
	row.Gap = &cluster.Gap{Since: gap.Since, Reason: metric.GapMember, Detail: fmt.Sprintf("%d of %d: %s", row.Parts.Of-row.Parts.Counted, row.Parts.Of, gap.Detail)}
}

// requested is what a pod asks for as the scheduler goes.
func requested(pod *cluster.Pod, name cluster.ResourceName, decimals int) *float64 {
	held, asks := pod.Held(name)
	return num(held.Float(), asks, decimals)
}
