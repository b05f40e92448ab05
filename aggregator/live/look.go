package live

import (
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Usage returns what each of the pods used of a resource over the newest w, in their order: the mean rate of a counter, the mean
// of a gauge, from the samples' own times. What it looks at begins at the sample that is nearest to w before the newest, so it spans at
// least two samples of a counter; a pod younger than w gives the time it has. A pod is left out when one of its containers
// has no current value or, for a counter, only one sample; containers that have ended are not asked.
func (p *Picture) Usage(now time.Time, pods []*cluster.Pod, name cluster.ResourceName, w time.Duration) []cluster.PodUsage {
	id, ok := metric.OfResource(string(name))
	if !ok {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tidy()
	out := make([]cluster.PodUsage, 0, len(pods))
	for _, pod := range pods {
		u := p.podUnit(pod)
		if u == nil {
			continue
		}
		if usage, ok := p.pod(u, name, id, now.UnixMilli(), w.Milliseconds()); ok {
			out = append(out, usage)
		}
	}
	return out
}

// podUnit returns the unit of a pod, nil if nothing was heard of it. Names are unique in the cluster, or on the pod's node.
func (p *Picture) podUnit(pod *cluster.Pod) *unit {
	if u := p.byKey[key{metric.Pod, pod.Node, pod.Namespace, pod.Name, ""}]; u != nil {
		return u
	}
	return p.byKey[key{metric.Pod, "", pod.Namespace, pod.Name, ""}]
}

// Gap says since when and why, as a clause for people, a pod has no current value; "" if nothing was heard of it, or it has one.
func (p *Picture) Gap(now time.Time, pod *cluster.Pod) (why string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.podUnit(pod)
	if u == nil {
		return "", time.Time{}
	}
	p.snapshot(now)
	for _, x := range append(slices.Clip(u.members), u) { // a container's own reason says more than that it lacks in the pod's sum
		if x.shown != nil {
			return x.shown.Detail, x.shown.Since
		}
	}
	return "", time.Time{}
}

// pod looks at the containers of one pod. A unit without members stands for itself.
func (p *Picture) pod(u *unit, name cluster.ResourceName, id metric.ID, now, w int64) (cluster.PodUsage, bool) {
	usage := cluster.PodUsage{Pod: u.entity.Pod}
	containers := u.members
	if len(containers) == 0 {
		containers = []*unit{u}
	}
	for _, c := range containers {
		l, ok := p.look(c, id, now, w)
		if !ok {
			if p.ended(c) && now-c.newestSample() > 0 && !p.anyCurrent(c, now) {
				continue
			}
			return cluster.PodUsage{}, false
		}
		usage.Containers = append(usage.Containers, cluster.ContainerUsage{Name: c.entity.Container, Usage: cluster.Resources{{Name: name, Milli: cluster.MilliOfFloat(l.value)}}})
		if at := millis(l.newest); usage.Timestamp.IsZero() || at.Before(usage.Timestamp) {
			usage.Timestamp, usage.Window = at, time.Duration(l.window)*time.Millisecond
		}
	}
	return usage, len(usage.Containers) > 0
}

// anyCurrent says whether the unit has any current value.
func (p *Picture) anyCurrent(u *unit, now int64) bool {
	if u.gap != nil && u.gap.Reason == gone {
		return false
	}
	for i := range u.series {
		if p.current(u, &u.series[i], now) {
			return true
		}
	}
	return false
}

// looked is the outcome of a look at one unit.
type looked struct {
	value          float64
	newest, window int64 // milliseconds
}

func (p *Picture) look(u *unit, id metric.ID, now, w int64) (out looked, ok bool) {
	if u.gap != nil && u.gap.Reason == gone {
		return out, false
	}
	i, _ := u.find(0, id, "")
	for ; i < len(u.series) && u.series[i].id == id; i++ {
		s := &u.series[i]
		if !p.current(u, s, now) {
			continue
		}
		v, t, window := s.mean(p.rows[id].Kind, w, p.limit(u, s.lane))
		if p.rows[id].Kind == metric.Counter && window == 0 {
			return out, false
		}
		t += u.base
		if !ok || t < out.newest {
			out.newest, out.window = t, window
		}
		out.value += v
		ok = true
	}
	return out, ok
}

// mean returns the mean over the newest w milliseconds, the newest sample's time and the time really covered. Samples further
// apart than gap are not joined: the value was stale between them, and after a clock that was set forward what a second used would be
// spread over all that was jumped, which looks like no load at all.
func (s *series) mean(kind metric.Kind, w, gap int64) (v float64, newest, window int64) {
	last := int(s.n) - 1
	t1, v1 := s.at(last)
	first := s.since(int64(t1)-w, gap, kind == metric.Counter)
	t0, v0 := s.at(first)
	window = int64(t1) - int64(t0)
	if kind == metric.Counter {
		if window == 0 {
			return 0, int64(t1), 0
		}
		return (v1 - v0) / float64(window) * 1000, int64(t1), window
	}
	sum := 0.0
	for i := first; i <= last; i++ {
		_, x := s.at(i)
		sum += x
	}
	return sum / float64(last-first+1), int64(t1), window
}

// since returns the index of the sample nearest to time t on this side of the newest gap; for a counter at least one before
// the newest, if there is one.
func (s *series) since(t, gap int64, counter bool) int {
	last := int(s.n) - 1
	i := last
	for i > 0 {
		here, _ := s.at(i)
		next, _ := s.at(i - 1)
		must := counter && i == last
		if int64(here)-int64(next) > gap || !must && abs(int64(next)-t) > abs(int64(here)-t) {
			break
		}
		i--
	}
	return i
}

func abs(x int64) int64 { return max(x, -x) }
