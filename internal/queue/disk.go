package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// disk is what of the operating system tests let fail.
type disk interface {
	// write writes all of b at an offset.
	write(f *os.File, b []byte, off int64) (int, error)
	// open opens a segment for reading.
	open(path string) (*os.File, error)
	// sync puts a file on the disk.
	sync(f *os.File) error
	// syncDir puts the names in a folder on the disk.
	syncDir(dir string) error
	// free is how many bytes the folder's file system has for processes without privileges.
	free(dir string) (int64, error)
}

type osDisk struct{}

func (osDisk) open(path string) (*os.File, error) { return os.Open(path) }

func (osDisk) write(f *os.File, b []byte, off int64) (int, error) { return f.WriteAt(b, off) }

// sync waits for the data and the length of the file, and leaves its other times to the kernel.
func (osDisk) sync(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		for {
			if failed = unix.Fdatasync(int(fd)); !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, failed)
}

func (osDisk) free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("cannot look at the disk of %q: %w", dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// syncDir calls fsync: fdatasync may leave out a name that needed no new block.
func (osDisk) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// replace writes a file so that after a crash either the old or the new one is there, whole.
func replace(d disk, path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = d.write(f, b, 0)
	if err == nil {
		err = d.sync(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return d.syncDir(filepath.Dir(path))
}

// writeAgain reads a part of a file, writes it once more in place, and syncs. The handle is a new one: it can write, and what
// the old one was told of its failure is over.
func writeAgain(d disk, path string, from, to int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 64<<10)
	for off := from; off < to && err == nil; off += int64(len(b)) {
		part := b[:min(int64(len(b)), to-off)]
		if _, err = f.ReadAt(part, off); err == nil {
			_, err = d.write(f, part, off)
		}
	}
	if err == nil {
		err = d.sync(f)
	}
	return errors.Join(err, f.Close())
}

// dirLock is the claim on a folder. The kernel gives it up when the process ends, however it ends.
type dirLock struct{ f *os.File }

// lockDir claims the folder. The lock file stays when the claim is given up; it holds the pid of its holder.
func lockDir(dir string) (*dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("cannot lock queue folder %q: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 64))
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			holder := "another process"
			if p := strings.TrimSpace(string(pid)); p != "" {
				holder = "process " + p
			}
			return nil, fmt.Errorf("queue folder %q is in use by %s: stop it, or choose another folder: %w", dir, holder, ErrLocked)
		}
		return nil, fmt.Errorf("cannot lock queue folder %q: %w", dir, err)
	}
	// The pid is for people. On a full disk it may be missing; the lock holds all the same.
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return &dirLock{f}, nil
}

func (l *dirLock) release() error { return l.f.Close() }

// passing says that a file may well be readable later: the process has too many files open, or not the right to. What is
// missing, is no file, or cannot be read from the disk's surface is damage.
func passing(err error) bool {
	var no unix.Errno
	return errors.As(err, &no) && !slices.Contains([]unix.Errno{unix.ENOENT, unix.EIO, unix.EISDIR, unix.ENOTDIR, unix.ELOOP, unix.EUCLEAN}, no)
}

// isFull says whether an error means that there is no room.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
