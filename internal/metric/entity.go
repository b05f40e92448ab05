package metric

import (
	"fmt"
	"slices"
	"strings"
)

// Level says what kind of thing a sample is about, from the smallest to the largest.
type Level uint8

// The levels, smallest first. A sum over a level's members is a value of the next one.
const (
	Container Level = iota
	Pod             // a Kubernetes pod; on one machine a unit: a Docker container, a systemd service, a replica of a process service
	Workload        // what owns pods: a Deployment, a Compose service, a process service
	Namespace
	Node
	Pool // a group of like nodes
	Cluster
	numLevels
)

var levelNames = [numLevels]string{"container", "pod", "workload", "namespace", "node", "pool", "cluster"}

// String returns the level's name, which is also its InfluxDB measurement and its metric name prefix.
func (l Level) String() string {
	if l < numLevels {
		return levelNames[l]
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// Levels returns all levels, smallest first.
func Levels() []Level { return []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster} }

// Entity names the thing that a group of samples is about. The zero value of a field means that the
// thing has no such name: a node has no pod. Two entities with equal fields are the same thing; package identity
// says what else is.
//
// Entities travel as pointers: whoever creates one keeps handing out the same pointer for as long as
// the thing lives and its names stay, and never changes it, so that readers may use the pointer as a key.
type Entity struct {
	Level        Level
	Node         string
	Pool         string // of a pool alone: which one a node is in may change
	Namespace    string // Kubernetes namespace; on one machine the project or manager: "docker", "system", "demo"
	WorkloadKind string // "Deployment", "ProcessService", "Compose", "Unit" (systemd), ...
	Workload     string
	Pod          string
	Container    string

	// ID is the cgroup path below the mount point ("/docker/3f2a..."), "/" for a node. Empty for roll-ups.
	ID string
	// Runtime is who runs it: "docker", "podman", "containerd", "cri-o", "systemd", "process", "cgroup"; "" for roll-ups.
	Runtime string
	// Image is the container image as the runtime names it, if any.
	Image string
}

// Label is one name and value.
type Label struct{ Name, Value string }

// String names the entity for people: "container demo/web-3/web", "node n1".
func (e *Entity) String() string {
	switch e.Level {
	case Container:
		return "container " + join(e.Namespace, e.Pod, e.Container)
	case Pod:
		return "pod " + join(e.Namespace, e.Pod)
	case Workload:
		return "workload " + join(e.Namespace, e.WorkloadKind, e.Workload)
	case Namespace:
		return "namespace " + e.Namespace
	case Node:
		return "node " + e.Node
	case Pool:
		return "pool " + e.Pool
	}
	return e.Level.String()
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "/")
}
