package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/collector/host"
)

// The values of Info.Version.
const (
	V1     = "v1"     // a file system for each controller
	V2     = "v2"     // one file system for all
	Hybrid = "hybrid" // version 1 with a version 2 beside it
)

// ErrNoCgroups is a place where no cgroup file system is mounted.
var ErrNoCgroups = errors.New("no cgroup file system")

// Info is how a machine's cgroups are laid out, for doctor.
type Info struct {
	Version string `json:"version"` // V1, V2 or Hybrid
	Root    string `json:"root"`
	// Controllers are those that exist, of all file systems, sorted.
	Controllers []string `json:"controllers"`
	// CPU, Throttling and Memory are the mount points that CPU time, CPU limits and memory are read from; "" if
	// there is none.
	CPU        string `json:"cpu,omitempty"`
	Throttling string `json:"throttling,omitempty"`
	Memory     string `json:"memory,omitempty"`
	// PSI says whether the kernel accounts pressure; PSIReason says why not, with the fix.
	PSI       bool   `json:"psi"`
	PSIReason string `json:"psiReason,omitempty"`
}

// String says it in one line.
func (i Info) String() string {
	or := func(s string) string { return cmp.Or(s, "nowhere") }
	psi := "on"
	if !i.PSI {
		psi = "off"
	}
	return fmt.Sprintf("cgroup %s at %s: CPU time from %s, CPU limits from %s, memory from %s; PSI %s; controllers %s",
		i.Version, i.Root, or(i.CPU), or(i.Throttling), or(i.Memory), psi, strings.Join(i.Controllers, " "))
}

// Detect finds out how the cgroups of a machine are laid out.
func Detect(h host.Host) (Info, error) {
	l, err := detect(h.Settled())
	if err != nil {
		return Info{}, err
	}
	return l.info, nil
}

// hierarchy is one cgroup file system, with the files that are read in each of its cgroups.
type hierarchy struct {
	dir   string // the mount point
	kinds []kind
}

// layout is what detect finds. The hierarchy with the CPU time comes first.
type layout struct {
	info        Info
	hierarchies []hierarchy
}

// mount is a mounted cgroup file system, with its controllers.
type mount struct {
	dir         string
	v2          bool
	controllers []string
}

func detect(h host.Host) (layout, error) {
	mounts := mountsOf(h)
	if len(mounts) == 0 {
		return layout{}, fmt.Errorf("cannot read cgroups at %q: %w", h.Cgroups, ErrNoCgroups)
	}
	for i := range mounts {
		if m := &mounts[i]; m.v2 {
			b, _ := os.ReadFile(path.Join(m.dir, "cgroup.controllers"))
			m.controllers = strings.Fields(string(b))
		}
	}
	l := assign(mounts)
	l.info.Root = h.Cgroups
	l.info.PSI, l.info.PSIReason = detectPSI(h.Proc)
	if len(l.hierarchies) == 0 {
		return l, fmt.Errorf("cannot read cgroups at %q: neither the cpu nor the memory controller is mounted there", h.Cgroups)
	}
	return l, nil
}

// mountsOf finds a machine's cgroup file systems.
func mountsOf(h host.Host) []mount {
	if found := below(h.Mounts(), h.Cgroups); len(found) > 0 {
		return found
	}
	return guessMounts(h.Cgroups)
}

// Hierarchies says where the controllers of a machine's cgroups are. Where version 1 accounts neither CPU time nor memory there is one
// place, of version 2, under "".
func Hierarchies(h host.Host) map[string]string {
	h = h.Settled()
	v1, v2 := map[string]string{}, map[string]string{}
	for _, m := range slices.Backward(mountsOf(h)) { // of two mounts of one the first counts
		if m.v2 {
			v2[""] = m.dir
		}
		for _, c := range m.controllers {
			v1[c] = m.dir
		}
	}
	if v1["cpuacct"] == "" && v1["memory"] == "" {
		return v2
	}
	return v1
}

// Mounts lists the mount points of the file systems that account CPU time or memory: those of version 1, or of version 2 if there
// are none.
func Mounts(h host.Host) []string { return accounting(mountsOf(h.Settled())) }

func accounting(all []mount) []string {
	var v1, v2 []string
	for _, m := range all {
		switch {
		case m.v2:
			v2 = append(v2, m.dir)
		case slices.ContainsFunc(m.controllers, func(c string) bool { return c == "cpu" || c == "cpuacct" || c == "memory" }):
			v1 = append(v1, m.dir)
		}
	}
	if len(v1) > 0 {
		return v1
	}
	return v2
}

// assign decides which mount gives what. A controller is in one hierarchy only (cgroups(7)).
func assign(mounts []mount) layout {
	var l layout
	kinds := map[string][]kind{}
	for _, x := range []struct {
		v2         bool
		controller string // "": whatever there is
		where      *string
		kinds      []kind
	}{
		{false, "cpuacct", &l.info.CPU, []kind{v1Usage}},
		{false, "cpu", &l.info.Throttling, []kind{v1Throttling}},
		{false, "memory", &l.info.Memory, []kind{v1Memory, v1MemoryStat}},
		// cpu.stat is there with and without the cpu controller (Documentation/admin-guide/cgroup-v2.rst).
		{true, "", &l.info.CPU, []kind{v2CPU}},
		{true, "memory", &l.info.Memory, []kind{v2Memory, v2MemoryStat}},
	} {
		i := slices.IndexFunc(mounts, func(m mount) bool {
			return m.v2 == x.v2 && (x.controller == "" || slices.Contains(m.controllers, x.controller))
		})
		if i >= 0 && *x.where == "" {
			*x.where = mounts[i].dir
			kinds[*x.where] = append(kinds[*x.where], x.kinds...)
		}
	}
	if slices.Contains(kinds[l.info.CPU], v2CPU) {
		l.info.Throttling = cmp.Or(l.info.Throttling, l.info.CPU)
	}
	l.info.Version = V1
	for _, m := range mounts {
		l.info.Controllers = append(l.info.Controllers, m.controllers...)
		if m.v2 {
			l.info.Version = Hybrid
		}
	}
	if !slices.ContainsFunc(mounts, func(m mount) bool { return !m.v2 }) {
		l.info.Version = V2
	}
	slices.Sort(l.info.Controllers)
	for _, dir := range []string{l.info.CPU, l.info.Throttling, l.info.Memory} {
		if ks := kinds[dir]; len(ks) > 0 {
			slices.Sort(ks)
			l.hierarchies = append(l.hierarchies, hierarchy{dir: dir, kinds: ks})
			delete(kinds, dir)
		}
	}
	return l
}

// below takes the cgroup file systems at and below root out of all that are mounted.
func below(all []host.Mount, root string) []mount {
	var out []mount
	for _, m := range all {
		if m.Dir != root && !strings.HasPrefix(m.Dir, root+"/") {
			continue
		}
		switch m.Type {
		case "cgroup2":
			out = append(out, mount{dir: m.Dir, v2: true})
		case "cgroup":
			out = append(out, mount{dir: m.Dir, controllers: slices.DeleteFunc(m.Options, mountOption)})
		}
	}
	return out
}

// mountOption says whether one of a v1 mount's super options is something else than a controller.
func mountOption(o string) bool {
	switch o {
	case "rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods":
		return true
	}
	return strings.Contains(o, "=")
}

// guessMounts goes by the usual names where mountinfo knows nothing: a tree brought in from elsewhere.
func guessMounts(root string) []mount {
	if _, err := os.Stat(path.Join(root, "cgroup.controllers")); err == nil {
		return []mount{{dir: root, v2: true}}
	}
	var out []mount
	for _, name := range []string{"cpuacct", "cpu", "memory", "blkio", "pids"} {
		dir, err := filepath.EvalSymlinks(path.Join(root, name))
		if err != nil {
			continue
		}
		if i := slices.IndexFunc(out, func(m mount) bool { return m.dir == dir }); i >= 0 {
			out[i].controllers = append(out[i].controllers, name)
			continue
		}
		out = append(out, mount{dir: dir, controllers: []string{name}})
	}
	return out
}

func detectPSI(proc string) (bool, string) {
	_, err := os.ReadFile(path.Join(proc, "pressure/cpu"))
	switch {
	case err == nil:
		return true, ""
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.EOPNOTSUPP):
		return false, "the kernel accounts no pressure: boot it with psi=1 (it needs CONFIG_PSI)"
	}
	return false, err.Error()
}
