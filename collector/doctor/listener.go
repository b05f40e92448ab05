package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Listens says whether a process listens on a TCP port; an error means that this user cannot know.
func Listens(pid, port int) (bool, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	open, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return false, fmt.Errorf("cannot look at process %d: %w", pid, err)
	}
	has := map[string]bool{}
	for _, fd := range open {
		to, _ := os.Readlink(filepath.Join(dir, "fd", fd.Name())) // one that was closed meanwhile is none
		has[to] = true
	}
	for _, family := range []string{"tcp", "tcp6"} {
		table, _ := os.ReadFile(filepath.Join(dir, "net", family)) // a machine may lack one of them
		for inode := range listening(string(table), port) {
			if has["socket:["+inode+"]"] {
				return true, nil
			}
		}
	}
	return false, nil
}

// listening returns the inodes of the sockets that listen on a port, of the text of /proc/net/tcp.
func listening(table string, port int) map[string]bool {
	const local, state, inode, listen = 1, 3, 9, "0A"
	out := map[string]bool{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > inode && f[state] == listen && strings.HasSuffix(f[local], fmt.Sprintf(":%04X", port)) {
			out[f[inode]] = true
		}
	}
	return out
}
