package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// forest is a set of cgroups with a sleeping process in each, made under one parent in every hierarchy that
// the readers look at.
type forest struct {
	mounts []string // where hierarchies are mounted
	name   string   // the parent's, below each mount
	procs  []*exec.Cmd
}

// prefix begins the parent's name, which ends in the number of the bench's process.
const prefix = "plimsoll-bench-"

// plant makes n cgroups, and takes away those of benches that were killed. Cut takes them away.
func plant(n int) (*forest, error) {
	f := &forest{name: prefix + strconv.Itoa(os.Getpid())}
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.controllers"); err == nil {
		f.mounts = []string{root}
	} else {
		for _, c := range []string{"cpu", "cpuacct", "memory", "pids", "blkio"} {
			if _, err := os.Stat(filepath.Join(root, c, "tasks")); err == nil {
				f.mounts = append(f.mounts, filepath.Join(root, c))
			}
		}
	}
	if len(f.mounts) == 0 {
		return nil, fmt.Errorf("no cgroups at %q", root)
	}
	sweep(f.mounts)
	for i := range n {
		if err := f.grow(i); err != nil {
			return nil, fmt.Errorf("cannot make cgroup %d of %d (root is needed): %w", i, n, errorsJoin(err, f.cut()))
		}
	}
	return f, nil
}

func (f *forest) grow(i int) error {
	cmd := exec.Command("sleep", "3600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	f.procs = append(f.procs, cmd)
	for _, m := range f.mounts {
		dir := filepath.Join(m, f.name, fmt.Sprintf("c%04d", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if i == 0 && len(f.mounts) == 1 { // v2: the leaves have what their parent hands down
			for _, d := range []string{m, filepath.Join(m, f.name)} {
				if err := os.WriteFile(filepath.Join(d, "cgroup.subtree_control"), []byte("+cpu +memory +io +pids"), 0o644); err != nil {
					return err
				}
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cut ends the processes and removes the cgroups.
func (f *forest) cut() error {
	for _, p := range f.procs {
		_ = p.Process.Kill() // it may have ended by itself
		_ = p.Wait()
	}
	var errs []error
	for _, m := range f.mounts {
		errs = append(errs, fell(filepath.Join(m, f.name)))
	}
	return errorsJoin(errs...)
}

// sweep takes away what benches have left that were killed: their processes ended with them, their cgroups stay. What is left of that is tried again
// by the next one.
func sweep(mounts []string) {
	for _, m := range mounts {
		all, _ := filepath.Glob(filepath.Join(m, prefix+"*")) // the pattern is well formed
		for _, top := range all {
			pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(top), prefix))
			if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
				_ = fell(top)
			}
		}
	}
}

// fell removes a cgroup and its children.
func fell(top string) error {
	entries, err := os.ReadDir(top)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() {
			errs = append(errs, rmdir(filepath.Join(top, e.Name())))
		}
	}
	return errorsJoin(append(errs, rmdir(top))...)
}

// rmdir removes a cgroup, which is busy for a moment after its last process has ended.
func rmdir(dir string) error {
	var err error
	for range 50 {
		if err = os.Remove(dir); err == nil || os.IsNotExist(err) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}
