package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killAll kills the processes that list names until it names none. Each is pinned by a descriptor and looked
// for again before it is killed, so that a number that was given to another process meanwhile is spared.
// It is the same loop for cgroups and for marked processes.
func killAll(list func() []int, deadline time.Time) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids := list()
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot end %d processes, the first of them %d", len(pids), pids[0])
		}
		fds := make(map[int]int, len(pids))
		for _, pid := range pids {
			if fd, err := unix.PidfdOpen(pid, 0); err == nil {
				fds[pid] = fd
			} else if errors.Is(err, unix.ENOSYS) {
				fds[pid] = -1
			}
		}
		self := os.Getpid()
		for _, pid := range list() {
			fd, pinned := fds[pid]
			switch {
			case !pinned || pid <= 1 || pid == self:
			case fd >= 0:
				_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // gone already: the next look tells
			default:
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		for _, fd := range fds {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
		time.Sleep(pause)
	}
}

// procsIn returns the processes in the given cgroups, not in those below.
func procsIn(dirs []string) []int {
	var out []int
	for _, d := range dirs {
		b, err := os.ReadFile(filepath.Join(d, "cgroup.procs"))
		if err != nil {
			continue
		}
		for f := range bytes.FieldsSeq(b) {
			if pid, err := strconv.Atoi(string(f)); err == nil && pid > 0 && !slices.Contains(out, pid) {
				out = append(out, pid)
			}
		}
	}
	return out
}

// subtree returns the directories below and including dirs, the deepest first.
func subtree(dirs []string) []string {
	var out []string
	for _, d := range dirs {
		_ = filepath.WalkDir(d, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				out = append(out, path)
			}
			return nil // what vanishes while we look is gone, as it should be
		})
	}
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// killTree kills everything in cgroups and below, forbidding new processes first where the kernel lets us.
func killTree(dirs []string, deadline time.Time) error {
	tree := subtree(dirs)
	for _, d := range tree {
		// Neither file need exist: cgroup.kill is v2 from Linux 5.14 on, pids.max needs the controller.
		_ = os.WriteFile(filepath.Join(d, "pids.max"), []byte("0"), 0)
	}
	for _, d := range dirs {
		_ = os.WriteFile(filepath.Join(d, "cgroup.kill"), []byte("1"), 0)
	}
	err := killAll(func() []int { return procsIn(tree) }, deadline)
	for _, d := range dirs { // what is used again must let processes in again
		_ = os.WriteFile(filepath.Join(d, "pids.max"), []byte("max"), 0)
	}
	return err
}

// clearTree kills everything below dirs and removes the cgroups, those of dirs too if asked.
func clearTree(dirs []string, itself bool) error {
	deadline := time.Now().Add(clearTimeout)
	if err := killTree(dirs, deadline); err != nil {
		return fmt.Errorf("cannot clear cgroup %q: %w", dirs[0], err)
	}
	// The first hierarchy holds the lock and goes last.
	for _, d := range subtree(dirs) {
		if !itself && slices.Contains(dirs, d) || d == dirs[0] {
			continue
		}
		if err := removeCgroup(d, deadline); err != nil {
			return err
		}
	}
	if itself {
		return removeCgroup(dirs[0], deadline)
	}
	return nil
}

// removeCgroup removes one cgroup; the kernel may hold it for a moment after its last process ended.
func removeCgroup(dir string, deadline time.Time) error {
	for {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) || !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("cannot remove cgroup %q: %w", dir, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
