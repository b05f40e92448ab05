package vmtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
)

// archive is an initramfs in the making: the kernel's "newc" cpio format, written by hand because it is
// simpler than the tool, and not compressed because the emulated CPU would take longer to unpack it.
type archive struct {
	w    *bufio.Writer
	ino  int
	off  int64
	dirs map[string]bool
	err  error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), dirs: map[string]bool{"/": true, ".": true}}
}

// file adds a file with the folders above it.
func (a *archive) file(name string, mode os.FileMode, size int64, r io.Reader) {
	a.dir(path.Dir(name))
	a.entry(name, 0o100000|uint32(mode.Perm()), size, r)
}

// copyFile adds a file of this machine.
func (a *archive) copyFile(name, from string) {
	if a.err != nil {
		return
	}
	f, err := os.Open(from)
	if err != nil {
		a.err = err
		return
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		a.err = err
		return
	}
	a.file(name, st.Mode(), st.Size(), f)
}

// copyTree adds a folder of this machine with everything below it. A folder that is not there adds nothing.
func (a *archive) copyTree(name, from string) {
	list, err := os.ReadDir(from)
	if err != nil {
		if !os.IsNotExist(err) && a.err == nil {
			a.err = err
		}
		return
	}
	a.dir(name)
	sort.Slice(list, func(i, j int) bool { return list[i].Name() < list[j].Name() })
	for _, e := range list {
		in, out := path.Join(name, e.Name()), path.Join(from, e.Name())
		switch {
		case e.IsDir():
			a.copyTree(in, out)
		case e.Type().IsRegular():
			a.copyFile(in, out)
		}
	}
}

func (a *archive) dir(name string) {
	if a.dirs[name] {
		return
	}
	a.dir(path.Dir(name))
	a.dirs[name] = true
	a.entry(name, 0o040755, 0, nil)
}

func (a *archive) entry(name string, mode uint32, size int64, r io.Reader) {
	if a.err != nil {
		return
	}
	if size > 1<<32-1 {
		a.err = fmt.Errorf("cannot pack file %q: %d bytes are more than the format holds", name, size)
		return
	}
	for name != "" && name[0] == '/' {
		name = name[1:]
	}
	a.ino++
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0)
	a.write([]byte(head + name + "\x00"))
	a.pad()
	if r != nil && a.err == nil {
		n, err := io.CopyN(a.w, r, size)
		a.off += n
		if err != nil {
			a.err = fmt.Errorf("cannot pack file %q: %w", name, err)
		}
	}
	a.pad()
}

func (a *archive) pad() { a.write(make([]byte, (4-a.off%4)%4)) }

func (a *archive) write(b []byte) {
	if a.err != nil {
		return
	}
	n, err := a.w.Write(b)
	a.off += int64(n)
	a.err = err
}

// close writes the trailer and reports the first error of all.
func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0, nil)
	if a.err != nil {
		return a.err
	}
	return a.w.Flush()
}
