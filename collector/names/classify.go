package names

import (
	"path"
	"strings"
)

// kind says what a cgroup path is.
type kind uint8

const (
	group      kind = iota // only groups others (a slice, /docker), or is part of a container above it: not measured
	docker                 // a container of Docker
	podman                 // a container of podman
	containerd             // a container of containerd outside Kubernetes
	crio                   // a container of CRI-O outside Kubernetes
	pod                    // a container of a Kubernetes pod
	unit                   // a systemd unit
	replica                // a replica of a process service
	plain                  // any other cgroup, a container if it has no child cgroups
	machine                // the root: the node itself
)

// place is what a path says about its cgroup.
type place struct {
	kind    kind
	runtime string // who runs it, as in metric.Entity
	id      string // container id, complete
	podUID  string // of a pod's container
	space   string // the containerd namespace; of a unit "system" or its user's; of another Plimsoll's replica its folder
	owner   string // of a container: the user whose runtime it is, "user-1000"; "" for the machine's
	name    string // of a unit and of a plain cgroup: the name that no other has; of a replica its name in space
	base    string // the last part of the path
	parent  string // of a plain cgroup: the path above it without the leading slash
	service string // of another Plimsoll's replica: namespace and service
}

// classify says what the cgroup at a path below the mount point is. The outermost container wins: a cgroup
// below a container is part of that container and is not measured by itself, else sums would count it
// twice. A systemd user manager (user@1000.service) is a group, since its units are containers.
func classify(p string) place {
	p = path.Clean("/" + p)
	if p == "/" {
		return place{kind: machine}
	}
	parts := strings.Split(p[1:], "/")
	if pl, ok := asReplica(parts); ok {
		return pl
	}
	s := scan{parts: parts}
	last := place{}
	for i := range parts {
		last = s.next(i)
		if last.kind != group && last.kind != plain {
			if i < len(parts)-1 {
				return place{} // part of the container above
			}
			break
		}
		if s.closed {
			return place{}
		}
	}
	last.base = parts[len(parts)-1]
	last.owner, _ = userOf(parts)
	switch last.kind {
	case unit:
		last.space, last.name = unitName(parts)
	case plain:
		last.name, last.parent = p[1:], strings.Join(parts[:len(parts)-1], "/")
	}
	return last
}

// ownPrefix begins the folder of a Plimsoll's replicas, which ends in its process id.
const ownPrefix = "plimsoll-"

// asReplica recognises /plimsoll-<pid>/<namespace>/<service>/<replica>, as another Plimsoll names its cgroups. What lies above and below
// belongs to no one. Whether it is a replica of ours the inventory knows.
func asReplica(parts []string) (place, bool) {
	pid, ok := strings.CutPrefix(parts[0], ownPrefix)
	switch {
	case !ok || !digits(pid):
		return place{}, false
	case len(parts) != 4:
		return place{}, true
	}
	return place{kind: replica, runtime: "process", space: parts[0], service: parts[1] + "/" + parts[2], name: strings.Join(parts[1:], "/"), base: parts[2]}, true
}

// scan walks down a path, remembering what it has passed.
type scan struct {
	parts  []string
	podUID string
	inKube bool
	closed bool // nothing below here is a container
}

// next looks at one component.
func (s *scan) next(i int) place {
	c := s.parts[i]
	if pl, ok := s.inPod(c); ok {
		return pl
	}
	if pl, ok := byName(c); ok {
		s.closed = pl.kind == group
		return pl
	}
	if pl, ok := s.byUnit(c); ok {
		return pl
	}
	if hex64(c) {
		return s.bareID(i)
	}
	if i == 1 && containerdSpace(s.parts[0]) {
		return place{kind: containerd, runtime: "containerd", space: s.parts[0], name: c}
	}
	if c == "docker" || c == "libpod_parent" || i == 0 && containerdSpace(c) { // only groups, even when nothing is in it
		return place{}
	}
	return place{kind: plain, runtime: "cgroup"}
}

// inPod recognises Kubernetes' tree, of the cgroupfs and of the systemd driver, at any depth (kind and
// nested clusters put it below other groups).
func (s *scan) inPod(c string) (place, bool) {
	if s.podUID != "" {
		id, runtime := splitID(c)
		if id == "" {
			s.closed = true
			return place{}, true
		}
		if runtime == "" {
			runtime = "containerd"
		}
		return place{kind: pod, runtime: runtime, id: id, podUID: s.podUID}, true
	}
	if c == "kubepods" || c == "kubepods.slice" || strings.HasSuffix(c, "-kubepods.slice") {
		s.inKube = true
		return place{}, true
	}
	if !s.inKube {
		return place{}, false
	}
	if uid := podUID(c); uid != "" {
		s.podUID = uid
	}
	return place{}, true
}

// byUnit recognises systemd's units.
func (s *scan) byUnit(c string) (place, bool) {
	switch {
	case strings.HasSuffix(c, ".slice"), strings.HasPrefix(c, "user@") && strings.HasSuffix(c, ".service"):
		return place{}, true
	case strings.HasSuffix(c, ".service"), strings.HasSuffix(c, ".scope"):
		return place{kind: unit, runtime: "systemd"}, true
	case strings.HasSuffix(c, ".mount"), strings.HasSuffix(c, ".swap"), strings.HasSuffix(c, ".socket"):
		s.closed = true
		return place{}, true
	}
	return place{}, false
}

// bareID says whose container a component of 64 hexadecimal digits is.
func (s *scan) bareID(i int) place {
	pl := place{kind: containerd, runtime: "containerd", id: s.parts[i]}
	if i == 0 {
		return pl
	}
	switch above := s.parts[i-1]; {
	case above == "docker":
		pl.kind, pl.runtime = docker, "docker"
	case above == "libpod_parent":
		pl.kind, pl.runtime = podman, "podman"
	case i == 1:
		pl.space = above
	}
	return pl
}

// containerdSpace says that a top-level cgroup is one of containerd's usual namespaces.
func containerdSpace(c string) bool { return c == "default" || c == "k8s.io" || c == "moby" }
