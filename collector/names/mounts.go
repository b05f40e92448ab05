package names

import (
	"bufio"
	"os"
	"strings"
	"syscall"
)

// mounts are the mount points of the cgroup hierarchies that hold resources.
type mounts []string

// newMounts finds the hierarchies in /proc/self/mountinfo (proc(5)): on cgroup v1 those of cpu, cpuacct and
// memory, on v2 the one. None found is no error: then no cgroup is known to have children.
func newMounts() mounts {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read
	var v1, v2 mounts
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		before, after, ok := strings.Cut(sc.Text(), " - ")
		pre, post := strings.Fields(before), strings.Fields(after)
		if !ok || len(pre) < 5 || len(post) < 1 {
			continue
		}
		switch {
		case post[0] == "cgroup2":
			v2 = append(v2, pre[4])
		case post[0] == "cgroup" && resources(post[len(post)-1]):
			v1 = append(v1, pre[4])
		}
	}
	if len(v1) > 0 {
		return v1
	}
	return v2
}

// resources says whether the super options of a v1 mount name a controller that readers read.
func resources(opts string) bool {
	for o := range strings.SplitSeq(opts, ",") {
		if o == "cpu" || o == "cpuacct" || o == "memory" {
			return true
		}
	}
	return false
}

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
