package process

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// group is all that one replica consists of, its children and theirs included.
type group interface {
	// path is the cgroup's path below the mount point, "" if there is none; name tells processes of the group that have no cgroup.
	path() string
	name() string
	// attr adds what must be set before the replica starts; attach puts it in while it is stopped at its
	// first instruction, if attr asked for that with Ptrace.
	attr(*syscall.SysProcAttr)
	attach(pid int) error
	// procs lists the processes that are in the group now.
	procs() []int
	// kill ends them all; remove gives back what the group holds.
	kill() error
	// starved says whether the kernel has killed a process of the group because its memory limit was reached.
	starved() bool
	remove() error
}

// cgroup is a group that is a cgroup.
type cgroup struct {
	v2   bool
	sub  string
	dirs []string
	fd   *os.File // v2: the directory, to start processes in
}

// group makes the cgroup of a replica, with its requests and limits.
func (c *cgroups) group(k Key, replica string, s *Service) (*cgroup, error) {
	sub := filepath.Join(c.top, k.Namespace, k.Name, replica)
	if err := c.mkdirs(sub); err != nil {
		return nil, err
	}
	g := &cgroup{v2: c.v2, sub: sub, dirs: c.dirs(sub)}
	err := g.limit(s)
	if err == nil && g.v2 {
		g.fd, err = os.Open(g.dirs[0])
	}
	if err != nil {
		return nil, errors.Join(err, g.remove())
	}
	return g, nil
}

// cfsPeriod is the period over which a CPU limit is kept, in microseconds; the kernel's and Kubernetes' own default.
const cfsPeriod = 100_000

// limit writes requests and limits the way the kubelet does: 1024 shares for a core, quota over 100 ms.
func (g *cgroup) limit(s *Service) error {
	if err := g.write("pids.max", strconv.FormatInt(cmp.Or(s.Processes, DefaultProcesses), 10)); err != nil && s.Processes > 0 {
		return err // else the kernel does not count them, and nobody asked
	}
	shares := max(2, s.Requests.CPU*1024/1000)
	quota, memory := int64(-1), int64(-1)
	if s.Limits.CPU > 0 {
		quota = max(1000, s.Limits.CPU*cfsPeriod/1000)
	}
	if s.Limits.Memory > 0 {
		memory = s.Limits.Memory
	}
	if g.v2 {
		max := func(v int64) string {
			if v < 0 {
				return "max"
			}
			return strconv.FormatInt(v, 10)
		}
		weight := 1 + (min(shares, 262144)-2)*9999/262142
		return errors.Join(g.write("cpu.weight", strconv.FormatInt(weight, 10)),
			g.write("cpu.max", fmt.Sprintf("%s %d", max(quota), cfsPeriod)), g.write("memory.max", max(memory)))
	}
	return errors.Join(g.write("cpu.shares", strconv.FormatInt(shares, 10)), g.write("cpu.cfs_period_us", strconv.Itoa(cfsPeriod)),
		g.write("cpu.cfs_quota_us", strconv.FormatInt(quota, 10)), g.write("memory.limit_in_bytes", strconv.FormatInt(memory, 10)))
}

// write sets a file in the hierarchy that has it. A kernel without CFS bandwidth has no quota file: only then,
// and only where there is nothing to limit, is that no error.
func (g *cgroup) write(file, value string) error {
	for _, d := range g.dirs {
		path := filepath.Join(d, file)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("cannot set %q to %q: %w", path, value, err)
		}
		return nil
	}
	if strings.HasPrefix(value, "-1") || strings.HasPrefix(value, "max") || file == "cpu.cfs_period_us" {
		return nil
	}
	return fmt.Errorf("cannot set %s to %q: the kernel does not have it", file, value)
}

func (g *cgroup) path() string { return "/" + g.sub }
func (g *cgroup) name() string { return "" }

func (g *cgroup) attr(a *syscall.SysProcAttr) {
	if g.v2 {
		a.UseCgroupFD, a.CgroupFD = true, int(g.fd.Fd())
	} else {
		a.Ptrace = true
	}
}

func (g *cgroup) attach(pid int) error {
	if g.v2 {
		return nil // it was born there
	}
	for _, d := range g.dirs {
		if err := os.WriteFile(filepath.Join(d, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("cannot put process %d into its cgroup: %w", pid, err)
		}
	}
	return nil
}

func (g *cgroup) procs() []int { return procsIn(subtree(g.dirs)) }

func (g *cgroup) kill() error { return killTree(g.dirs, time.Now().Add(clearTimeout)) }

func (g *cgroup) starved() bool {
	for _, d := range g.dirs {
		for _, file := range []string{"memory.events", "memory.oom_control"} { // v2, v1
			b, err := os.ReadFile(filepath.Join(d, file))
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(b)) {
				if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
					return n != "0"
				}
			}
		}
	}
	return false
}

func (g *cgroup) remove() error {
	if g.fd != nil {
		g.fd.Close()
	}
	return clearTree(g.dirs, true)
}

// markVar is the environment variable by which processes are known that have no cgroup: TOKEN/NAMESPACE/SERVICE/REPLICA.
const markVar = "PLIMSOLL_REPLICA"

// marked is a group without a cgroup: the processes whose environment carries a mark, and what descends from those that were started under
// it, as far as this process adopts. A process that cleans its environment, leaves its process group and loses its parent within a moment is
// nobody's until Plimsoll ends; if that is killed it escapes. That is the price of running without cgroups.
type marked struct {
	mark     string
	children *Children
}

func (m marked) path() string                { return "" }
func (m marked) name() string                { return m.mark }
func (m marked) attr(a *syscall.SysProcAttr) {}
func (m marked) attach(int) error            { return nil }
func (m marked) procs() []int {
	pids := append(procsMarked(m.mark), m.children.of(m.mark)...)
	slices.Sort(pids)
	return slices.Compact(pids)
}
func (m marked) kill() error {
	return killAll(m.procs, time.Now().Add(clearTimeout))
}
func (m marked) starved() bool { return false }
func (m marked) remove() error { return nil }

// procsMarked returns the processes whose mark is the given one or begins with it and a slash.
func procsMarked(mark string) []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	want := []byte(markVar + "=" + mark)
	var out []int
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		env, err := os.ReadFile("/proc/" + n + "/environ")
		if err != nil {
			continue // not ours to read, so not ours, or gone
		}
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.HasPrefix(v, want) && (len(v) == len(want) || v[len(want)] == '/') {
				out = append(out, pid)
				break
			}
		}
	}
	return out
}
