package names

import "syscall"

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
