package names

import (
	"strings"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// info is what a runtime tells about a container; only what is shown is kept.
type info struct {
	name    string
	image   string
	project string // Compose project
	service string // Compose service
	lives   bool   // it runs, or is about to again; told by lists alone
}

// shortID is the length to which Docker and podman shorten ids for people.
const shortID = 12

// entity makes the entity of a place. in is what its runtime told, if known.
func entity(node, path string, pl place, in info) *metric.Entity {
	e := &metric.Entity{Level: metric.Container, Node: node, ID: path, Runtime: pl.runtime}
	switch pl.kind {
	case machine:
		return &metric.Entity{Level: metric.Node, Node: node, ID: "/"}
	case docker, podman, containerd, crio:
		fromRuntime(e, pl, in)
	case pod:
		e.Namespace, e.WorkloadKind = "kubernetes", "Pod"
		e.Workload, e.Pod, e.Container = pl.podUID, pl.podUID, pl.id[:shortID]
	case unit:
		e.Namespace, e.WorkloadKind = pl.space, "Unit"
		e.Pod, e.Container = distinct(pl.name), distinct(pl.base)
		e.Workload = e.Pod
	case replica:
		e.Namespace, e.WorkloadKind = pl.space, cluster.ProcessService
		e.Workload, e.Pod, e.Container = distinct(pl.service), distinct(pl.name), distinct(pl.base)
	case plain:
		e.Namespace, e.WorkloadKind = "cgroup", "Cgroup"
		e.Pod, e.Container = distinct(pl.name), distinct(pl.base)
		e.Workload = e.Pod
		if pl.parent != "" {
			e.Workload = distinct(pl.parent)
		}
	}
	return e
}

// ofPod makes the entity of a container that an inventory knows.
func ofPod(node, path, runtime string, p *cluster.Pod, c *cluster.Container) *metric.Entity {
	return &metric.Entity{Level: metric.Container, Node: node, ID: path, Runtime: runtime, Namespace: p.Namespace,
		WorkloadKind: distinct(p.Owner.Kind), Workload: distinct(p.Owner.Name), Pod: p.Name, Container: c.Name, Image: clip(c.Image)}
}

// workloadKinds are the kinds of workload of containers that belong to no Compose project, by their runtime.
var workloadKinds = map[string]string{"docker": "Docker", "podman": "Podman", "containerd": "Containerd", "cri-o": "CRI-O"}

// fromRuntime names a container of a runtime outside Kubernetes. Names are unique in one runtime of one user only, and a project may be
// called as anybody likes: what is not of Docker's one daemon, or would be taken for something else, says whose it is.
func fromRuntime(e *metric.Entity, pl place, in info) {
	name, daemon := distinct(pl.name), pl.runtime
	switch {
	case in.name != "":
		name = in.name
	case name == "":
		name = pl.id[:shortID]
	}
	if pl.owner != "" {
		daemon += "@" + pl.owner
	}
	e.Namespace, e.WorkloadKind, e.Workload = daemon, workloadKinds[pl.runtime], name
	if pl.space != "" {
		e.Namespace = clip(pl.space)
		if reserved(e.Namespace) && !containerdSpace(e.Namespace) {
			e.Namespace += "@" + daemon
		}
	}
	e.Pod, e.Container, e.Image = name, name, in.image
	if in.project == "" {
		return
	}
	e.Namespace = in.project
	if daemon != "docker" || reserved(in.project) {
		e.Namespace += "@" + daemon
	}
	if in.service != "" {
		e.WorkloadKind, e.Workload = "Compose", in.service
	}
}

// reserved says whether a namespace has a meaning of its own, so that no project may be called so.
func reserved(ns string) bool {
	switch ns {
	case "system", "cgroup", "kubernetes", "plimsoll", "docker", "podman", "containerd", "cri-o", "default", "k8s.io", "moby":
		return true
	}
	for _, prefix := range []string{userPrefix, ownPrefix} {
		if id, ok := strings.CutPrefix(ns, prefix); ok && digits(id) {
			return true
		}
	}
	return strings.Contains(ns, "@")
}
