package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const topPrefix = "plimsoll-"

// cgroups is the tree of cgroups that holds all replicas of one Plimsoll. Its top is locked with flock for as
// long as Plimsoll or its guard lives, so that a later Plimsoll can tell a leftover from a neighbour.
type cgroups struct {
	v2     bool
	mounts []string // the root of each hierarchy: one for v2; cpu, cpuacct, memory and pids, as far as they differ, for v1
	top    string   // "plimsoll-NUMBER"
	lock   *os.File
}

// findHierarchies looks under the mount point for hierarchies in which CPU and memory are accounted.
func findHierarchies(root string) (mounts []string, v2 bool, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		return nil, false, fmt.Errorf("cannot look at %q: %w", root, err)
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		have, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
		if err != nil {
			return nil, false, err
		}
		for _, c := range []string{"cpu", "memory"} {
			if !slices.Contains(strings.Fields(string(have)), c) {
				return nil, false, fmt.Errorf("cgroup v2 at %q has no %s controller", root, c)
			}
		}
		return []string{root}, true, nil
	}
	seen := map[string]bool{}
	for _, c := range []string{"memory", "cpuacct", "cpu", "pids"} {
		dir, err := filepath.EvalSymlinks(filepath.Join(root, c))
		if err != nil || unix.Statfs(dir, &st) != nil || st.Type != unix.CGROUP_SUPER_MAGIC {
			if c == "pids" {
				continue
			}
			return nil, false, fmt.Errorf("%q has no cgroup hierarchy for %s", root, c)
		}
		if !seen[dir] {
			seen[dir] = true
			mounts = append(mounts, dir)
		}
	}
	return mounts, false, nil
}

// openCgroups makes and locks the top of our tree. Leftovers under the same name are cleared first.
func openCgroups(root, top string) (*cgroups, error) {
	mounts, v2, err := findHierarchies(root)
	if err != nil {
		return nil, err
	}
	c := &cgroups{v2: v2, mounts: mounts, top: top}
	if c.lock, err = lockTop(mounts[0], c.top); err != nil {
		return nil, err
	}
	if err = clearTree(c.dirs(c.top), false); err == nil {
		err = c.mkdirs(c.top)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// lockTop makes the directory and locks it; another Plimsoll that is clearing leftovers may lock and remove it in between.
func lockTop(mount, top string) (*os.File, error) {
	dir := filepath.Join(mount, top)
	var err error
	for range 10 {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("cannot make a cgroup: %w", err)
		}
		var f *os.File
		f, err = tryLock(dir)
		if errors.Is(err, unix.EWOULDBLOCK) {
			time.Sleep(50 * time.Millisecond)
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot lock cgroup %q: %w", dir, err)
		}
		a, err1 := f.Stat()
		b, err2 := os.Stat(dir)
		if err1 == nil && err2 == nil && os.SameFile(a, b) {
			return f, nil
		}
		f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot lock cgroup %q: another Plimsoll holds it: %w", dir, err)
	}
	return nil, fmt.Errorf("cannot keep cgroup %q: it is removed again and again", dir)
}

func tryLock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// mkdirs makes a cgroup with its parents in every hierarchy and, on v2, passes the controllers down to it.
func (c *cgroups) mkdirs(sub string) error {
	for _, m := range c.mounts {
		dir := m
		for part := range strings.SplitSeq(sub, "/") {
			if c.v2 {
				if err := enableControllers(dir); err != nil {
					return err
				}
			}
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("cannot make a cgroup: %w", err)
			}
		}
	}
	return nil
}

func enableControllers(dir string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	have, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read the cgroup's controllers: %w", err)
	}
	for _, ctl := range []string{"cpu", "memory", "pids"} {
		if slices.Contains(strings.Fields(string(have)), ctl) {
			continue
		}
		if err := os.WriteFile(file, []byte("+"+ctl), 0); err != nil && ctl != "pids" {
			return fmt.Errorf("cannot enable the %s controller below %q: %w", ctl, dir, err)
		}
	}
	return nil
}

// dirs returns a cgroup's directory in each hierarchy.
func (c *cgroups) dirs(sub string) []string {
	out := make([]string, len(c.mounts))
	for i, m := range c.mounts {
		out[i] = filepath.Join(m, sub)
	}
	return out
}

// close removes the whole tree, if there is one, and gives the lock back.
func (c *cgroups) close() error {
	if c == nil {
		return nil
	}
	return errors.Join(clearTree(c.dirs(c.top), true), c.lock.Close())
}

// removeParents removes a service's cgroup, and its namespace's, when nothing is in them any more.
func (c *cgroups) removeParents(k Key) {
	for _, d := range c.dirs(c.top) {
		_ = os.Remove(filepath.Join(d, k.Namespace, k.Name)) // not empty: still in use
		_ = os.Remove(filepath.Join(d, k.Namespace))
	}
}

// clearLeftovers clears the trees of Plimsolls that died together with their guards: nobody holds the lock. Whether a process of that
// number lives says nothing: the first process of every container is 1. It returns the names of what it cleared.
func clearLeftovers(root string) (cleared []string, err error) {
	mounts, _, err := findHierarchies(root)
	if err != nil {
		return nil, nil //nolint:nilerr // no cgroups, no leftovers
	}
	names := map[string]bool{}
	for _, m := range mounts {
		dirs, _ := filepath.Glob(filepath.Join(m, topPrefix+"[0-9]*"))
		for _, d := range dirs {
			names[filepath.Base(d)] = true
		}
	}
	var errs []error
	for name := range names {
		if strings.Trim(strings.TrimPrefix(name, topPrefix), "0123456789") != "" {
			continue
		}
		ours := &cgroups{mounts: mounts, top: name}
		lock, err := tryLock(filepath.Join(mounts[0], name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue // a Plimsoll or its guard is at work, or it is not ours to touch
		}
		if ours.odd() {
			// no tree of replicas: somebody else called a cgroup so
		} else if err := clearTree(ours.dirs(name), true); err != nil {
			errs = append(errs, err)
		} else {
			cleared = append(cleared, name)
		}
		if lock != nil {
			lock.Close()
		}
	}
	return cleared, errors.Join(errs...)
}

// odd says whether processes are where no replica is: above namespace, service and replica.
func (c *cgroups) odd() bool {
	above := c.dirs(c.top)
	for _, d := range c.dirs(c.top) {
		for _, pattern := range []string{"*", "*/*"} {
			dirs, _ := filepath.Glob(filepath.Join(d, pattern))
			above = append(above, dirs...)
		}
	}
	return len(procsIn(above)) > 0
}

// clearTimeout is how long killing and removing a tree of cgroups may take.
const clearTimeout = 30 * time.Second
