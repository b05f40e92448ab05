package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrInUse is a folder that another process has.
var ErrInUse = errors.New("is in use")

// Folder is a folder that this process has for itself. The kernel gives it up when the process ends, however it ends, and when
// nothing refers to the Folder any more.
type Folder struct {
	// Dir is its path.
	Dir  string
	lock *os.File
}

// Claim makes a folder if it is not there and claims it; what ("data folder") is what errors call it. The file "lock" in it
// stays when the claim is given up; it holds the pid of its holder.
func Claim(what, dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("cannot make %s %q: %w", what, dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s %q: %w", what, dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 64))
		_ = f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("cannot lock %s %q: %w", what, dir, err)
		}
		holder := "another process"
		if p := strings.TrimSpace(string(pid)); p != "" {
			holder = "process " + p
		}
		return nil, fmt.Errorf("%s %q %w by %s: stop it, or choose another folder", what, dir, ErrInUse, holder)
	}
	// The pid is for people. On a full disk it may be missing; the lock holds all the same.
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return &Folder{Dir: dir, lock: f}, nil
}

// Release gives the folder up.
func (f *Folder) Release() error { return f.lock.Close() }
