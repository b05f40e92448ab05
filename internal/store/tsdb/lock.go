package tsdb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dirLock is the claim on a data folder. The kernel gives it up when the process ends, however it ends.
type dirLock struct{ f *os.File }

// lockDir claims the folder. The lock file stays when the claim is given up; it holds the pid of its holder.
func lockDir(dir string) (*dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return nil, fmt.Errorf("cannot lock data folder %q: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 64))
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %q is in use by %s: stop it, or choose another folder", dir, process(string(holder)))
		}
		return nil, fmt.Errorf("cannot lock data folder %q: %w", dir, err)
	}
	// The pid is for people. On a full disk it may be missing; the lock holds all the same.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(fmt.Sprintf("%d\n", os.Getpid())), 0)
	return &dirLock{f: f}, nil
}

func process(pid string) string {
	pid = strings.TrimSpace(pid)
	if pid == "" {
		return "another process"
	}
	return "process " + pid
}

// release gives the folder up.
func (l *dirLock) release() error { return l.f.Close() }
