// Package disk is what the queue and the stores ask of a disk beside files: a folder for one process alone, the room that
// is left, and what a write that failed means.
package disk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Free returns how many bytes the file system of a folder has for processes without privileges.
func Free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("cannot look at the disk of %q: %w", dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// Size writes a number of bytes for people.
func Size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
