package host

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxLooked bounds the search for one's own cgroup.
const maxLooked = 100_000

// Holder finds the cgroup of a process of this container, as the machine calls it, in hierarchies that are mounted here: a container whose
// cgroups are named anew does not tell. It is "" where they are not, or if there is none; it is a search through all cgroups.
func (h Host) Holder(pid int, hierarchies []string) string {
	if !apart("cgroup", firstCgroups) {
		return ""
	}
	want, found, looked := []byte(strconv.Itoa(pid)), "", 0
	for _, root := range hierarchies {
		_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error { // what cannot be looked at is not ours
			switch looked++; {
			case err != nil:
				return filepath.SkipDir
			case looked > maxLooked:
				return filepath.SkipAll
			case e.Name() != "cgroup.procs":
				return nil
			}
			data, _ := os.ReadFile(path)
			for line := range bytes.Lines(data) {
				if bytes.Equal(bytes.TrimSpace(line), want) {
					found = "/" + strings.Trim(strings.TrimPrefix(filepath.Dir(path), root), "/")
					return filepath.SkipAll
				}
			}
			return nil
		})
		if found != "" {
			break
		}
	}
	return found
}
