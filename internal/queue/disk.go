package queue

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/disk"
)

// files is what of the operating system tests let fail.
type files interface {
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

func (osDisk) open(path string) (*os.File, error) { return disk.Open(path, os.O_RDONLY) }

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

func (osDisk) free(dir string) (int64, error) { return disk.Free(dir) }

// syncDir calls fsync: fdatasync may leave out a name that needed no new block.
func (osDisk) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// replace writes a file so that after a crash either the old or the new one is there, whole.
func replace(d files, path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := disk.Create(tmp)
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
func writeAgain(d files, path string, from, to int64) error {
	f, err := disk.Open(path, os.O_RDWR)
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

// passing says that a file may well be readable later: the process has too many files open, or not the right to. What is
// missing, is no file, or cannot be read from the disk's surface is damage.
func passing(err error) bool {
	var no unix.Errno
	return errors.As(err, &no) && !slices.Contains([]unix.Errno{unix.ENOENT, unix.EIO, unix.EISDIR, unix.ENOTDIR, unix.ELOOP, unix.EUCLEAN}, no)
}
