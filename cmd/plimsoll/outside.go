package main

import (
	"os"
	"strings"
	"sync"
	"time"

	services "plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/collector/names"
	processes "plimsoll.dev/plimsoll/collector/process"
	"plimsoll.dev/plimsoll/internal/metric"
)

// outside knows what the cgroups alone do not tell: Plimsoll itself and replicas without a cgroup (their processes), and what the
// replicas of process services ask for (their requests) and how often they were restarted.
type outside struct {
	node     string
	names    *names.Names
	services *services.Supervisor
	began    time.Time
	pid      int

	mu       sync.Mutex // both lanes ask
	self     *metric.Entity
	replicas map[services.Key]map[string]*metric.Entity // those without a cgroup
}

// targets lists the processes to measure.
func (o *outside) targets() []processes.Target {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []processes.Target
	if !o.inContainer() {
		if o.self == nil {
			o.self = &metric.Entity{Level: metric.Container, Node: o.node, Namespace: "plimsoll", WorkloadKind: "Process", Workload: "plimsoll", Pod: "plimsoll", Container: "plimsoll", ID: "/proc/self", Runtime: "self"}
		}
		out = append(out, processes.Target{Entity: o.self, PID: o.pid, Alone: true})
	}
	known := map[services.Key]map[string]*metric.Entity{}
	o.each(func(s services.Service, r services.Replica) {
		if r.Cgroup != "" || r.PID == 0 {
			return
		}
		e := o.replicas[s.Key()][r.Name]
		if e == nil {
			e = &metric.Entity{Level: metric.Container, Node: o.node, Namespace: s.Namespace, WorkloadKind: "Service", Workload: s.Name, Pod: r.Name, Container: s.Name, ID: "/process/" + s.Namespace + "/" + s.Name + "/" + r.Name, Runtime: "process"}
		}
		if known[s.Key()] == nil {
			known[s.Key()] = map[string]*metric.Entity{}
		}
		known[s.Key()][r.Name] = e
		out = append(out, processes.Target{Entity: e, PID: r.PID, Start: r.StartTime})
	})
	o.replicas = known
	return out
}

// inContainer says whether a cgroup that is measured anyway holds this process.
func (o *outside) inContainer() bool {
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || f[2] == "/" {
			continue
		}
		if _, ok := o.names.Name(f[2]); ok && (f[1] == "" || strings.Contains(f[1], "cpu")) {
			return true
		}
	}
	return false
}

func (o *outside) each(f func(services.Service, services.Replica)) {
	if o.services == nil {
		return
	}
	for _, s := range o.services.Services() {
		rs, err := o.services.Replicas(s.Key())
		if err != nil {
			continue // it has just been removed
		}
		for _, r := range rs {
			f(s, r)
		}
	}
}

// Read gives the requests and restarts of the replicas.
func (o *outside) Read(now time.Time) ([]metric.Group, []metric.Gap) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []metric.Group
	o.each(func(s services.Service, r services.Replica) {
		e := o.replicas[s.Key()][r.Name]
		if r.Cgroup != "" {
			e, _ = o.names.Name(r.Cgroup)
		}
		if e == nil || r.PID == 0 {
			return
		}
		g := metric.Group{Entity: e, Points: []metric.Point{{ID: metric.Restarts, T: now.UnixMilli(), V: float64(r.Restarts)}}}
		if s.Requests.CPU > 0 {
			g.Points = append(g.Points, metric.Point{ID: metric.CPURequest, T: now.UnixMilli(), V: float64(s.Requests.CPU) / 1000})
		}
		if s.Requests.Memory > 0 {
			g.Points = append(g.Points, metric.Point{ID: metric.MemoryRequest, T: now.UnixMilli(), V: float64(s.Requests.Memory)})
		}
		out = append(out, g)
	})
	return out, nil
}
