package heapster

import (
	"path"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
)

// point is one value of a series, in Heapster's unit.
type point struct {
	t time.Time
	v float64
}

// podOf is the pod that the inventory knows of an item that is one, or a container of one.
func podOf(it *live.Item) *cluster.Pod {
	if it.Pod == nil && it.Parent != nil {
		return it.Parent.Pod
	}
	return it.Pod
}

// podID is what a pod, or a container of one, has as its pod's UID: that of the inventory; what the kubelet calls the cgroup by, where only the cgroup is
// known; else the runtime's id of its container, else namespace.pod.
func podID(it *live.Item) string {
	pod, e := podOf(it), it.Entity
	if pod != nil && pod.UID != "" {
		return pod.UID
	}
	if e.WorkloadKind == "Pod" {
		return e.Pod
	}
	last := strings.TrimSuffix(path.Base(e.ID), ".scope")
	if i := strings.LastIndexByte(last, '-'); i >= 0 {
		last = last[i+1:]
	}
	if len(last) == 64 && strings.Trim(last, "0123456789abcdef") == "" {
		return last
	}
	return e.Namespace + "." + e.Pod
}

// picture is a snapshot, seen as Heapster would: what has ended, or is on a machine that nothing is heard of, is not in its newest batch.
type picture struct {
	time  time.Time    // zero where there is no snapshot
	nodes []*live.Item // that somebody reads; one that is only named by what runs on it was in no batch
	// mentioned are the others: what is kept of them is what runs on them, and no machine's.
	mentioned map[string]bool
	// containers are all there are, and the pods of which no container is read, which stand for themselves.
	containers []*live.Item
}

func newPicture(s *live.Snapshot) picture {
	if s == nil {
		return picture{}
	}
	over := func(it *live.Item) bool { return it.Ended || it.Silent() }
	p := picture{time: s.Time.Truncate(time.Millisecond),
		nodes:      slices.DeleteFunc(slices.Clone(s.Nodes), func(it *live.Item) bool { return over(it) || it.Own == metric.Set{} }),
		containers: slices.DeleteFunc(slices.Clone(s.Containers), over)}
	for _, it := range s.Nodes {
		if it.Own == (metric.Set{}) {
			if p.mentioned == nil {
				p.mentioned = map[string]bool{}
			}
			p.mentioned[it.Entity.Node] = true
		}
	}
	for _, it := range s.Pods {
		if len(it.Items) == 0 && !over(it) {
			p.containers = append(p.containers, it)
		}
	}
	return p
}

// scope is a target with the items whose values make its own: its containers, or the node itself.
type scope struct {
	target
	items []*live.Item
	pods  []*live.Item // of a node: the containers of its pods
}

func (p picture) scope(t target) scope {
	s := scope{target: t, items: p.members(t)}
	if t.level == model.Node {
		s.pods = which(p.containers, func(it *live.Item) bool { return it.Entity.Node == t.node && !model.System(it.Entity) })
	}
	return s
}

func (p picture) members(t target) []*live.Item {
	if t.level == model.Node {
		return which(p.nodes, func(it *live.Item) bool { return it.Entity.Node == t.node })
	}
	return which(p.containers, t.holds)
}

func which(items []*live.Item, is func(*live.Item) bool) []*live.Item {
	var out []*live.Item
	for _, it := range items {
		if is(it) {
			out = append(out, it)
		}
	}
	return out
}

// holds says whether a container is the target or part of it.
func (t target) holds(it *live.Item) bool {
	e := it.Entity
	if t.level == model.SystemContainer {
		return model.System(e) && e.Node == t.node && model.SystemName(e) == t.container
	}
	if model.System(e) {
		return false
	}
	switch t.level {
	case model.Cluster:
		return true
	case model.Namespace:
		return e.Namespace == t.namespace
	case model.PodContainer:
		if e.Container != t.container {
			return false
		}
	}
	if t.podID != "" {
		return podID(it) == t.podID
	}
	return e.Namespace == t.namespace && e.Pod == t.pod
}

// list returns names for the list that is asked for, sorted, each once.
func (p picture) list(w what, t target) []string {
	out := []string{}
	if w == listNodes {
		for _, it := range p.nodes {
			out = append(out, it.Entity.Node)
		}
	} else {
		for _, it := range p.containers {
			if name, ok := listed(w, t, it); ok {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// listed says under which name a container puts something on the list.
func listed(w what, t target, it *live.Item) (string, bool) {
	e := it.Entity
	switch {
	case w == listFree:
		return model.SystemName(e), model.System(e) && e.Node == t.node
	case model.System(e):
		return "", false
	case w == listNamespaces:
		return e.Namespace, e.Namespace != ""
	case w == listPods:
		return e.Pod, e.Namespace == t.namespace && e.Pod != ""
	case w == listContainers:
		return e.Container, e.Container != "" && t.holds(it)
	}
	return "", false
}

// keys returns the keys of everything there is, in Heapster's form.
func (p picture) keys() []string {
	out := []string{}
	if p.time.IsZero() {
		return out
	}
	out = append(out, "cluster")
	for _, it := range p.nodes {
		out = append(out, "node:"+it.Entity.Node)
	}
	for _, it := range p.containers {
		e := it.Entity
		if model.System(e) {
			out = append(out, "node:"+e.Node+"/container:"+model.SystemName(e))
			continue
		}
		ns := "namespace:" + e.Namespace
		out = append(out, ns, ns+"/pod:"+e.Pod)
		if e.Container != "" {
			out = append(out, ns+"/pod:"+e.Pod+"/container:"+e.Container)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// metrics returns the names of the metrics that a target has at the moment.
func (p picture) metrics(all model.Metrics, t target) []string {
	out := []string{}
	in := p.scope(t)
	for i := range all {
		if s := &all[i]; s.Has(t.level) && len(p.values(s, in)) > 0 {
			out = append(out, s.Name)
		}
	}
	return out
}

// values returns a metric's newest values by resource_id, "" where it has no such label.
func (p picture) values(s *model.Metric, in scope) map[string]point {
	items := in.items
	if s.OfPods && in.level == model.Node && len(items) > 0 {
		items = in.pods
	}
	if len(items) == 0 {
		return nil
	}
	if s.Since {
		return p.uptime(s, items, in.level)
	}
	if in.level == model.Pod && slices.ContainsFunc(items, func(it *live.Item) bool {
		of, _ := ownerOf(it, s.Row, in.level)
		return of.Lacks.Has(s.Row)
	}) {
		return nil // the rest of a pod is not the pod
	}
	over := 1.0
	if len(s.Over) > 0 {
		if over = in.whole(s.Over); over <= 0 {
			return nil
		}
	}
	out := sums(s, items, in.level)
	if s.OfPods && len(out) == 0 { // what is not set is 0; before a first full reading, which says when things began, it is not known
		if began, ok := sums(&model.Metric{Row: metric.StartTime}, items, in.level)[""]; ok {
			out[""] = point{t: began.t}
		}
	}
	for sub, pt := range out {
		out[sub] = point{pt.t, s.Value(pt.v / over)}
	}
	return out
}

// ownerOf is the item whose own the row is: the pod of a container where it has the row itself. ok is false for what a node does not say of itself, which
// would be made of its containers.
func ownerOf(it *live.Item, row metric.ID, k model.Kind) (from *live.Item, ok bool) {
	if k == model.PodContainer || k == model.SystemContainer {
		return it, true
	}
	if p := it.Parent; p != nil && p.Entity.Level == metric.Pod && p.Own.Has(row) {
		return p, true
	}
	return it, it.Entity.Level != metric.Node || it.Own.Has(row)
}

// sums joins the items' values in the base unit; a sum is as old as its oldest part.
func sums(s *model.Metric, items []*live.Item, k model.Kind) map[string]point {
	out := map[string]point{}
	pods := map[*live.Item]bool{} // that are counted
	for _, it := range items {
		it, ok := ownerOf(it, s.Row, k)
		if !ok || pods[it] {
			continue
		}
		if it.Entity.Level == metric.Pod {
			pods[it] = true
		}
		values := it.Row(s.Row)
		for i := range values {
			v := &values[i]
			if s.Rate && v.Window <= 0 || !s.Labelled && model.Inner(v.Sub, k) {
				continue
			}
			sub, x := "", v.V
			if s.Labelled {
				sub = v.Sub
			}
			if s.Rate {
				x = v.Rate
			}
			old, ok := out[sub]
			switch {
			case !ok:
				old = point{v.T, x}
			default:
				old.v = metric.Get(v.ID).Join.Of(old.v, x)
				if v.T.Before(old.t) {
					old.t = v.T
				}
			}
			out[sub] = old
		}
	}
	return out
}

// whole returns what a ratio is of: the first of the rows that is known, else 0.
func (in scope) whole(rows []metric.ID) float64 {
	for _, id := range rows {
		for _, it := range in.items {
			if v, ok := it.Gauge(id); ok {
				return v
			}
		}
	}
	return 0
}

// uptime counts from the oldest start.
func (p picture) uptime(s *model.Metric, items []*live.Item, k model.Kind) map[string]point {
	var start time.Time
	for _, it := range items {
		t := it.Start
		if of, own := ownerOf(it, s.Row, k); t.IsZero() && own {
			if v, ok := of.Gauge(s.Row); ok {
				t = time.UnixMilli(int64(v * 1000))
			}
		}
		if !t.IsZero() && (start.IsZero() || t.Before(start)) {
			start = t
		}
	}
	if start.IsZero() || start.After(p.time) {
		return nil
	}
	return map[string]point{"": {p.time, s.Value(p.time.Sub(start).Seconds())}}
}
