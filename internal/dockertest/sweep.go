package dockertest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// folders is where tests have their folders: the prefix of their names, which the number of the test's process follows.
const folders = "/tmp/plimsoll-docker-"

// sweep clears what killed tests have left: the folders of processes that are no more.
func sweep() {
	all, _ := filepath.Glob(folders + "*") // the pattern is well formed
	for _, dir := range all {
		number, _, _ := strings.Cut(strings.TrimPrefix(dir, folders), "-")
		if pid, err := strconv.Atoi(number); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			wipe(dir)
		}
	}
}

// wipe ends what still runs for a folder, unmounts what is mounted below it, and removes it with its containers' cgroups.
func wipe(dir string) {
	for range 100 {
		left := running(dir)
		if len(left) == 0 {
			break
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, at := range mounted(dir) {
		_ = syscall.Unmount(at, syscall.MNT_DETACH) // what is left is seen by the removal
	}
	containers, _ := filepath.Glob(dir + "/data/containers/*")
	for _, c := range containers {
		for _, pattern := range []string{"/sys/fs/cgroup/docker/", "/sys/fs/cgroup/*/docker/"} {
			cgroups, _ := filepath.Glob(pattern + filepath.Base(c))
			for _, g := range cgroups {
				if !removed(g) {
					return // the folder tells the next test of it
				}
			}
		}
	}
	_ = os.RemoveAll(dir) // the next test tries again
}

// removed removes a cgroup, which is busy until the last of its processes is gone: on a busy machine some seconds after it was killed.
func removed(cgroup string) bool {
	for range 500 {
		if err := syscall.Rmdir(cgroup); err == nil || errors.Is(err, syscall.ENOENT) {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// mounted is what is mounted below a folder, what came last first.
func mounted(dir string) (out []string) {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			out = append(out, f[4])
		}
	}
	slices.Reverse(out)
	return out
}

// running are the processes that work for a folder, which they have on their command lines, and their children.
func running(dir string) (out []int) {
	parents, all := map[int]int{}, []int{}
	entries, _ := os.ReadDir("/proc")
	for _, x := range entries {
		pid, err := strconv.Atoi(x.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		command, _ := os.ReadFile("/proc/" + x.Name() + "/cmdline")
		stat, _ := os.ReadFile("/proc/" + x.Name() + "/stat")
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		fields := strings.Fields(string(rest))
		if len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		parents[pid], _ = strconv.Atoi(fields[1])
		all = append(all, pid)
		if bytes.Contains(command, []byte(dir+"/")) {
			out = append(out, pid)
		}
	}
	for more := true; more; {
		more = false
		for _, pid := range all {
			if slices.Contains(out, parents[pid]) && !slices.Contains(out, pid) {
				out, more = append(out, pid), true
			}
		}
	}
	return out
}
