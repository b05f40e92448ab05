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
}

// shortID is the length to which Docker and podman shorten ids for people.
const shortID = 12

func short(id string) string {
	if len(id) > shortID && hex64(id) {
		return id[:shortID]
	}
	return clip(id)
}

// entity makes the entity of a place. in is what its runtime told, if known.
func entity(node, path string, pl place, in info, known bool) *metric.Entity {
	e := &metric.Entity{Level: metric.Container, Node: node, ID: path, Runtime: pl.runtime}
	switch pl.kind {
	case machine:
		return &metric.Entity{Level: metric.Node, Node: node, ID: "/"}
	case docker, podman, containerd, crio:
		fromRuntime(e, pl, in, known)
	case pod:
		e.Namespace, e.WorkloadKind = "kubernetes", "Pod"
		e.Workload, e.Pod, e.Container = pl.podUID, pl.podUID, short(pl.id)
	case unit:
		e.Namespace, e.WorkloadKind = "system", "Unit"
		if pl.space != "" {
			e.Namespace = pl.space
		}
		e.Workload, e.Pod, e.Container = pl.name, pl.name, pl.name
	case replica:
		e.Namespace, e.WorkloadKind = clip(pl.space), cluster.ProcessService
		e.Workload, e.Pod, e.Container = clip(pl.service), clip(pl.name), clip(pl.service)
	case plain:
		e.Namespace, e.WorkloadKind = "cgroup", "Cgroup"
		e.Pod, e.Container = clip(strings.TrimPrefix(path, "/")), clip(pl.name)
		e.Workload = e.Pod
		if pl.parent != "" {
			e.Workload = clip(pl.parent)
		}
	}
	return e
}

// workloadKind is the kind of workload of a container that belongs to no Compose project.
func workloadKind(runtime string) string {
	switch runtime {
	case "docker":
		return "Docker"
	case "podman":
		return "Podman"
	case "cri-o":
		return "CRI-O"
	}
	return "Containerd"
}

// fromRuntime names a container of a runtime outside Kubernetes.
func fromRuntime(e *metric.Entity, pl place, in info, known bool) {
	name := short(pl.id)
	if known && in.name != "" {
		name = in.name
	}
	e.Namespace, e.WorkloadKind, e.Workload = pl.runtime, workloadKind(pl.runtime), name
	if pl.space != "" {
		e.Namespace = clip(pl.space)
	}
	e.Pod, e.Container, e.Image = name, name, in.image
	if known && in.project != "" {
		e.Namespace = in.project
		if in.service != "" {
			e.WorkloadKind, e.Workload = "Compose", in.service
		}
	}
}
