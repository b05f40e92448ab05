package host

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// Host is where the machine's files are. The zero value is the machine that this process sees by itself.
type Host struct {
	// Root is where the machine's / is mounted, with what is mounted below it. Default "/".
	Root string
	// Cgroups is where its cgroups are, Proc where its /proc is. Default: at their usual places below Root.
	Cgroups, Proc string
}

// Settled is the host with its defaults filled in.
func (h Host) Settled() Host {
	h.Root = path.Clean(cmp.Or(h.Root, "/"))
	h.Cgroups = path.Clean(cmp.Or(h.Cgroups, h.Path("/sys/fs/cgroup")))
	h.Proc = path.Clean(cmp.Or(h.Proc, h.Path("/proc")))
	return h
}

// Path is where a file of the machine is.
func (h Host) Path(file string) string { return path.Join(cmp.Or(h.Root, "/"), file) }

// Validate says what is wrong with the places, or nil. It does not look at them.
func (h Host) Validate() error {
	for _, x := range []struct{ what, path string }{{"root", h.Root}, {"cgroups", h.Cgroups}, {"/proc", h.Proc}} {
		if x.path != "" && !path.IsAbs(x.path) {
			return fmt.Errorf("cannot read the machine's %s at %q: the path must be absolute", x.what, x.path)
		}
	}
	return nil
}

// The numbers of the namespaces that a machine has from the beginning (include/linux/proc_ns.h).
const (
	firstCgroups   = 0xEFFFFFFB
	firstProcesses = 0xEFFFFFFC
)

// namespace is the number of a namespace of this process, 0 if it cannot be told.
func namespace(kind string) uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/"+kind, &st) != nil {
		return 0
	}
	return st.Ino
}

// Contained says whether this process has processes of its own, as in a container that was not given the machine's.
func Contained() bool { return apart("pid", firstProcesses) }

// apart says whether this process is in another namespace than the machine's first processes are.
func apart(kind string, first uint64) bool {
	n := namespace(kind)
	return n != 0 && n != first
}

// Number tells this process from every other on the machine: its own number, or, where processes are numbered anew, with the number of that
// numbering before it, since the first process of every container is 1.
func Number() string {
	pid := strconv.Itoa(os.Getpid())
	if Contained() {
		return strconv.FormatUint(namespace("pid"), 10) + pid
	}
	return pid
}
