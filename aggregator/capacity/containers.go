package capacity

import (
	"maps"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// running is a container of a workload as it runs now.
type running struct {
	replicas                                         int
	cpuRequest, cpuLimit, memoryRequest, memoryLimit *float64  // the most of any replica
	restarts                                         *int      // that were seen; nil: nobody counts them
	killed                                           int       // for memory, of those whose count began within the window
	since                                            time.Time // when the oldest began; zero: not known
	heard                                            time.Time // when the first of them was heard of here; zero: not known
}

// run takes from the live picture what runs now and is asked for.
func run(s *live.Snapshot, o *RightsizeOptions, start time.Time) map[id]*running {
	out := map[id]*running{}
	for _, it := range s.Containers {
		e := it.Entity
		if it.Gap != nil && (it.Gap.Reason == metric.GapGone || !it.Any()) || e.Container == "" {
			continue
		}
		k := idOf(e.Namespace, e.WorkloadKind, e.Workload, e.Pod, e.Container)
		if !o.wants(k) {
			continue
		}
		r := out[k]
		if r == nil {
			r = &running{}
			out[k] = r
		}
		r.replicas++
		if all, counted := it.Gauge(metric.Restarts); counted {
			n := it.Restarts
			if p := it.Parent; p != nil && p.Pod != nil && p.Pod.StartTime.After(start) { // those before the first reading were within the window, too
				n = max(n, count(all))
			}
			if r.restarts != nil {
				n += *r.restarts
			}
			r.restarts = &n
		}
		began := it.Start
		if began.IsZero() {
			began = it.First
		}
		if r.since.IsZero() || began.Before(r.since) {
			r.since = began
		}
		if r.heard.IsZero() || it.First.Before(r.heard) {
			r.heard = it.First
		}
		for _, x := range []struct {
			to **float64
			id metric.ID
		}{{&r.cpuRequest, metric.CPURequest}, {&r.cpuLimit, metric.CPULimit}, {&r.memoryRequest, metric.MemoryRequest}, {&r.memoryLimit, metric.MemoryLimit}} {
			if v := gauge(it, x.id); v != nil && *v > 0 {
				*x.to = greater(*x.to, v)
			}
		}
		if v := gauge(it, metric.OOMKills); v != nil && *v > 0 && countedFrom(it).After(start) {
			r.killed += count(*v)
		}
	}
	await(out, s, o)
	return out
}

// countedFrom is when what is counted over all lives of a container began: with its pod. Where no inventory tells that, with the container, as long as it was not
// started again.
func countedFrom(it *live.Item) time.Time {
	switch {
	case it.Parent != nil && it.Parent.Pod != nil:
		return it.Parent.Pod.StartTime
	case it.Restarts > 0:
		return time.Time{}
	}
	return it.Start
}

// await adds the containers of pods that exist and have nothing running, such as a replica between its lives, as the inventory knows them.
func await(out map[id]*running, s *live.Snapshot, o *RightsizeOptions) {
	waiting := map[id]*running{}
	for _, known := range s.Known {
		pod := known.Pod
		if pod.Deleting || pod.Finished() {
			continue
		}
		for i := range pod.Containers {
			c := &pod.Containers[i]
			k := idOf(pod.Namespace, pod.Owner.Kind, pod.Owner.Name, pod.Name, c.Name)
			if out[k] != nil || !o.wants(k) {
				continue
			}
			r := waiting[k]
			if r == nil {
				r = &running{restarts: new(int)}
				waiting[k] = r
			}
			r.replicas++
			*r.restarts += c.Restarts
			r.cpuRequest, r.cpuLimit = greater(r.cpuRequest, amountOf(c.Held(), "cpu")), greater(r.cpuLimit, amountOf(c.Limits, "cpu"))
			r.memoryRequest, r.memoryLimit = greater(r.memoryRequest, amountOf(c.Held(), "memory")), greater(r.memoryLimit, amountOf(c.Limits, "memory"))
		}
	}
	maps.Copy(out, waiting)
}

// amountOf is an amount in cores or bytes; nil where there is none.
func amountOf(all cluster.Resources, name cluster.ResourceName) *float64 {
	for i := range all {
		if v := float64(all[i].Milli) / 1000; all[i].Name == name && v > 0 {
			return &v
		}
	}
	return nil
}

// wants says whether a container is in the report.
func (o *RightsizeOptions) wants(k id) bool {
	fits := func(want, have string) bool { return want == "" || want == have }
	return fits(o.Namespace, k.namespace) && fits(o.Kind, k.kind) && fits(o.Name, k.workload)
}

// goal is the load that a container's replicas are kept at.
type goal struct{ cpu, memory *float64 }

// goalOf finds what a container's replicas are kept at.
func goalOf(scaled []cluster.Scaled, k id) goal {
	var g goal
	for i := range scaled {
		t := &scaled[i]
		if t.Namespace != k.namespace || t.Kind != k.kind || t.Name != k.workload {
			continue
		}
		for j := range t.Utilizations {
			u := &t.Utilizations[j]
			if u.Container != "" && u.Container != k.container || u.Share <= 0 {
				continue
			}
			switch u.Resource {
			case "cpu":
				g.cpu = &u.Share
			case "memory":
				g.memory = &u.Share
			}
		}
	}
	return g
}

// scaledBy returns the workloads that are kept at a load of a resource.
func scaledBy(scaled []cluster.Scaled, name cluster.ResourceName) []id {
	var out []id
	for i := range scaled {
		t := &scaled[i]
		if slices.ContainsFunc(t.Utilizations, func(u cluster.Utilization) bool { return u.Resource == name && u.Share > 0 }) {
			out = append(out, idOf(t.Namespace, t.Kind, t.Name, "", ""))
		}
	}
	return out
}
