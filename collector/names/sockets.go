package names

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/collector/host"
)

// DefaultSockets are the paths of Docker's and podman's sockets: the system's, and those of users who run a rootless one. In a container the
// machine's root may hold them, or somebody mounted one by itself, in an empty image below /var/run.
func DefaultSockets(h host.Host) []string {
	var out []string
	var seen []os.FileInfo
	for _, usual := range []string{"/run/docker.sock", "/run/podman/podman.sock", "/run/user/*/docker.sock", "/run/user/*/podman/podman.sock"} {
		found := false
		for _, pattern := range []string{h.Path(usual), usual, "/var" + usual} {
			all, _ := filepath.Glob(pattern) // the pattern is well formed
			for _, p := range all {
				st, err := os.Stat(p)
				if err != nil || slices.ContainsFunc(seen, func(x os.FileInfo) bool { return os.SameFile(x, st) }) {
					continue
				}
				seen, out, found = append(seen, st), append(out, p), true
			}
		}
		if !found && !strings.Contains(usual, "*") {
			out = append(out, h.Path(usual)) // it may come
		}
	}
	return out
}

// Hidden are the folders that may hold the socket of a user's runtime and that this process may not look into.
func Hidden(h host.Host) (out []string) {
	users, _ := filepath.Glob(h.Path("/run/user/*")) // the pattern is well formed
	for _, dir := range users {
		if _, err := os.ReadDir(dir); errors.Is(err, os.ErrPermission) {
			out = append(out, dir)
		}
	}
	return out
}
