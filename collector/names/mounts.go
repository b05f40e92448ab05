package names

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// mounts are the mount points of the cgroup hierarchies that hold CPU time or memory. None is no error: then no cgroup is
// known to have children.
type mounts []string

// hasChildren looks at the link count of the cgroup's directory, which kernfs keeps at 2 plus the number
// of child directories (fs/kernfs/inode.c): one stat instead of a listing.
func (m mounts) hasChildren(path string) bool {
	var st syscall.Stat_t
	for _, root := range m {
		if syscall.Stat(root+path, &st) == nil && st.Nlink > 2 {
			return true
		}
	}
	return false
}

// children lists the names of the child cgroups, of all hierarchies.
func (m mounts) children(path string) (out []string) {
	for _, root := range m {
		all, err := os.ReadDir(filepath.Join(root, path))
		if err != nil {
			continue
		}
		for _, x := range all {
			if x.IsDir() && !slices.Contains(out, x.Name()) {
				out = append(out, x.Name())
			}
		}
	}
	return out
}

// hasProcesses says whether a process is in the cgroup itself.
func (m mounts) hasProcesses(path string) bool {
	for _, root := range m {
		if procs, err := os.ReadFile(filepath.Join(root, path, "cgroup.procs")); err == nil && len(procs) > 0 {
			return true
		}
	}
	return false
}

// exists says whether there is such a cgroup.
func (m mounts) exists(path string) bool {
	var st syscall.Stat_t
	for _, root := range m {
		if syscall.Stat(root+path, &st) == nil {
			return true
		}
	}
	return false
}
