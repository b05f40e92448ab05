package cadvisor

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"

	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/metric"
)

// procs reads what is known of a cgroup by its processes.
type procs struct {
	netOwn uint64 // the host's network namespace, 0 if it cannot be told
	// sized says that this kernel gives the number of open files as the size of /proc/PID/fd (Linux 6.2).
	sized bool
	// contained says that this process is told of its own container's processes only.
	contained bool
}

func newProcs(h host.Host) procs {
	p := procs{netOwn: inode(h.Proc + "/1/net/dev"), contained: host.Contained()}
	var st syscall.Stat_t
	p.sized = syscall.Stat("/proc/self/fd", &st) == nil && st.Size > 0
	return p
}

// maxProcs is how many processes of one cgroup are looked at for their open files, and maxListed how many
// where the files must be listed: then the row is left out rather than wrong.
const (
	maxProcs  = 1024
	maxListed = 32
)

// unseen is the number that v2 gives for a process which has none for the one that asks, being outside of its container; v1 leaves it out.
const unseen = 0

// of lists the processes of a cgroup and of those below it; nil if the kernel does not tell (it does not of a
// threaded cgroup), empty if there are none.
func (p procs) of(t *target) []int {
	data, err := os.ReadFile(t.dir() + "/cgroup.procs")
	if err != nil {
		return nil
	}
	out := make([]int, 0, 8)
	gather(&out, t.dir(), data, 0)
	return out
}

// gather takes in what a cgroup.procs holds, and those of the cgroups below.
func gather(out *[]int, dir string, data []byte, depth int) {
	for line := range bytes.Lines(data) {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil && pid >= unseen {
			*out = append(*out, pid)
		}
	}
	var st syscall.Stat_t
	if depth >= maxDepth || syscall.Stat(dir, &st) != nil || st.Nlink <= 2 {
		return // kernfs: 2 and the number of child directories
	}
	entries, _ := os.ReadDir(dir) // what cannot be listed holds no process that we may see
	for _, x := range entries {
		if !x.IsDir() {
			continue
		}
		below := dir + "/" + x.Name()
		if data, err := os.ReadFile(below + "/cgroup.procs"); err == nil {
			gather(out, below, data, depth+1)
		}
	}
}

// add adds the processes' rows, and says whether the cgroup holds processes that this process cannot see, or whose open files it may not count.
func (p procs) add(b *builder, t *target, pids []int) (hidden, closed bool) {
	n, counted := uint64(0), false
	if d := t.in("pids"); d != "" {
		if n, counted = number(d + "/pids.current"); counted {
			b.count(metric.Threads, "", n)
		}
	}
	none := pids != nil && len(pids) == 0
	if none && (n > 0 || !counted && p.contained) || slices.Contains(pids, unseen) {
		return true, false
	}
	if pids != nil {
		b.count(metric.Processes, "", uint64(len(pids)))
	}
	files, ok, closed := p.files(pids)
	if ok {
		b.count(metric.FileDescriptors, "", files)
	}
	return false, closed
}

// files counts the open files of processes; false if that cannot be told cheaply or at all, closed if this process may not.
func (p procs) files(pids []int) (files uint64, ok, closed bool) {
	if pids == nil || len(pids) > maxProcs || !p.sized && len(pids) > maxListed {
		return 0, false, false
	}
	var sum uint64
	for _, pid := range pids {
		dir := procPath(pid, "fd")
		if !p.sized {
			names, err := os.ReadDir(dir)
			if os.IsPermission(err) {
				return 0, false, true
			}
			sum += uint64(len(names))
			continue
		}
		var st syscall.Stat_t
		if err := syscall.Stat(dir, &st); err == syscall.EACCES {
			return 0, false, true
		}
		sum += uint64(st.Size)
	}
	return sum, true, false
}

// ownProc is where processes are by the numbers that a cgroup tells: those that this process knows them by, wherever the machine's /proc is.
const ownProc = "/proc"

func procPath(pid int, file string) string { return ownProc + "/" + strconv.Itoa(pid) + "/" + file }

// netns tells network namespaces apart by the inode of net/dev, of which each namespace has its own
// (fs/proc/generic.c numbers every entry): unlike /proc/PID/ns/net anyone may stat it.
func netns(pid int) uint64 { return inode(procPath(pid, "net/dev")) }

// network picks the process whose network is the container's: 0 if that is the host's, or already told by
// another container that shares it (the containers of a pod do), else sums would count it twice.
func (r *Reader) network(t *target, pids []int) int {
	if len(pids) == 0 || pids[0] == unseen || r.proc.netOwn == 0 || r.opt.Networks != nil && r.opt.Networks.HostNetwork(t.path) {
		return 0
	}
	ns := netns(pids[0])
	if ns == 0 || ns == r.proc.netOwn {
		return 0
	}
	switch owner := r.netOwner[ns]; {
	case owner == "": // a number that it had in an earlier life may be another's by now
		maps.DeleteFunc(r.netOwner, func(_ uint64, path string) bool { return path == t.path })
		r.netOwner[ns] = t.path
	case owner != t.path:
		return 0
	}
	return pids[0]
}

// kills reads how many of a cgroup's processes were killed because its memory limit was reached: oom_kill
// of memory.events on v2, of memory.oom_control on v1 (Linux 4.13).
func kills(t *target) (uint64, bool) {
	file := t.paths["memory"] + "/memory.oom_control"
	if d, ok := t.paths[""]; ok {
		file = d + "/memory.events"
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	return field(data, "oom_kill")
}

// field finds one value in lines "name value".
func field(data []byte, name string) (uint64, bool) {
	for line := range bytes.Lines(data) {
		key, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if ok && string(key) == name {
			n, err := strconv.ParseUint(string(value), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// number reads a file that holds one number.
func number(file string) (uint64, bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(data)), 10, 64)
	return n, err == nil
}
