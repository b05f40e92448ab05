package cadvisor

import (
	"cmp"
	"maps"
	"os"
	"syscall"
	"time"

	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/google/cadvisor/lib/model"
	"github.com/opencontainers/cgroups"
)

// target is what is kept of one cgroup from tick to tick.
type target struct {
	path    string
	ino     uint64            // of its directory: another number is another cgroup of the same name
	paths   map[string]string // controller -> directory, of those that it has
	manager cgroups.Manager
	spec    model.ContainerSpec
	start   time.Time
	psi     bool
	due     uint64 // the read at which spec and paths are looked at again
	hint    int    // how many points it gave last
}

// specEvery is how many reads apart a cgroup's limits are read again: they change by hand and rarely, and
// cost as much as the values.
const specEvery = 6

// in is the cgroup's directory of a v1 controller, or the one that it has on v2; "" if there is none.
func (t *target) in(controller string) string { return cmp.Or(t.paths[""], t.paths[controller]) }

// dir is the directory by which a cgroup is known.
func (t *target) dir() string {
	return cmp.Or(t.in("cpuacct"), t.in("memory"), t.in("blkio"), t.in("pids"))
}

// target returns what is kept of a cgroup, made anew if it is another one than before; nil if it is gone.
func (r *Reader) target(path string) *target {
	t := r.targets[path]
	if t == nil || inode(t.dir()) != t.ino { // new, or removed and made again
		t = &target{path: path}
	}
	if (t.manager == nil || r.reads >= t.due) && !r.inspect(t) {
		return nil
	}
	return t
}

// newManager makes the library's reader of a cgroup. The processes' number is read by us, once.
func newManager(path string, paths map[string]string) (cgroups.Manager, error) {
	own := maps.Clone(paths)
	delete(own, "pids")
	return libcontainer.NewCgroupManager(path, own)
}

// inspect reads a cgroup's make-up: which controllers it has, its limits, when it was made.
func (r *Reader) inspect(t *target) bool {
	paths := make(map[string]string, len(r.tree.mounts))
	for c, m := range r.tree.mounts {
		if d := m + t.path; inode(d) != 0 {
			paths[c] = d
		}
	}
	if len(paths) == 0 {
		return false
	}
	fresh := t.manager == nil
	t.paths = paths
	t.ino = inode(t.dir())
	m, err := newManager(t.path, paths)
	if err != nil {
		return false
	}
	t.manager = m
	if spec, err := common.GetSpec(paths, r.machine.Load(), false, false); err == nil {
		t.spec = spec
	}
	if fresh {
		// The kernel makes up a cgroup's times when its inode is first looked at, and again after the inode
		// has been dropped from memory: only the first look counts.
		t.start = t.spec.CreationTime
		t.due = r.reads + 1 // a runtime sets the limits just after making the cgroup
	} else {
		t.due = r.reads + specEvery
	}
	if d, ok := paths[""]; ok {
		_, err := os.Stat(d + "/cpu.pressure")
		t.psi = err == nil
	}
	return true
}

// began says when the cgroup's counters began.
func (r *Reader) began(t *target) time.Time {
	if r.opt.Starts != nil {
		if at, ok := r.opt.Starts.Start(t.path); ok {
			t.start = at
		}
	}
	return t.start
}

// still says whether a cgroup that has just been read was there to the end: some of the library's readers
// take a missing file for zeroes.
func (t *target) still() bool {
	if inode(t.dir()) != t.ino {
		return false
	}
	for _, d := range t.paths {
		if inode(d) == 0 {
			return false
		}
	}
	return true
}

// inode is the inode number of a file, 0 if there is none. In kernfs it is never used again.
func inode(dir string) uint64 {
	var st syscall.Stat_t
	if dir == "" || syscall.Stat(dir, &st) != nil {
		return 0
	}
	return st.Ino
}
