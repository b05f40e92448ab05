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
	replica                // a replica of one of Plimsoll's process services
	plain                  // any other cgroup, a container if it has no child cgroups
	machine                // the root: the node itself
)

// place is what a path says about its cgroup.
type place struct {
	kind    kind
	runtime string // who runs it, as in metric.Entity
	id      string // container id, complete
	podUID  string // of a pod's container
	// space is the containerd namespace, the namespace of a process service, or "user" of a user's unit.
	space   string
	service string // of a process service
	name    string // unit or replica name; base name of a plain cgroup
	parent  string // of a plain cgroup: the path above it without the leading slash
	owner   string // of a process service: the folder of the Plimsoll that runs it, "plimsoll-<pid>"
}

// classify says what the cgroup at a path below the mount point is. The outermost container wins: a cgroup
// below a container is part of that container and is not measured by itself, else sums would count it
// twice. A systemd user manager (user@1000.service) is a group, since its units are containers; and a
// replica of a process service is one wherever it lies.
func classify(p string) place {
	p = path.Clean("/" + p)
	if p == "/" {
		return place{kind: machine}
	}
	parts := strings.Split(p[1:], "/")
	if pl, ok := asReplica(parts); ok {
		return pl
	}
	s := scan{}
	last := place{}
	for i, c := range parts {
		last = s.next(c)
		if last.kind != group && last.kind != plain {
			if i < len(parts)-1 {
				return place{} // part of the container above
			}
			return last
		}
		if s.closed {
			return place{}
		}
	}
	if last.kind == plain {
		last.parent = strings.Join(parts[:len(parts)-1], "/")
	}
	return last
}

// asReplica recognises .../plimsoll-<pid>/<namespace>/<service>/<replica>. What lies above and below
// belongs to no one.
func asReplica(parts []string) (place, bool) {
	for i, c := range parts {
		pid, ok := strings.CutPrefix(c, "plimsoll-")
		if !ok || !digits(pid) {
			continue
		}
		if len(parts) == i+4 {
			return place{kind: replica, runtime: "process", space: parts[i+1], service: parts[i+2], name: parts[i+3], owner: c}, true
		}
		return place{}, true
	}
	return place{}, false
}

// scan walks down a path, remembering what it has passed.
type scan struct {
	depth  int
	top    string // the first component
	prev   string // the component above
	podUID string
	inKube bool
	user   bool
	closed bool // nothing below here is a container
}

// next looks at one component.
func (s *scan) next(c string) place {
	defer func() {
		s.depth++
		s.prev = c
		if s.depth == 1 {
			s.top = c
		}
	}()
	if pl, ok := s.inPod(c); ok {
		return pl
	}
	if pl, ok := byName(c); ok {
		if pl.kind == group {
			s.closed = true
		}
		return pl
	}
	if pl, ok := s.byUnit(c); ok {
		return pl
	}
	if hex64(c) {
		return s.bareID(c)
	}
	if s.depth == 1 && containerdSpace(s.top) {
		return place{kind: containerd, runtime: "containerd", space: s.top, id: c}
	}
	if s.grouping(c) {
		return place{}
	}
	return place{kind: plain, runtime: "cgroup", name: c}
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
	case strings.HasSuffix(c, ".slice"):
		if c == "user.slice" {
			s.user = true
		}
		return place{}, true
	case strings.HasSuffix(c, ".service"):
		if strings.HasPrefix(c, "user@") {
			s.user = true
			return place{}, true
		}
		return s.unitPlace(c), true
	case strings.HasSuffix(c, ".scope"):
		return s.unitPlace(c), true
	case strings.HasSuffix(c, ".mount"), strings.HasSuffix(c, ".swap"), strings.HasSuffix(c, ".socket"):
		s.closed = true
		return place{}, true
	}
	return place{}, false
}

func (s *scan) unitPlace(c string) place {
	pl := place{kind: unit, runtime: "systemd", name: unescape(c)}
	if s.user {
		pl.space = "user"
	}
	return pl
}

// bareID says whose container a component of 64 hexadecimal digits is.
func (s *scan) bareID(c string) place {
	if s.prev == "docker" {
		return place{kind: docker, runtime: "docker", id: c}
	}
	if s.prev == "libpod_parent" {
		return place{kind: podman, runtime: "podman", id: c}
	}
	pl := place{kind: containerd, runtime: "containerd", id: c}
	if s.depth == 1 {
		pl.space = s.top
	}
	return pl
}

// grouping says that a component only groups, even when nothing is in it.
func (s *scan) grouping(c string) bool {
	switch c {
	case "docker", "libpod_parent":
		return true
	}
	return s.depth == 0 && containerdSpace(c)
}

// containerdSpace says that a top-level cgroup is one of containerd's usual namespaces.
func containerdSpace(c string) bool { return c == "default" || c == "k8s.io" || c == "moby" }
