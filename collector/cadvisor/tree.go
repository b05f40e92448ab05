package cadvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/opencontainers/cgroups"

	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/metric"
)

// tree is where the cgroup hierarchies are mounted.
type tree struct {
	v2     bool
	mounts map[string]string // controller -> mount point; on v2 the one mount point under ""
	walk   []string          // the mount points whose directories are the cgroups that are measured
}

// v1Controllers are those that are read on cgroup v1.
var v1Controllers = [...]string{"cpuacct", "cpu", "memory", "blkio", "pids"}

// newTree finds the hierarchies of a machine. On v1 a cgroup counts if it has CPU accounting or memory.
func newTree(h host.Host) (*tree, error) {
	all := cgroup.Hierarchies(h)
	if root, ok := all[""]; ok {
		return agrees(&tree{v2: true, mounts: map[string]string{"": root}, walk: []string{root}})
	}
	t := &tree{mounts: map[string]string{}}
	for _, c := range v1Controllers {
		m, ok := all[c]
		if !ok {
			continue
		}
		t.mounts[c] = m
		if (c == "cpuacct" || c == "memory") && !slices.Contains(t.walk, m) {
			t.walk = append(t.walk, m)
		}
	}
	if len(t.walk) == 0 {
		return nil, fmt.Errorf("cannot read containers: neither cgroup v2 nor the v1 controllers cpuacct and memory are mounted at %q", h.Settled().Cgroups)
	}
	return agrees(t)
}

// agrees sees to it that the library reads the version that is there: it goes by what is mounted at its own /sys/fs/cgroup.
func agrees(t *tree) (*tree, error) {
	if cgroups.IsCgroup2UnifiedMode() != t.v2 {
		return nil, fmt.Errorf("cannot read containers at %q: what is mounted at /sys/fs/cgroup in this container is another version of cgroups, or nothing; mount the machine's there too", t.walk[0])
	}
	return t, nil
}

// maxDepth bounds the walk.
const maxDepth = 64

// find lists the cgroups to be measured, by path.
func (r *Reader) find() map[string]*metric.Entity {
	out := make(map[string]*metric.Entity, len(r.targets)+8)
	for _, root := range r.tree.walk {
		r.findBelow(out, root, "", 0)
	}
	return out
}

func (r *Reader) findBelow(out map[string]*metric.Entity, root, dir string, depth int) {
	entries, err := os.ReadDir(root + dir)
	if err != nil && !gone(err) {
		r.drop(reasonOf(err))
		r.blind = true
		if errors.Is(err, fs.ErrPermission) && !r.denied {
			r.denied = true
			r.log.Warn("may not read a cgroup, so the containers below it are missing", "path", dir, "fix", "run as root")
		}
	}
	for _, x := range entries {
		if !x.IsDir() {
			continue
		}
		path := dir + "/" + x.Name()
		if e, ok := r.opt.Namer.Name(path); ok {
			out[path] = e
		} else if depth < maxDepth {
			r.findBelow(out, root, path, depth+1)
		}
	}
}
