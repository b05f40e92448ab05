package cgroup

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// watcher is an inotify instance (inotify(7)) that watches cgroup directories for children that come and go. The
// kernel tells of every mkdir, rmdir and rename that was made through the file system, by whatever mount.
type watcher struct {
	fd   int
	dirs map[int32]*dir
	buf  []byte
}

const (
	watchMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR
	// maxEventReads bounds how much of the queue one tick takes.
	maxEventReads = 64
)

func newWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &watcher{fd: fd, dirs: map[int32]*dir{}, buf: make([]byte, 1<<16)}, nil
}

// add watches a directory; name is its full path.
func (w *watcher) add(d *dir, name string) error {
	wd, err := unix.InotifyAddWatch(w.fd, name, watchMask)
	if err != nil {
		return err
	}
	d.wd = int32(wd)
	w.dirs[d.wd] = d
	return nil
}

// remove ends the watch. It is needed even if the directory is gone: the kernel keeps a removed cgroup's inode
// for as long as it is watched.
func (w *watcher) remove(d *dir) {
	if d.wd < 0 {
		return
	}
	if w.dirs[d.wd] == d {
		delete(w.dirs, d.wd)
		_, _ = unix.InotifyRmWatch(w.fd, uint32(d.wd)) // EINVAL: the kernel was faster
	}
	d.wd = -1
}

// events calls f for each child that came or went since the last call. lost says that the kernel's queue
// ran over and everything must be looked at.
func (w *watcher) events(f func(d *dir, name string)) (lost bool, err error) {
	for range maxEventReads {
		n, err := unix.Read(w.fd, w.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return lost, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return lost, err
		}
		if w.decode(w.buf[:n], f) {
			lost = true
		}
	}
	return lost, nil
}

// decode reads struct inotify_event: wd, mask, cookie, len, and a name padded with zeros.
func (w *watcher) decode(b []byte, f func(d *dir, name string)) (lost bool) {
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		size := uint64(binary.NativeEndian.Uint32(b[12:]))
		b = b[unix.SizeofInotifyEvent:]
		if size > uint64(len(b)) {
			return true
		}
		name := b[:size]
		b = b[size:]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		switch d := w.dirs[wd]; {
		case mask&unix.IN_Q_OVERFLOW != 0:
			lost = true
		case d == nil:
		case mask&unix.IN_IGNORED != 0: // the watch ended by itself; the directory is polled until it is removed
			delete(w.dirs, wd)
			d.wd = -1
		case mask&unix.IN_ISDIR != 0 && len(name) > 0:
			f(d, string(name))
		}
	}
	return lost
}

func (w *watcher) close() {
	_ = unix.Close(w.fd) // nothing was written
}
