package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// State is what a cluster leaves on the machine: files, processes, namespaces, mounts and cgroups, all found by its name alone.
type State struct {
	Dir  string
	name string
	held *os.File
}

// NewState names what a cluster called name leaves.
func NewState(name string) *State { return &State{Dir: "/var/tmp/plimsoll-" + name, name: name} }

func (s *State) cgroup() string    { return "plimsoll-" + s.name }
func (s *State) run() string       { return "/run/plimsoll-" + s.name } // sockets have short paths
func (s *State) node(i int) string { return fmt.Sprintf("plimsoll-%s-%d", s.name, i+1) }
func (s *State) pids() string      { return filepath.Join(s.Dir, "pids") }

// lock keeps another process from starting or cleaning a cluster of the same name.
func (s *State) lock() error {
	if len(s.name) == 0 || len(s.name) > 8 || strings.Trim(s.name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return fmt.Errorf("name %q of a cluster: must be 1 to 8 small letters and digits", s.name)
	}
	f, err := os.OpenFile(s.run()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	for range 600 { // an earlier one may be cleaning up
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			s.held = f
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.Join(fmt.Errorf("another process has a cluster of the name %q: %w", s.name, err), f.Close())
}

func (s *State) unlock() {
	if s.held != nil {
		_ = s.held.Close()
		s.held = nil
	}
}

// started tells processes of one id apart by when they started, in the kernel's ticks.
func started(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || string(fields[0]) == "Z" {
		return ""
	}
	return string(fields[19])
}

func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// note keeps the id of a part.
func (s *State) note(part string, pid int) error {
	return errors.Join(os.MkdirAll(s.pids(), 0o700), os.WriteFile(filepath.Join(s.pids(), part), fmt.Appendf(nil, "%d %s", pid, started(pid)), 0o600))
}

// end kills a part and waits for its end.
func (s *State) end(part string) error {
	data, err := os.ReadFile(filepath.Join(s.pids(), part))
	if err != nil {
		return fmt.Errorf("part %q is not known: %w", part, err)
	}
	id, since, _ := strings.Cut(string(data), " ")
	pid, err := strconv.Atoi(id)
	if err != nil {
		return fmt.Errorf("pid %q of part %q: %w", id, part, err)
	}
	for try := range 200 {
		if since == "" || started(pid) != since {
			return os.Remove(filepath.Join(s.pids(), part))
		}
		if try == 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("part %q (process %d) does not end", part, pid)
}

// Clean takes away all that a cluster of the name has left. It may be called at any time and any number of times.
func (s *State) Clean() error {
	var errs []error
	parts, err := os.ReadDir(s.pids())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, p := range parts {
		errs = append(errs, s.end(p.Name()))
	}
	sockets := s.shimSockets()
	errs = append(errs, s.killRest(), s.unmount(), s.removeNamespaces(), s.removeCgroups())
	for _, f := range append(sockets, s.logLinks()...) {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, os.RemoveAll(s.run()), os.RemoveAll(s.Dir))...)
}

// namespaces are the network namespaces of all nodes.
func (s *State) namespaces() []string {
	all, _ := filepath.Glob(netns("plimsoll-" + s.name + "-*"))
	return all
}

// killRest ends what runs in the cluster's cgroups and network namespaces: containers, their shims, and what a test has started there.
func (s *State) killRest() error {
	var inodes []uint64
	for _, ns := range s.namespaces() {
		var st unix.Stat_t
		if unix.Stat(ns, &st) == nil {
			inodes = append(inodes, st.Ino)
		}
	}
	ours := func(pid int) bool {
		cgroups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err == nil && bytes.Contains(cgroups, []byte(":/"+s.cgroup()+"/")) {
			return true
		}
		var st unix.Stat_t
		return unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st) == nil && slices.Contains(inodes, st.Ino)
	}
	for range 200 {
		left := 0
		list, err := os.ReadDir("/proc")
		if err != nil {
			return err
		}
		for _, e := range list {
			if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() && started(pid) != "" && ours(pid) {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if left == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("processes in the cluster's cgroups or network do not end")
}

// unmount takes away the mounts below the cluster's folders, the deepest first.
func (s *State) unmount() error {
	below := func(m string) bool { return strings.HasPrefix(m, s.Dir+"/") || strings.HasPrefix(m, s.run()+"/") }
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) { return !below(m.Mountpoint), false })
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) {
		if e := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); e != nil && !errors.Is(e, unix.EINVAL) && !errors.Is(e, unix.ENOENT) {
			err = errors.Join(err, fmt.Errorf("cannot unmount %s: %w", m.Mountpoint, e))
		}
	}
	return err
}

func (s *State) removeNamespaces() (err error) {
	for _, ns := range s.namespaces() {
		if out, e := exec.CommandContext(context.Background(), "ip", "netns", "del", filepath.Base(ns)).CombinedOutput(); e != nil {
			err = errors.Join(err, fmt.Errorf("ip netns del %s: %w: %s", filepath.Base(ns), e, out))
		}
	}
	return err
}

// hierarchies are the mount points of cgroups: one for each controller in version 1.
func hierarchies() []string {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.controllers"); err == nil {
		return []string{root}
	}
	list, _ := filepath.Glob(root + "/*")
	return slices.DeleteFunc(list, func(p string) bool {
		st, err := os.Lstat(p)
		return err != nil || !st.IsDir()
	})
}

func (s *State) removeCgroups() (err error) {
	for _, h := range hierarchies() {
		for range 100 { // a cgroup stays busy until its last process is reaped
			if err = removeTree(filepath.Join(h, s.cgroup())); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func removeTree(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return unix.Rmdir(dir)
}

// makeCgroup makes a cgroup with all controllers that its parents have.
func makeCgroup(path string) error {
	for _, h := range hierarchies() {
		dir := h
		for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
			above := dir
			if all, err := os.ReadFile(above + "/cgroup.controllers"); err == nil {
				for name := range strings.FieldsSeq(string(all)) {
					if err := os.WriteFile(above+"/cgroup.subtree_control", []byte("+"+name), 0o644); err != nil {
						return err
					}
				}
			}
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			for _, f := range []string{"cpuset.cpus", "cpuset.mems"} { // of version 1: no process may enter while they are empty
				if v, err := os.ReadFile(filepath.Join(above, f)); err == nil && strings.HasSuffix(h, "cpuset") {
					if err := os.WriteFile(filepath.Join(dir, f), v, 0o644); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// shimSockets are the sockets of containerd's shims, which lie in a folder that all containerds of a machine share.
func (s *State) shimSockets() []string {
	var out []string
	all, _ := filepath.Glob(s.run() + "/*/io.containerd.runtime.v2.task/k8s.io/*/bootstrap.json")
	for _, f := range all {
		var b struct {
			Address string `json:"address"`
		}
		if data, err := os.ReadFile(f); err == nil && json.Unmarshal(data, &b) == nil {
			if path := strings.TrimPrefix(b.Address, "unix://"); strings.HasPrefix(path, "/run/containerd/s/") {
				out = append(out, path)
			}
		}
	}
	return out
}

// logLinks are the links in a folder that all kubelets of a machine share.
func (s *State) logLinks() []string {
	all, _ := filepath.Glob("/var/log/containers/*.log")
	return slices.DeleteFunc(all, func(l string) bool {
		to, err := os.Readlink(l)
		return err != nil || !strings.HasPrefix(to, s.Dir+"/")
	})
}
