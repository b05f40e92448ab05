package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Scaled is a workload that the autoscaler looks after, with the pods that the inventory says it has.
type Scaled struct {
	cluster.Scaled
	Members []Member `json:"members"` // in the inventory's order
	// under are the workloads that people call its pods by, where it is above or below these itself; nil where it is one of them.
	under []workloadKey
}

// Member is one pod of a workload: how whoever runs it says it is doing, and what it uses.
type Member struct {
	Name     string     `json:"name"`
	State    string     `json:"state"`  // as cluster.Status has it
	CPU      *float64   `json:"cpu"`    // cores
	Memory   *float64   `json:"memory"` // bytes
	Since    *time.Time `json:"since"`
	Restarts int        `json:"restarts"`
	Detail   string     `json:"detail"`
}

// since is the earliest moment that is told of its pods; now where none is.
func (s *Scaled) since(now time.Time) time.Time {
	for _, m := range s.Members {
		if m.Since != nil && m.Since.Before(now) {
			now = *m.Since
		}
	}
	return now
}

func memberOf(k live.Known) Member {
	m := Member{Name: k.Pod.Name, State: k.Pod.Status.State, Detail: k.Pod.Status.Detail}
	if at := k.Pod.Status.Since; !at.IsZero() {
		m.Since = &at
	}
	for c := range k.Pod.Lasting() {
		m.Restarts += c.Restarts
	}
	if k.Item != nil && !k.Item.Silent() {
		m.CPU, m.Memory = rate(k.Item, metric.CPUUsage, decCores), gauge(k.Item, metric.MemoryWorkingSet, decBytes)
	}
	return m
}

// withMembers adds the pods of each.
func (p *picture) withMembers(scaled []cluster.Scaled) []Scaled {
	out := make([]Scaled, len(scaled))
	for i, s := range scaled {
		out[i] = Scaled{Scaled: s, Members: []Member{}}
		for _, k := range p.pods[keyOf(plain(s.Target))] {
			if k.Pod.Owner.Group() == s.Group() { // which another API group may have, too
				out[i].Members = append(out[i].Members, memberOf(k))
			}
		}
		if len(out[i].Members) == 0 {
			p.addOthers(&out[i])
		}
	}
	return out
}

// addOthers adds the pods of a target that are not called by it.
func (p *picture) addOthers(s *Scaled) {
	if p.podsOf == nil {
		return
	}
	pods, err := p.podsOf(plain(s.Target))
	if err != nil { // they are not known yet
		return
	}
	own := make(map[string]bool, len(pods))
	for _, pod := range pods {
		own[pod.UID] = true
		if k := keyOf(pod.Owner); len(p.pods[k]) > 0 && !slices.Contains(s.under, k) {
			s.under = append(s.under, k)
		}
	}
	for _, k := range s.under {
		for _, pod := range p.pods[k] {
			if own[pod.Pod.UID] {
				s.Members = append(s.Members, memberOf(pod))
			}
		}
	}
}

// called returns targets by the names that people call their pods by: of what is above or below workloads each of these.
func (p *picture) called(scaled []cluster.Scaled) []cluster.Scaled {
	out := make([]cluster.Scaled, 0, len(scaled))
	for _, s := range p.withMembers(scaled) {
		if len(s.under) == 0 {
			out = append(out, s.Scaled)
		}
		for _, k := range s.under {
			one := s.Scaled
			one.Target = cluster.Target{Kind: k.kind, Namespace: k.namespace, Name: k.name}
			out = append(out, one)
		}
	}
	return out
}

// known are the pod of a container, and the container, as whoever runs them counts and describes them; nil where nobody does.
func known(it *live.Item) (*cluster.Pod, *cluster.Container) {
	if it.Parent == nil || it.Parent.Pod == nil {
		return nil, nil
	}
	return it.Parent.Pod, it.Parent.Pod.Container(it.Entity.Container)
}

// know takes what the inventory knows, and returns the gaps of the pods that wait though the picture has them.
func (p *picture) know() map[*live.Item]*cluster.Gap {
	machines, out := machinesOf(p.snap), map[*live.Item]*cluster.Gap{}
	for _, pod := range p.snap.Known {
		k := keyOf(pod.Pod.Owner)
		p.pods[k] = append(p.pods[k], pod)
		gap, ok := absence(pod, machines, p.snap.Time)
		if pod.Item != nil {
			p.unheard[k] = append(p.unheard[k], between(pod)...)
		}
		if !ok {
			_, gap := waitsIn(pod.Item)
			p.wait(k, pod.Pod.Name, gap)
			continue
		}
		p.wait(k, pod.Pod.Name, &gap)
		switch {
		case pod.Item != nil:
			out[pod.Item] = &gap
		case gap.Reason == metric.GapWaiting:
			p.unheard[k] = append(p.unheard[k], unheard(pod.Pod, &gap)...)
		}
	}
	return out
}

// wait notes that a pod of a workload waits; the gap that began first is told.
func (p *picture) wait(k workloadKey, pod string, gap *cluster.Gap) {
	if gap == nil {
		return
	}
	if was := p.waits[k]; was == nil || gap.Since.Before(was.Since) {
		p.waits[k] = &cluster.Gap{Since: gap.Since, Reason: gap.Reason, Detail: pod + ": " + gap.Detail}
	}
}

// waitsIn is the gap of the first of a pod's containers that does not run at present, as far as whoever runs it says so, and its name; nil where there is none.
func waitsIn(pod *live.Item) (container string, gap *cluster.Gap) {
	if pod != nil {
		for _, it := range pod.Items {
			if gap := it.WaitsFor(); gap != nil {
				return it.Entity.Container, gap
			}
		}
	}
	return "", nil
}

// unheard makes the rows of a pod's containers of which the picture has nothing: it remembers what does not run for a while only.
func unheard(pod *cluster.Pod, gap *cluster.Gap) []*Container {
	out := make([]*Container, len(pod.Containers))
	for i := range pod.Containers {
		out[i] = rowOf(pod, &pod.Containers[i], gap)
	}
	return out
}

// withStatus adds to what a pod waits for the words of whoever runs it: the state where it says more than that the pod waits, and the detail.
func withStatus(what string, s *cluster.Status) string {
	if !cluster.Begins(s.State) {
		what += ": " + s.State
	}
	return withDetail(what, s)
}

// withDetail adds the detail alone.
func withDetail(what string, s *cluster.Status) string {
	if detail := strings.TrimRight(strings.Join(strings.Fields(s.Detail), " "), "."); detail != "" {
		what += ": " + detail
	}
	return what
}

// rowOf makes the row of a container of which the picture has nothing.
func rowOf(pod *cluster.Pod, of *cluster.Container, gap *cluster.Gap) *Container {
	e := metric.Entity{Level: metric.Container, Node: pod.Node, Namespace: pod.Namespace, WorkloadKind: pod.Owner.Kind, Workload: pod.Owner.Name,
		Pod: pod.Name, Container: of.Name, Image: of.Image}
	if pod.Owner.Kind == cluster.ProcessService {
		e.Runtime = "process"
	}
	c := containerOf(&live.Item{Entity: &e, Parent: &live.Item{Pod: pod}, Gap: gap})
	return &c
}

// between makes the rows of those containers of a pod that are between their lives, or whose first does not begin, and of which the picture has nothing though it has others
// of the pod.
func between(k live.Known) (out []*Container) {
	pod := k.Pod
	if pod.Deleting || pod.Finished() || k.Item.Silent() {
		return nil
	}
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.Rests() == "" || c.Begins() || slices.ContainsFunc(k.Item.Items, func(m *live.Item) bool { return m.Entity.Container == c.Name }) {
			continue
		}
		gap := &cluster.Gap{Since: pod.Status.Since.UTC(), Reason: metric.GapWaiting, Detail: c.Rests()}
		if c.ID == "" && pod.Status.State == c.Rests() { // the pod's word is of the container that waits
			gap.Detail = withDetail(gap.Detail, &pod.Status)
		}
		out = append(out, rowOf(pod, c, gap))
	}
	return out
}

// restsIn is the gap of the first container of a pod that does not run, with the container's name; nil where all run. beside are the rows of those that the
// picture does not have.
func restsIn(k live.Known, beside []*Container) *cluster.Gap {
	name, gap := waitsIn(k.Item)
	if gap == nil && len(beside) > 0 {
		name, gap = beside[0].Name, beside[0].Gap
	}
	if gap == nil {
		return nil
	}
	return &cluster.Gap{Since: gap.Since, Reason: gap.Reason, Detail: name + ": " + gap.Detail}
}

// crashed is what all containers of a pod wait for that have run before; "" where one runs, or has not.
func crashed(pod *cluster.Pod) (word string) {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.Rests() == "" || c.ID == "" {
			return ""
		}
		word = cmp.Or(word, c.Rests())
	}
	return word
}

// absence says why a pod that exists has no values, where the inventory knows it or nothing was ever heard of the pod. ok is false
// where the picture has values, or the better reason.
func absence(k live.Known, machines map[string]*live.Item, now time.Time) (gap cluster.Gap, ok bool) {
	pod := k.Pod
	if pod.Deleting || pod.Finished() || k.Item != nil && (k.Item.Gap == nil || pod.Gap == "") {
		return gap, false
	}
	gap.Since = now
	for _, t := range []time.Time{pod.GapSince, pod.StartTime, pod.Status.Since} {
		if !t.IsZero() {
			gap.Since = t
			break
		}
	}
	gap.Since = gap.Since.UTC()
	switch machine := machines[pod.Node]; {
	case pod.Gap != "":
		gap.Reason, gap.Detail = metric.GapWaiting, pod.Gap
	case pod.Node != "" && crashed(pod) != "":
		gap.Reason, gap.Detail = metric.GapWaiting, crashed(pod)
	case pod.Node == "":
		gap.Reason, gap.Detail = metric.GapUnscheduled, withStatus("no machine was found for it yet", &pod.Status)
	case pod.Phase == "Pending":
		gap.Reason, gap.Detail = metric.GapStarting, withStatus(fmt.Sprintf("its containers have not started on %q yet", pod.Node), &pod.Status)
	case machine != nil && machine.Silent():
		return gap, false // which is told once, with the machine
	default:
		gap.Reason, gap.Detail = live.Unheard(pod.Node, machine != nil || machines == nil)
	}
	return gap, true
}
