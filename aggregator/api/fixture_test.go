package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// noon is the moment of the fixture.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// val is one value of the fixture: a gauge, or a counter with its rate.
type val struct {
	id   metric.ID
	sub  string
	v    float64
	rate float64
}

func item(e metric.Entity, vals ...val) *live.Item {
	it := &live.Item{Entity: &e, Start: noon.Add(-time.Hour), First: noon.Add(-time.Hour)}
	for _, v := range vals {
		x := live.Value{ID: v.id, Sub: v.sub, T: noon.Add(-200 * time.Millisecond), V: v.v}
		if metric.Get(v.id).Kind == metric.Counter {
			x.Rate, x.Window = v.rate, time.Second
		}
		it.Values = append(it.Values, x)
	}
	slices.SortStableFunc(it.Values, func(a, b live.Value) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Sub, b.Sub)) })
	return it
}

func container(ns, kind, workload, name, runtime, id string, vals ...val) *live.Item {
	return item(metric.Entity{Level: metric.Container, Node: "n1", Namespace: ns, WorkloadKind: kind, Workload: workload,
		Pod: name, Container: name, Runtime: runtime, ID: id}, vals...)
}

// snapshotOf rolls containers up as package live does, as far as these tests look.
func snapshotOf(nodes, containers []*live.Item) *live.Snapshot {
	s := &live.Snapshot{Time: noon, Nodes: nodes, Containers: containers, Cluster: item(metric.Entity{Level: metric.Cluster})}
	pods, workloads := map[string]*live.Item{}, map[string]*live.Item{}
	for _, c := range containers {
		e := c.Entity
		wk := e.Namespace + "\x00" + e.WorkloadKind + "\x00" + e.Workload
		w := workloads[wk]
		if w == nil {
			w = item(metric.Entity{Level: metric.Workload, Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload},
				val{metric.CPUUsage, "", 0, 0}, val{metric.MemoryWorkingSet, "", 0, 0})
			workloads[wk] = w
			s.Workloads = append(s.Workloads, w)
		}
		pk := wk + "\x00" + e.Pod
		p := pods[pk]
		if p == nil {
			p = item(metric.Entity{Level: metric.Pod, Namespace: e.Namespace, WorkloadKind: e.WorkloadKind, Workload: e.Workload, Pod: e.Pod})
			p.Parent, pods[pk] = w, p
			p.Entity.Node = e.Node
			w.Items = append(w.Items, p)
			s.Pods = append(s.Pods, p)
		}
		c.Parent, p.Items = p, append(p.Items, c)
		cpu, _ := c.Rate(metric.CPUUsage)
		ws, _ := c.Gauge(metric.MemoryWorkingSet)
		w.Values[0].Rate += cpu
		w.Values[1].V += ws
		if len(p.Items) == 1 && c.Gap == nil { // of one container
			p.Values = c.Values
		}
		if c.Gap != nil {
			w.Gap = &cluster.Gap{Since: c.Gap.Since, Reason: "member", Detail: c.Entity.String()}
		}
	}
	for _, w := range s.Workloads {
		if !slices.ContainsFunc(w.Items, func(p *live.Item) bool {
			return slices.ContainsFunc(p.Items, func(c *live.Item) bool { return len(c.Values) > 0 })
		}) {
			w.Values = nil
		}
	}
	slices.SortFunc(s.Workloads, func(a, b *live.Item) int {
		x, y := a.Entity, b.Entity
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.WorkloadKind, y.WorkloadKind), cmp.Compare(x.Workload, y.Workload))
	})
	return s
}

const mib = 1 << 20

// machine is the fixture: one node with something of everything.
func machine() *live.Snapshot {
	node := item(metric.Entity{Level: metric.Node, Node: "n1", ID: "/"},
		val{metric.CPUCapacity, "", 2, 0}, val{metric.MemoryCapacity, "", 8192 * mib, 0},
		val{metric.CPUUsage, "", 90000, 1.4200004}, val{metric.MemoryWorkingSet, "", 3100 * mib, 0},
		val{metric.MemorySwap, "", 0, 0}, val{metric.LoadAverage1m, "", 1.7, 0},
		val{metric.CPUWaiting, "", 500, .074}, val{metric.MemoryWaiting, "", 1, 0}, val{metric.IOWaiting, "", 10, .003},
		val{metric.DiskRead, "sda", 1e9, 0}, val{metric.DiskWrite, "sda", 1e9, 3.2e6},
		val{metric.NetworkReceive, "eth0", 1e9, 61e4}, val{metric.NetworkReceive, "lo", 1e9, 5e6}, val{metric.NetworkReceive, "veth12ab", 1e9, 3e5},
		val{metric.NetworkTransmit, "eth0", 1e9, 23e4}, val{metric.NetworkReceiveDropped, "eth0", 3, 0},
		val{metric.FilesystemLimit, "/dev/vda1", 100e9, 0}, val{metric.FilesystemAvailable, "/dev/vda1", 80e9, 0},
		val{metric.FilesystemLimit, "/dev/vdb", 50e9, 0}, val{metric.FilesystemUsage, "/dev/vdb", 45e9, 0},
		val{metric.FilesystemLimit, "/dev/loop0", 1e6, 0}, val{metric.FilesystemAvailable, "/dev/loop0", 0, 0},
		val{metric.FilesystemLimit, "/run", 1e9, 0}, val{metric.FilesystemAvailable, "/run", 1e6, 0})
	web := func(n string, cpu, ws, throttled float64) *live.Item {
		return container("demo", "ProcessService", "web", "web-"+n, "process", "/plimsoll/demo/web-"+n,
			val{metric.CPUUsage, "", 100, cpu}, val{metric.CPULimit, "", 1, 0}, val{metric.CPURequest, "", .25, 0},
			val{metric.MemoryWorkingSet, "", ws * mib, 0}, val{metric.MemoryLimit, "", 64 * mib, 0},
			val{metric.CPUPeriods, "", 1000, 10}, val{metric.CPUThrottledPeriods, "", 100, 10 * throttled},
			val{metric.OOMKills, "", 0, 0}, val{metric.Processes, "", 1, 0})
	}
	pg := container("docker", "Docker", "postgres", "postgres", "docker", "/docker/3f2a",
		val{metric.CPUUsage, "", 40, .34}, val{metric.MemoryWorkingSet, "", 1212 * mib, 0}, val{metric.MemoryLimit, "", 2048 * mib, 0},
		val{metric.CPUWaiting, "", 4, .01}, val{metric.NetworkReceive, "eth0", 1e6, 1000}, val{metric.DiskWrite, "sda", 1e6, 4096.4})
	pg.Entity.Image = "postgres:16"
	batch := container("cgroup", "Cgroup", "batch", "batch", "cgroup", "/my/batch")
	batch.Gap = &cluster.Gap{Since: noon.Add(-12 * time.Second), Reason: "permission", Detail: "reader was refused (permission)"}
	batch.Start = time.Time{}
	s := snapshotOf([]*live.Item{node}, []*live.Item{
		batch,
		web("1", .88, 49, .27), web("2", .81, 50, .24), web("3", .94, 60, .31),
		pg,
		container("shop", "Compose", "cart", "shop-cart-1", "docker", "/docker/77aa", val{metric.CPUUsage, "", 1, .11}, val{metric.MemoryWorkingSet, "", 38 * mib, 0}),
		container("system", "Unit", "plimsoll", "plimsoll", "self", "/plimsoll", val{metric.CPUUsage, "", 4, .04}, val{metric.MemoryWorkingSet, "", 96 * mib, 0}),
		container("system", "Unit", "ssh.service", "ssh.service", "systemd", "/system.slice/ssh.service", val{metric.CPUUsage, "", 1, .02}, val{metric.MemoryWorkingSet, "", 14 * mib, 0}),
	})
	hour := noon.Add(-time.Hour)
	late := replica("web-4", noon.Add(-30*time.Second), 2)
	late.Ready, late.Status = "False", cluster.Status{State: "backing-off", Since: noon.Add(-8 * time.Second), Detail: "exit status 1; started again in 12 s"}
	late.Gap, late.GapSince = late.Status.Detail, late.Status.Since
	know(s, replica("web-1", hour, 0), replica("web-2", hour, 1), replica("web-3", hour, 0), late)
	return s
}

// pictures is a Pictures of a function.
type pictures func(now time.Time) *live.Snapshot

func (f pictures) Snapshot(now time.Time) *live.Snapshot { return f(now) }

// log is a decision log in memory; its owner does not write while others read.
type log func(q store.DecisionQuery) ([]cluster.Decision, error)

func (f log) Decisions(_ context.Context, q store.DecisionQuery) ([]cluster.Decision, error) {
	return f(q)
}

// entries answers queries from a list, newest first, as a store does.
func entries(list ...cluster.Decision) log {
	return func(q store.DecisionQuery) ([]cluster.Decision, error) { return choose(list, q), nil }
}

func choose(list []cluster.Decision, q store.DecisionQuery) []cluster.Decision {
	var out []cluster.Decision
	for _, d := range list {
		switch {
		case q.Namespace != "" && q.Namespace != d.Namespace, q.Kind != "" && q.Kind != d.Kind, q.Name != "" && q.Name != d.Name:
		case q.APIVersion != "" && q.Group() != d.Group():
		case len(q.Actions) > 0 && !slices.Contains(q.Actions, d.Action):
		case d.Time.Before(q.Start), d.Time.After(q.End):
		default:
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b cluster.Decision) int { return b.Time.Compare(a.Time) })
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out
}

// scaled is an autoscaler that looks after these.
func scaled(s ...cluster.Scaled) func(time.Time) []cluster.Scaled {
	return func(time.Time) []cluster.Scaled { return s }
}

func ptr[T any](v T) *T { return &v }

func webScaled() cluster.Scaled {
	return cluster.Scaled{Target: cluster.Target{APIVersion: cluster.APIVersion, Kind: cluster.ProcessService, Namespace: "demo", Name: "web"}, Mode: "Auto", Min: ptr(int32(2)), Max: ptr(int32(10)), Replicas: 3, Ready: 3, Desired: 5,
		Metrics: []cluster.Load{{Name: "cpu", Type: "Resource", Load: ptr(1.04), Target: ptr(.7), Of: "250m CPU", Noise: ptr(.06), Window: 3}},
		Last:    ptr(grow()), Change: ptr(grow()),
		Policy: "minReplicas: 2\nmaxReplicas: 10\n", Updated: ptr(noon)}
}

// replica is a pod of demo/web.
func replica(name string, since time.Time, restarts int) *cluster.Pod {
	return &cluster.Pod{Namespace: "demo", Name: name, Node: "n1", Owner: webScaled().Target, Phase: "Running", Ready: "True",
		Status: cluster.Status{State: "ready", Since: since}, Containers: []cluster.Container{{Name: name, Restarts: restarts, Started: since}}}
}

// know lets the inventory know pods, after the snapshot's own.
func know(s *live.Snapshot, pods ...*cluster.Pod) {
	for _, pod := range pods {
		k := live.Known{Pod: pod}
		for _, it := range s.Pods {
			if it.Entity.Namespace == pod.Namespace && it.Entity.Pod == pod.Name {
				it.Pod, k.Item = pod, it
			}
		}
		s.Known = append(s.Known, k)
	}
}

func grow() cluster.Decision {
	return cluster.Decision{Time: noon.Add(-2 * time.Second), Target: cluster.Target{APIVersion: cluster.APIVersion, Kind: cluster.ProcessService, Namespace: "demo", Name: "web"}, Action: "Up", From: 3, To: 5,
		Reason: "CPUAboveTarget", Message: "Load stood at 104 % of request for 3 s, clear of its noise (±6 %); 5 replicas bring it to 70 %.",
		Detail: []byte(`{"schema":"plimsoll.dev/decision/v1","action":"Up"}`)}
}

func hold(at time.Time) cluster.Decision {
	return cluster.Decision{Time: at, Target: cluster.Target{APIVersion: cluster.APIVersion, Kind: cluster.ProcessService, Namespace: "demo", Name: "web"}, Action: "Hold", From: 3, To: 3,
		Reason: "WithinTolerance", Message: "Load at 71 % of request, within 10 % of its line at 70 %."}
}
