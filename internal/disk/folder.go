package disk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrInUse is a folder that another process has.
var ErrInUse = errors.New("is in use")

// ErrNoFile is something where a file or folder of our own is to be, and that is neither: a link to elsewhere, a pipe, a device.
var ErrNoFile = errors.New("which is not followed")

// OnlyFiles says whether what is at a path, and all below it, is a file or a folder. Whoever may write there must not have another file emptied by a
// link, nor a start hang on a pipe. Sockets are left alone, since nobody opens them. That there is nothing yet is well.
func OnlyFiles(path string) error {
	return filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%q is a symbolic link, %w: move the whole folder, or mount the disk there", at, ErrNoFile)
		case d.Type()&(fs.ModeNamedPipe|fs.ModeDevice|fs.ModeIrregular) != 0:
			return fmt.Errorf("%q is a pipe or a device, %w: remove it", at, ErrNoFile)
		}
		return nil
	})
}

// Open opens a file of our own, and no other, whoever has put what there since OnlyFiles looked: no link leads elsewhere, no pipe is waited for, and
// nothing is written to, or emptied, that has another name (a hard link).
func Open(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags&^os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o640)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%q is a symbolic link, %w: remove it", path, ErrNoFile)
	}
	if errors.Is(err, unix.ENXIO) {
		return nil, fmt.Errorf("%q is a pipe or a device, %w: remove it", path, ErrNoFile)
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%q is a folder, a pipe or a device, %w: remove it", path, ErrNoFile), err, f.Close())
	}
	if own, ok := st.Sys().(*syscall.Stat_t); ok && own.Nlink > 1 && flags&(os.O_WRONLY|os.O_RDWR) != 0 {
		return nil, errors.Join(fmt.Errorf("%q is a hard link (the file has %d names), %w: put a copy in its place, or remove it", path, own.Nlink, ErrNoFile), f.Close())
	}
	if flags&os.O_TRUNC != 0 {
		if err := f.Truncate(0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// Cut shortens a file of our own: one of this name alone, as by another it may be somebody's copy of the folder.
func Cut(path string, end int64) error {
	f, err := Open(path, os.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(end), f.Close())
}

// Create makes a new file in the place of whatever has its name: what a link there leads to stays as it is.
func Create(path string) (*os.File, error) {
	if err := unix.Unlink(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // not os.Remove, which takes folders too
		return nil, &fs.PathError{Op: "unlink", Path: path, Err: err}
	}
	return Open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// ReadFile reads a file of our own, and no other.
func ReadFile(path string) ([]byte, error) {
	f, err := Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var size int64
	if st, err := f.Stat(); err == nil {
		size = st.Size()
	}
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err = b.ReadFrom(f)
	return b.Bytes(), err
}

// Sub makes a folder of our own below a claimed one, if it is not there: a link in its place is not followed.
func Sub(path string) error {
	if err := os.Mkdir(path, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return NoLink(path)
}

// NoLink says that a folder of our own is one, and no link that somebody put there since.
func NoLink(path string) error {
	if st, err := os.Lstat(path); err != nil || !st.IsDir() {
		return cmp.Or(err, fmt.Errorf("%q is no folder but a link or a file, %w: remove it", path, ErrNoFile))
	}
	return nil
}

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
	if name := ofKernel(dir); name != "" {
		return nil, fmt.Errorf("cannot use %s %q: it is of the kernel's own file system %s, which keeps no files: name a folder on a disk", what, dir, name)
	}
	if err := OnlyFiles(dir + "/."); err != nil { // the folder itself may be a link
		return nil, fmt.Errorf("cannot use %s %q: %w", what, dir, err)
	}
	f, err := Open(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s %q: %w", what, dir, err)
	}
	if _, err := lock(f, unix.LOCK_EX, what, dir); err != nil {
		_ = f.Close()
		return nil, err
	}
	// The pid is for people. On a full disk it may be missing; the lock holds all the same.
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return &Folder{Dir: dir, lock: f}, nil
}

// ofKernel names the file system of a folder that is the kernel's view of itself; "" if it is none.
func ofKernel(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return "" // whoever uses the folder will say so
	}
	switch int64(s.Type) { //nolint:unconvert // Type has 32 bits on some architectures
	case unix.PROC_SUPER_MAGIC:
		return "proc"
	case unix.SYSFS_MAGIC:
		return "sysfs"
	case unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC:
		return "cgroup"
	}
	return ""
}

// Holder returns the error with which Claim would refuse a folder, and the pid of the process that has it, as far as they are
// known. It makes nothing, and lets others look at the same time.
func Holder(what, dir string) (pid int, err error) {
	f, err := Open(filepath.Join(dir, "lock"), os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot lock %s %q: %w", what, dir, err)
	}
	defer f.Close()
	return lock(f, unix.LOCK_SH, what, dir)
}

// lock locks the file of a folder, or says who has it.
func lock(f *os.File, how int, what, dir string) (pid int, err error) {
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if err == nil {
		return 0, nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return 0, fmt.Errorf("cannot lock %s %q: %w", what, dir, err)
	}
	text, _ := io.ReadAll(io.LimitReader(f, 64))
	holder := "another process"
	if p := strings.TrimSpace(string(text)); p != "" {
		holder = "process " + p
		pid, _ = strconv.Atoi(p)
	}
	return pid, fmt.Errorf("%s %q %w by %s: stop it, or choose another folder", what, dir, ErrInUse, holder)
}

// Release gives the folder up.
func (f *Folder) Release() error { return f.lock.Close() }
