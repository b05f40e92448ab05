package autoscaler

import (
	"math"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// departures knows what pods used that are gone. Their load is with those that stay, whose mean over a window has it only from then on: without it a
// window that reaches back further tells of less load than there is, and a count that was just lowered is lowered again.
type departures struct {
	used map[string]used // by the pods' names
	gone []cluster.PodUsage
}

// used is the newest usage of a pod that counts, over the longest window that lies in its life.
type used struct {
	uid string
	cluster.PodUsage
}

// saw notes what a pod used. Of several usages of a pod in one pass the last one stays.
func (d *departures) saw(pod *cluster.Pod, u cluster.PodUsage) {
	if was, ok := d.used[pod.Name]; ok && was.uid != pod.UID {
		d.gone = append(d.gone, was.PodUsage)
	}
	if d.used == nil {
		d.used = map[string]used{}
	}
	d.used[pod.Name] = used{pod.UID, u}
}

// close ends a pass: who is not among the pods that count any more is gone. What was used before oldest is forgotten.
func (d *departures) close(pods []cluster.Pod, oldest time.Time) {
	old := func(u cluster.PodUsage) bool { return u.Timestamp.Before(oldest) }
	d.gone = slices.DeleteFunc(d.gone, old)
	there := make(map[string]string, len(pods))
	for i := range pods {
		if p := &pods[i]; !p.Deleting && !p.Finished() {
			there[p.Name] = p.UID
		}
	}
	for name, u := range d.used {
		switch uid, ok := there[name]; {
		case old(u.PodUsage):
		case !ok || uid != u.uid:
			d.gone = append(d.gone, u.PodUsage)
		default:
			continue
		}
		delete(d.used, name)
	}
}

// within is what those that are gone used in the window that ends at a time, as a mean over it, by container; each is taken to have used as much at any
// moment of its own window.
func (d *departures) within(window time.Duration, end time.Time) (out []cluster.ContainerUsage) {
	for _, u := range d.gone {
		part := float64(min(u.Timestamp.Sub(end.Add(-window)), u.Window)) / float64(window)
		if part <= 0 {
			continue
		}
		for _, c := range scaled(u, part).Containers {
			out = merged(out, c)
		}
	}
	return out
}

// departed completes what is known of the pods without looks, of which usage are those that no collector tells of.
func (t *target) departed(in *policy.Input, usage []cluster.PodUsage) {
	for _, u := range usage {
		if i := slices.IndexFunc(in.Pods, func(p cluster.Pod) bool { return p.Name == u.Pod }); i >= 0 && whole(u) {
			t.left.saw(&in.Pods[i], moving(u))
		}
	}
	window := longest(in.Usage)
	t.left.close(in.Pods, in.Now.Add(-max(window, in.Policy.StableWindow())))
	in.Departed = t.left.within(window, in.Now)
	for _, h := range t.histories {
		for _, c := range h.left.within(window, in.Now) {
			in.Departed = merged(in.Departed, c)
		}
	}
}

// moving is what others may take over of what a pod used.
func moving(u cluster.PodUsage) cluster.PodUsage {
	all := u.Containers
	u.Containers = make([]cluster.ContainerUsage, len(all))
	for i, c := range all {
		u.Containers[i] = cluster.ContainerUsage{Name: c.Name, Usage: slices.DeleteFunc(slices.Clone(c.Usage), func(r cluster.Resource) bool { return !moves(r.Name) })}
	}
	return u
}

// merged adds what one container used to what all did.
func merged(all []cluster.ContainerUsage, c cluster.ContainerUsage) []cluster.ContainerUsage {
	if i := slices.IndexFunc(all, func(x cluster.ContainerUsage) bool { return x.Name == c.Name }); i >= 0 {
		all[i].Usage = added(all[i].Usage, c.Usage)
		return all
	}
	return append(all, c)
}

// added adds what is used of each resource; it may write into the first.
func added(a, b cluster.Resources) cluster.Resources {
	for _, r := range b {
		if i := slices.IndexFunc(a, func(x cluster.Resource) bool { return x.Name == r.Name }); i >= 0 {
			a[i].Milli += min(r.Milli, math.MaxInt64-a[i].Milli)
			continue
		}
		a = append(a, r)
	}
	return a
}
