package live

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Usage returns what each of the pods used of a resource over the newest w, in their order: the mean rate of a counter, the mean
// of a gauge, from the samples' own times. A window begins at the sample that is nearest to w before the newest, so it spans at
// least two samples of a counter; a pod younger than w gives the time it has. A pod is left out when one of its containers
// has no current value or, for a counter, only one sample; containers that have ended are not asked.
func (p *Picture) Usage(now time.Time, pods []*cluster.Pod, name cluster.ResourceName, w time.Duration) []cluster.PodUsage {
	id, ok := metric.OfResource(string(name))
	if !ok {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]cluster.PodUsage, 0, len(pods))
	for _, pod := range pods {
		u := p.tree.pod(pod)
		if u == nil {
			continue
		}
		if usage, ok := p.tree.usage(u, pod, name, id, now.UnixMilli(), w.Milliseconds()); ok {
			out = append(out, usage)
		}
	}
	return out
}

// Gap says since when and why, as a clause for people, a pod has no current value; "" if it has one, or neither the picture nor whoever runs it says so.
// What whoever runs the pod says of a container that does not run comes first.
func (p *Picture) Gap(now time.Time, pod *cluster.Pod) (why string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.tree.pod(pod)
	if u == nil {
		return unheardGap(pod)
	}
	members := slices.SortedFunc(slices.Values(u.members), func(a, b *unit) int { return compareNames(a.entity, b.entity) })
	members = slices.DeleteFunc(members, func(m *unit) bool { return !m.of(pod) })
	if len(u.members) > 0 && len(members) == 0 {
		return unheardGap(pod) // it is of a pod that had its name before
	}
	var first *cluster.Gap
	for _, x := range append(members, u) { // a container's own reason says more than that it lacks in the pod's sum
		g := p.tree.gapOf(x, p.tree.state(x, now.UnixMilli()), now.UnixMilli())
		if w := rest(pod, x.entity.Container, g, p.tree.ended(x), x.rows.Has(metric.MemoryWorkingSet)); w != nil {
			return w.Detail, w.Since
		}
		if first == nil {
			first = g
		}
	}
	if first == nil {
		return "", time.Time{}
	}
	return first.Detail, first.Since
}

// unheardGap is the gap of a pod of which nothing was heard: what a container that has run before waits for; "" where none does.
func unheardGap(pod *cluster.Pod) (why string, since time.Time) {
	for i := range pod.Containers {
		if w := rest(pod, pod.Containers[i].Name, &cluster.Gap{Since: pod.Status.Since, Reason: metric.GapStarting}, false, false); w != nil {
			return w.Detail, w.Since
		}
	}
	return "", time.Time{}
}

// Unheard says why there is nothing of a pod that runs on a node, be it that anything of that node was ever heard or not.
func Unheard(node string, heard bool) (reason, detail string) {
	if !heard {
		return metric.GapUnread, fmt.Sprintf("it runs on %q, of which nothing was ever heard", node)
	}
	return metric.GapStarting, fmt.Sprintf("it runs on %q, but no sample of it came yet", node)
}

// Unheard says why PodsUsed, with the same w, has not all of a pod that runs, where Gap has no reason: no sample came yet, of the pod or of one of its containers.
func (p *Picture) Unheard(now time.Time, pod *cluster.Pod, w time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	ms := now.UnixMilli()
	n := p.tree.byKey[identity.NodeKey(pod.Node)]
	if n != nil {
		if g := p.tree.gapOf(n, p.tree.state(n, ms), ms); silent(g, ms) {
			return onSilent(pod.Node, g)
		}
	}
	used := p.tree.podUsed(nil, pod, ms, w.Milliseconds())
	for _, list := range [...][]cluster.Container{pod.Containers, pod.InitContainers, pod.Ephemeral} {
		for i := range list {
			c := &list[i]
			if len(used) > 0 && !c.Started.IsZero() && !slices.ContainsFunc(used, func(u Used) bool { return u.Name == c.Name }) {
				return fmt.Sprintf("no sample of its container %q came yet", c.Name)
			}
		}
	}
	_, detail := Unheard(pod.Node, n != nil)
	return detail
}

// pod returns the unit of a pod, nil if nothing was heard of it. Names are unique in the cluster, or on the pod's node.
func (t *tree) pod(pod *cluster.Pod) *unit {
	if u := t.byKey[identity.PodKey(pod.Node, pod.Namespace, pod.Name)]; u != nil {
		return u
	}
	return t.byKey[identity.PodKey("", pod.Namespace, pod.Name)]
}

// usage asks the containers of one pod. A unit without members stands for itself. What other machines than the pod's say of it does not count, nor what is of one that had its name before.
func (t *tree) usage(u *unit, pod *cluster.Pod, name cluster.ResourceName, id metric.ID, now, w int64) (cluster.PodUsage, bool) {
	out := cluster.PodUsage{Pod: u.entity.Pod}
	containers := u.members
	if len(containers) == 0 {
		containers = []*unit{u}
	}
	any := false
	for _, c := range containers {
		if !c.of(pod) {
			continue
		}
		x, ok := c.window(t.limits, id, now, w)
		if !ok {
			if !t.ended(c) || now <= c.newest() || c.anyCurrent(t.limits, now) {
				out.Containers = append(out.Containers, cluster.ContainerUsage{Name: c.entity.Container})
			}
			continue
		}
		any = true
		out.Source = cmp.Or(out.Source, c.source)
		out.Containers = append(out.Containers, cluster.ContainerUsage{Name: c.entity.Container, Usage: cluster.Resources{{Name: name, Milli: cluster.MilliOfFloat(x.mean)}}})
		if at := millis(x.newest); out.Timestamp.IsZero() || at.Before(out.Timestamp) {
			out.Timestamp, out.Window = at, time.Duration(x.covers)*time.Millisecond
		}
	}
	slices.SortFunc(out.Containers, func(a, b cluster.ContainerUsage) int { return cmp.Compare(a.Name, b.Name) })
	return out, any
}

// anyCurrent says whether the unit has any current value.
func (u *unit) anyCurrent(l *limits, now int64) bool {
	return !u.gone() && slices.ContainsFunc(u.series, func(x series) bool {
		h := u.pair(&x)
		return u.current(&h, l, now)
	})
}

// window is what a unit had of one row over some time: the mean, the newest sample and the time really covered, in milliseconds.
type window struct {
	mean           float64
	newest, covers int64
}

// long is what a series has for a mean over some time: its ring, or its two samples.
func (s *samples) long(x *series) *ring {
	if x.ring == 0 {
		return &ring{buf: x.two[2-x.n:], n: uint16(x.n), lane: x.lane}
	}
	return &s.rings[x.ring-1]
}

// window returns the row's window of w milliseconds that ends with the newest sample, if that is current.
func (u *unit) window(l *limits, id metric.ID, now, w int64) (out window, ok bool) {
	if u.unread() {
		return out, false
	}
	kind := metric.Get(id).Kind
	for i, _ := u.find(0, id, ""); i < len(u.series) && u.series[i].id == id; i++ {
		x, h := u.long(&u.series[i]), u.pair(&u.series[i])
		if !u.current(&h, l, now) {
			continue
		}
		mean, t, covers := x.mean(kind, w, u.limit(l, x.lane))
		if kind == metric.Counter && covers == 0 {
			return out, false
		}
		if t += u.base; !ok || t < out.newest {
			out.newest, out.covers = t, covers
		}
		out.mean += mean
		ok = true
	}
	return out, ok
}
