package cgroup

import (
	"time"

	"golang.org/x/sys/unix"
)

// dir is one cgroup's directory in one hierarchy.
type dir struct {
	hier   int
	path   string // below the mount point; "" for the root
	ino    uint64 // a cgroup made again under the same name has another one
	born   time.Time
	nlink  uint64
	mtime  int64
	wd     int32 // the inotify watch; -1: polled
	parent *dir
	kids   map[string]*dir
}

// tree knows all cgroup directories, and finds out which come and go.
type tree struct {
	hier   []hierarchy
	to     *members // are told what changes
	roots  []*dir
	polled map[*dir]bool // directories without a watch
	watch  *watcher      // nil: all are polled
	buf    []byte
}

func newTree(hier []hierarchy, to *members, w *watcher) *tree {
	return &tree{hier: hier, to: to, watch: w, polled: map[*dir]bool{}, buf: make([]byte, 1<<15)}
}

// start walks everything once.
func (t *tree) start() {
	for i := range t.hier {
		d := &dir{hier: i, wd: -1}
		t.roots = append(t.roots, d)
		if t.stat(d) {
			t.enter(d)
		}
	}
}

// follow takes in what has changed since the last call. all looks at every directory, watched or not.
func (t *tree) follow(all bool) (lost bool, err error) {
	if t.watch != nil {
		lost, err = t.watch.events(t.visit)
	}
	if all || lost {
		for _, d := range t.roots {
			t.checkAll(d)
		}
		return lost, err
	}
	for d := range t.polled {
		t.check(d)
	}
	return lost, err
}

// name returns the full path of a directory.
func (t *tree) name(d *dir) string { return t.hier[d.hier].dir + d.path }

// stat fills in what the kernel says about a directory. False: it is gone or cannot be looked at.
func (t *tree) stat(d *dir) bool {
	var st unix.Stat_t
	if err := unix.Stat(t.name(d), &st); err != nil {
		t.to.refused(t.name(d), reasonOf(err))
		return false
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return false
	}
	d.ino, d.nlink, d.mtime = st.Ino, uint64(st.Nlink), st.Mtim.Nano() //nolint:unconvert // Nlink has 32 bits on some architectures
	return true
}

// enter watches a directory that stat has seen, and takes in its children. The watch comes first, so that no child is
// missed between the two.
func (t *tree) enter(d *dir) {
	if t.watch == nil || t.watch.add(d, t.name(d)) != nil {
		t.polled[d] = true
	} else if !t.stat(d) { // a child may have come before the watch
		return
	}
	t.list(d)
}

// list compares a directory's children with those known. A link count of two says that there are none (kernfs and
// most file systems count subdirectories; those that do not say one).
func (t *tree) list(d *dir) {
	if d.nlink == 2 {
		for _, k := range d.kids {
			t.remove(k)
		}
		return
	}
	names, err := t.readdir(t.name(d))
	if err != nil {
		t.to.refused(t.name(d), reasonOf(err))
		return
	}
	for n, k := range d.kids {
		if !names[n] {
			t.remove(k)
		}
	}
	for n := range names {
		t.visit(d, n)
	}
}

// visit finds out what became of the child of a name: new, the same, another of the same name, or gone.
func (t *tree) visit(parent *dir, name string) {
	k := &dir{hier: parent.hier, path: parent.path + "/" + name, wd: -1, parent: parent}
	old := parent.kids[name]
	ok := t.stat(k)
	if old != nil {
		if ok && old.ino == k.ino {
			return
		}
		t.remove(old)
	}
	if !ok {
		return
	}
	if !t.to.admit(k.path) {
		t.to.refused(t.name(k), limit)
		return
	}
	k.born = t.birth(k)
	if parent.kids == nil {
		parent.kids = map[string]*dir{}
	}
	parent.kids[name] = k
	t.to.appear(k)
	t.enter(k)
}

// birth is when the cgroup was made, as cAdvisor tells it: kernfs knows no birth time, but gives a directory the time
// of its first look-up as its time of change, and may renew it when a child is made; so it does for the
// file that is never written. The older of the two is right.
func (t *tree) birth(d *dir) time.Time {
	ns := d.mtime
	for _, f := range []string{"/cgroup.clone_children", "/cgroup.events"} {
		var st unix.Stat_t
		if unix.Stat(t.name(d)+f, &st) == nil {
			ns = min(ns, st.Mtim.Nano())
			break
		}
	}
	return time.Unix(0, ns)
}

// remove forgets a directory and all below it.
func (t *tree) remove(d *dir) {
	for _, k := range d.kids {
		t.remove(k)
	}
	if t.watch != nil {
		t.watch.remove(d)
	}
	delete(t.polled, d)
	if d.parent == nil {
		return
	}
	delete(d.parent.kids, d.base())
	t.to.vanish(d)
}

// check looks at one directory: whether it is still itself and whether its children changed.
func (t *tree) check(d *dir) {
	nlink, mtime := d.nlink, d.mtime
	if t.same(d) && (d.nlink != nlink || d.nlink < 2 && d.mtime != mtime) {
		t.list(d)
	}
}

// checkAll looks at a directory and all below it, and lists each: a child that came while another went
// leaves the link count as it was. A directory without a watch is tried again.
func (t *tree) checkAll(d *dir) {
	if !t.same(d) {
		return
	}
	if t.watch != nil && d.wd < 0 {
		delete(t.polled, d)
		t.enter(d)
	} else {
		t.list(d)
	}
	for _, k := range d.kids {
		t.checkAll(k)
	}
}

// same renews what is known of a directory. If it is gone, or another has taken its name, that is dealt with
// and the answer is false.
func (t *tree) same(d *dir) bool {
	if !t.known(d) {
		return false // it was removed while the caller had it
	}
	ino := d.ino
	if t.stat(d) && (d.ino == ino || d.parent == nil) {
		return true
	}
	if d.parent != nil {
		d.ino = 0 // no inode has this number: look sees another directory
		t.visit(d.parent, d.base())
		if p := d.parent; p.wd < 0 && t.stat(p) {
			t.list(p) // another may have come at the same time: then the link count tells nothing
		}
	}
	return false
}

// known says whether the directory is part of the tree.
func (t *tree) known(d *dir) bool { return d.parent == nil || d.parent.kids[d.base()] == d }

// base is the last part of the path.
func (d *dir) base() string { return d.path[len(d.parent.path)+1:] }

// readdir returns the names of the subdirectories.
func (t *tree) readdir(name string) (map[string]bool, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	out := map[string]bool{}
	for {
		n, err := unix.Getdents(fd, t.buf)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return out, nil
		}
		for b := t.buf[:n]; len(b) > 0; {
			var name string
			var isDir bool
			if name, isDir, b = dirent(b); isDir && name != "." && name != ".." {
				out[name] = true
			}
		}
	}
}

// giveUpWatching polls everything from now on.
func (t *tree) giveUpWatching() {
	for _, d := range t.watch.dirs {
		d.wd = -1
		t.polled[d] = true
	}
	t.watch.close()
	t.watch = nil
}

func (t *tree) close() {
	if t.watch != nil {
		t.watch.close()
	}
}
