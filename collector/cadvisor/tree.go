package cadvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/opencontainers/cgroups"

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

// newTree finds the hierarchies. On v1 a cgroup counts if it has CPU accounting or memory.
func newTree() (*tree, error) {
	all, err := libcontainer.GetCgroupSubsystems(nil)
	if err != nil {
		return nil, fmt.Errorf("cannot find the cgroup file systems: %w", err)
	}
	if cgroups.IsCgroup2UnifiedMode() {
		return &tree{v2: true, mounts: all, walk: []string{all[""]}}, nil
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
		return nil, errors.New("cannot read containers: neither cgroup v2 nor the v1 controllers cpuacct and memory are mounted")
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
