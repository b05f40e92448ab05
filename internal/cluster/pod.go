package cluster

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Inventory knows which pods there are. It is safe for concurrent use.
type Inventory interface {
	// All returns every pod, those included that are being deleted, in a steady order; an inventory of thousands in order of namespace and
	// name, which is the live picture's.
	All() []*Pod
	// Pods returns those of one target, in a steady order. The error wraps ErrNoTarget where there is no such target,
	// ErrNotYet where it may have pods that are not known yet.
	Pods(t Target) ([]*Pod, error)
}

// Pod is one pod, or one replica of a process service. Pods that an Inventory hands out are shared: nobody changes them.
type Pod struct {
	UID             string // another pod of the same name has another one
	CgroupUID       string // the UID in the names of its cgroups where that is another one, as of a static pod; or ""
	Namespace, Name string
	// Owner is the workload that people call the pod by: the Deployment of its ReplicaSet, the CronJob of its Job, or else its controller; zero for a
	// pod of its own. What is above that is not told here.
	Owner Target
	Node  string // "" until it is scheduled
	// HostNetwork is true for a pod in the network of its node, which has no traffic of its own.
	HostNetwork bool

	Phase corev1.PodPhase
	// Ready is the status of the Ready condition, "" if the pod has none.
	Ready corev1.ConditionStatus
	// ReadyTransition is when Ready last changed; zero means long ago.
	ReadyTransition time.Time
	StartTime       time.Time // zero: unset
	Deleting        bool
	Requests        Resources // pod-level requests
	Resized         Resources // what is set aside for the pod, its overhead not included, where a resize has that differ from what it asks for; nil elsewhere
	Limits          Resources // pod-level limits
	Overhead        Resources // of running the pod, beside what its containers use
	Containers      []Container
	InitContainers  []Container
	Ephemeral       []Container // added to a running pod, to look into it
	Labels          map[string]string

	Status Status
	// Gap is a clause for people that says why there is no sample ("reader was refused (permission)"), or "".
	Gap string
	// GapSince is when the gap began; zero if not known.
	GapSince time.Time
}

// Finished says whether a pod has done what it was for, or given up, and is there by name only.
func (p *Pod) Finished() bool { return p.Phase == corev1.PodSucceeded || p.Phase == corev1.PodFailed }

// Container returns the container of a name; nil if the pod has none.
func (p *Pod) Container(name string) *Container {
	for _, list := range [...][]Container{p.Containers, p.InitContainers, p.Ephemeral} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// Node is one machine of a cluster. Nodes that an inventory hands out are shared: nobody changes them.
type Node struct {
	UID, Name             string
	Pool                  string // the group of like nodes that it is of, or ""
	Labels                map[string]string
	Capacity, Allocatable Resources
	MaxPods               int // 0: not known
	Unschedulable         bool
	// Ready is the status of the Ready condition, "" if the node has none.
	Ready           corev1.ConditionStatus
	ReadyTransition time.Time
	Pressure        []string        // the other conditions that are true: MemoryPressure, DiskPressure, ...
	Conditions      []NodeCondition // all of them, as the cluster has them
	Since           time.Time       // when it was made known
	Addresses       []Address
	KubeletPort     int    // 0: not known
	MetricsPath     string // where its kubelet serves /metrics/resource, if elsewhere
}

// NodeCondition is one thing that the cluster says of how a node is.
type NodeCondition struct {
	Type, Status    string    // "Ready", "MemoryPressure"; "True", "False", "Unknown"
	Reason, Message string    // of whoever says it
	Since           time.Time // when the status last changed; zero if not known
}

// Lasting are the containers that run for as long as the pod does: its own and its sidecars.
func (p *Pod) Lasting() iter.Seq[*Container] {
	return func(yield func(*Container) bool) {
		for i := range p.Containers {
			if !yield(&p.Containers[i]) {
				return
			}
		}
		for i := range p.InitContainers {
			if p.InitContainers[i].Always && !yield(&p.InitContainers[i]) {
				return
			}
		}
	}
}

// Held is what the scheduler sets aside of a resource for as long as the pod is there: what it asks for, or has while a resize is not done where that is
// more. ok is false where nothing asks for any.
func (p *Pod) Held(name corev1.ResourceName) (held Milli, ok bool) {
	if v, resized := p.Resized.Get(name); resized {
		overhead, _ := p.Overhead.Get(name)
		return v.Plus(overhead), true
	}
	return p.Asks(name)
}

// Asks is what the specification asks for of a resource: the pod itself, else its lasting containers together, or an init container with the sidecars
// before it where that is more; and the pod's overhead. ok is false where nothing asks for any.
func (p *Pod) Asks(name corev1.ResourceName) (asks Milli, ok bool) {
	overhead, ok := p.Overhead.Get(name)
	if PodLevel(name) {
		if v, own := p.Requests.Get(name); own {
			return v.Plus(overhead), true
		}
	}
	asked := func(c *Container) Milli {
		v, has := c.Requests.Get(name)
		ok = ok || has
		return v
	}
	for c := range p.Lasting() {
		asks = asks.Plus(asked(c))
	}
	var sidecars Milli
	for i := range p.InitContainers {
		during := sidecars.Plus(asked(&p.InitContainers[i]))
		if asks = max(asks, during); p.InitContainers[i].Always {
			sidecars = during
		}
	}
	return asks.Plus(overhead), ok
}

// HeldApart is what is Held of some resources, where that may be another amount than the lasting containers' sum.
func (p *Pod) HeldApart(names ...corev1.ResourceName) (out Resources) {
	for _, name := range names {
		if p.apart(name) {
			held, _ := p.Held(name)
			out = append(out, Resource{Name: name, Milli: held})
		}
	}
	return out
}

// apart says whether Held may be another amount than the lasting containers' sum, by what does not change in the pod's life.
func (p *Pod) apart(name corev1.ResourceName) bool {
	_, own := p.Requests.Get(name)
	_, costs := p.Overhead.Get(name)
	return own || costs || slices.ContainsFunc(p.InitContainers, func(c Container) bool {
		v, _ := c.Requests.Get(name)
		return !c.Always && v > 0
	})
}

// PodLevel says whether Kubernetes knows a resource at the level of the pod.
func PodLevel(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// Address is one address of a node; its type is InternalIP, Hostname and so on.
type Address struct{ Type, Address string }

// Status is how a pod is doing, in the words that people see.
type Status struct {
	State  string // starting, ready, draining, backing-off, dead; in Kubernetes what kubectl shows as STATUS
	Since  time.Time
	Detail string // a clause for people, or ""
}

// Container is one container of a pod.
type Container struct {
	Name string
	// Always is true for an init container with restartPolicy Always (a sidecar).
	Always    bool
	Done      bool      // it has ended and is not started again
	Requests  Resources // what it asks for, by its specification
	Limits    Resources // those in force
	Resized   Resources // what is set aside for it where a resize has that differ from Requests; nil elsewhere
	ID, Image string    // the runtime's id and the image, "" where it has none or they are not known
	Restarts  int       // as whoever runs it counts them
	Waiting   string    // why it does not run and will, "CrashLoopBackOff"; "" otherwise
	Ended     string    // how it has ended, where it will be started again and nobody has said yet that it waits for that, "Error"; "" otherwise
	Kills     []Kill    // of its main process for want of memory, as far as lives were told of and are not long past, the newest last
	Cgroup    string    // path below the mount point; "" where it has none or it is not known
	PID       int       // of its first process, where it has no cgroup; 0 if it does not run
	// Started is when that process was started; it tells it from a later one of the same number.
	Started time.Time
	Began   time.Time // when its newest life began that has ended, where it does not run; zero otherwise
}

// Held is what is set aside for the container.
func (c *Container) Held() Resources {
	if c.Resized != nil {
		return c.Resized
	}
	return c.Requests
}

// Kill is the end of a life of a container by the kernel, which killed its main process for want of memory.
type Kill struct {
	Life string // the runtime's id of the container in that life; "" where it is the same in all lives
	At   time.Time
}

// MostKills is how many kills are kept of one container.
const MostKills = 10

// EachKill goes through the kills of several things.
func EachKill[E comparable](of map[E][]Kill) iter.Seq2[E, Kill] {
	return func(yield func(E, Kill) bool) {
		for e, kills := range of {
			for _, k := range kills {
				if !yield(e, k) {
					return
				}
			}
		}
	}
}

// With are the kills that were known of a container, and those that are told now and are not among them. Neither is changed.
func With(known, told []Kill) []Kill {
	out := known
	for _, k := range told {
		if !slices.ContainsFunc(known, func(x Kill) bool { return x.Life == k.Life && x.At.Equal(k.At) }) {
			out = append(slices.Clip(out), k)
		}
	}
	return out[max(0, len(out)-MostKills):]
}

// Rests says why a container does not run and will, or how its last life ended; "" where it runs, or will not again.
func (c *Container) Rests() string { return cmp.Or(c.Waiting, c.Ended) }

// Begins says whether a container has not run yet and is about to, as all are that start.
func (c *Container) Begins() bool { return c.ID == "" && Begins(c.Waiting) }

// Begins says whether a state is one that everything goes through that starts.
func Begins(state string) bool {
	return state == "" || state == "Pending" || state == "ContainerCreating" || state == "PodInitializing"
}

// PodUsage is one sample: what a pod's containers used over a window that ended at a time.
type PodUsage struct {
	Pod string
	// Timestamp is the time of the newest sample: of the container whose newest sample is oldest.
	Timestamp time.Time
	// Window is the time that the sample really covers, for that container.
	Window     time.Duration
	Containers []ContainerUsage // by name
	Source     string           // who tells of it, where it is not a collector: "kubelet", "metrics.k8s.io"
}

// ContainerUsage is what one container used.
type ContainerUsage struct {
	Name  string
	Usage Resources // without what is not known of it: the pod lacks that part
}
