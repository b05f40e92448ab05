package collector

import (
	"path"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/collector/process"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Namer names cgroups by their path below the mount point.
type Namer interface {
	Name(path string) (*metric.Entity, bool)
	// Waits says whether a cgroup that has no name yet is measured as soon as it has one.
	Waits(path string) bool
}

// Pods tells what an inventory knows and the cgroups alone do not: what containers ask for and how often they were restarted,
// and which processes to measure: Plimsoll's own and those of containers without a cgroup.
type Pods struct {
	node      string
	names     Namer
	inventory cluster.Inventory // nil: there is none
	pid       int
	self      *metric.Entity

	mu   sync.Mutex                 // both lanes ask
	bare map[bareKey]*metric.Entity // containers without a cgroup

	where func() string // the cgroup that holds this process, where it is called otherwise in here than on the machine; "" if not
}

// bareKey names a container of one pod for as long as that pod lives.
type bareKey struct{ uid, container string }

// NewPods makes a Pods for the process pid of the machine h called node, which is shown in the namespace space; inventory may be nil.
func NewPods(node, space string, h host.Host, pid int, names Namer, inventory cluster.Inventory) *Pods {
	return &Pods{node: node, pid: pid, names: names, inventory: inventory, where: sync.OnceValue(func() string { return h.Holder(pid, cgroup.Mounts(h)) }),
		self: &metric.Entity{Level: metric.Container, Node: node, Namespace: space, WorkloadKind: "Process", Workload: "plimsoll", Pod: "plimsoll", Container: "plimsoll", ID: "/proc/self", Runtime: "self"}}
}

// each calls f for every container that runs.
func (p *Pods) each(f func(*cluster.Pod, *cluster.Container)) {
	if p.inventory == nil {
		return
	}
	for _, pod := range p.inventory.All() {
		for i := range pod.Containers {
			if c := &pod.Containers[i]; c.PID != 0 {
				f(pod, c)
			}
		}
	}
}

// Processes lists the processes to measure.
func (p *Pods) Processes() []process.Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []process.Target
	if !p.inContainer() {
		out = append(out, process.Target{Entity: p.self, PID: p.pid, Alone: true})
	}
	known := map[bareKey]*metric.Entity{}
	p.each(func(pod *cluster.Pod, c *cluster.Container) {
		if c.Cgroup != "" {
			return
		}
		k := bareKey{pod.UID, c.Name}
		e := p.bare[k]
		if e == nil {
			e = &metric.Entity{Level: metric.Container, Node: p.node, Namespace: pod.Namespace, WorkloadKind: pod.Owner.Kind, Workload: pod.Owner.Name, Pod: pod.Name, Container: c.Name,
				ID: "/process/" + pod.Namespace + "/" + pod.Owner.Name + "/" + pod.Name, Runtime: "process"}
		}
		known[k] = e
		out = append(out, process.Target{Entity: e, PID: c.PID, Start: c.Started})
	})
	p.bare = known
	return out
}

// inContainer says whether a cgroup that is measured anyway holds this process.
func (p *Pods) inContainer() bool {
	self, err := procfs.NewProc(p.pid)
	if err != nil {
		return false
	}
	all, err := self.Cgroups()
	if err != nil {
		return false
	}
	if slices.ContainsFunc(all, p.measured) {
		return true
	}
	return p.named(p.where())
}

// named says whether a cgroup, or one that it is part of, is measured, or will be once its name is known.
func (p *Pods) named(of string) bool {
	for ; len(of) > 1; of = path.Dir(of) {
		if _, ok := p.names.Name(of); ok || p.names.Waits(of) {
			return true
		}
	}
	return false
}

// measured says whether a cgroup is measured and CPU time is accounted in it: on version 1 a process has one of each hierarchy.
func (p *Pods) measured(c procfs.Cgroup) bool {
	cpu := len(c.Controllers) == 0 || slices.Contains(c.Controllers, "cpu") || slices.Contains(c.Controllers, "cpuacct")
	return cpu && p.named(c.Path)
}

// Read implements Extra: it gives the requests and restarts of the containers.
func (p *Pods) Read(now time.Time) ([]metric.Group, []metric.Gap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []metric.Group
	p.each(func(pod *cluster.Pod, c *cluster.Container) {
		e := p.bare[bareKey{pod.UID, c.Name}]
		if c.Cgroup != "" {
			e, _ = p.names.Name(c.Cgroup)
		}
		if e == nil {
			return
		}
		g := metric.Group{Entity: e, Points: []metric.Point{{ID: metric.Restarts, T: now.UnixMilli(), V: float64(c.Restarts)}}}
		for name, id := range map[cluster.ResourceName]metric.ID{"cpu": metric.CPURequest, "memory": metric.MemoryRequest} {
			if amount, ok := c.Requests.Get(name); ok { // of no other resource is there a row
				g.Points = append(g.Points, metric.Point{ID: id, T: now.UnixMilli(), V: amount.Float()})
			}
		}
		out = append(out, g)
	})
	return out, nil
}
