package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/metric"
)

// These are what the tests on real cgroups share: on this machine's own (version 1, or 2 where it has that) and in
// the virtual machine.

// namer gives every cgroup below a folder a name, always the same pointer.
type namer struct {
	waits string // the path of a cgroup that waits for its name
	but   string // the path of one that has no name
	turns uint64
	below string
	known map[string]*metric.Entity
}

func newNamer(below string) *namer { return &namer{below: below, known: map[string]*metric.Entity{}} }

func (n *namer) Name(path string) (*metric.Entity, bool) {
	if !strings.HasPrefix(path, n.below+"/") || path == n.waits || path == n.but {
		return nil, false
	}
	e := n.known[path]
	if e == nil {
		e = &metric.Entity{Level: metric.Container, Node: "n", Container: filepath.Base(path), ID: path}
		n.known[path] = e
	}
	return e, true
}

func (n *namer) Waits(path string) bool { return path == n.waits }

func (n *namer) Turns() uint64 { return n.turns }

// realLayout finds the machine's cgroups and skips where the test may not make any.
func realLayout(t testing.TB) layout {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the test makes cgroups")
	}
	l, err := detect(host.Host{}.Settled())
	if errors.Is(err, ErrNoCgroups) {
		t.Skip("needs cgroups: none are mounted on /sys/fs/cgroup")
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// group is a cgroup made by a test, in all hierarchies that are read.
type group struct {
	l    layout
	path string
}

// newGroup makes a cgroup that is removed with everything in it when the test ends.
func newGroup(t testing.TB, l layout, name string) group {
	t.Helper()
	g := group{l, "/plimsoll-test-" + name + "-" + strconv.Itoa(os.Getpid())}
	g.make(t)
	t.Cleanup(func() { g.remove(t) })
	return g
}

func (g group) child(name string) group { return group{g.l, g.path + "/" + name} }

func (g group) make(t testing.TB) {
	t.Helper()
	for _, h := range g.l.hierarchies {
		dir := h.dir + g.path
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if g.l.info.Version == V2 {
			if err := os.WriteFile(dir+"/cgroup.subtree_control", []byte("+cpu +memory"), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// remove removes the cgroup and those below it.
func (g group) remove(t testing.TB) {
	t.Helper()
	for _, h := range g.l.hierarchies {
		var dirs []string
		_ = filepath.WalkDir(h.dir+g.path, func(p string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, p)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := retryBusy(func() error { return unix.Rmdir(dirs[i]) }); err != nil {
				t.Errorf("cannot remove %q: %v", dirs[i], err)
			}
		}
	}
}

// retryBusy waits for a killed process to leave its cgroup.
func retryBusy(f func() error) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if err := f(); !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return err
		}
	}
}

// set writes one of the cgroup's files, in the hierarchy that has it.
func (g group) set(t testing.TB, file, value string) {
	t.Helper()
	for _, h := range g.l.hierarchies {
		name := h.dir + g.path + "/" + file
		if _, err := os.Stat(name); err != nil {
			continue
		}
		if err := os.WriteFile(name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no hierarchy has %q", file)
}

// run starts a shell that joins the cgroup and then becomes the command. It is killed when the test ends.
func (g group) run(t testing.TB, command string) *exec.Cmd {
	t.Helper()
	var script strings.Builder
	for _, h := range g.l.hierarchies {
		fmt.Fprintf(&script, "echo $$ >%s%s/cgroup.procs && ", h.dir, g.path)
	}
	cmd := exec.Command("sh", "-c", script.String()+"exec "+command)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
	})
	return cmd
}

// leaf makes a child that processes may join: in version 2 only a cgroup without enabled children may hold any.
func (g group) leaf(t testing.TB, name string) group {
	t.Helper()
	c := g.child(name)
	for _, h := range c.l.hierarchies {
		if err := os.Mkdir(h.dir+c.path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func newReader(t testing.TB, below string, change ...func(*Options)) *Reader {
	t.Helper()
	o := Options{Node: "n", Namer: newNamer(below)}
	for _, f := range change {
		f(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// find returns a container's group, nil if the batch has none.
func find(b *metric.Batch, path string) *metric.Group {
	for i := range b.Groups {
		if b.Groups[i].Entity.ID == path {
			return &b.Groups[i]
		}
	}
	return nil
}

// value returns a point of a group.
func value(g *metric.Group, id metric.ID) (metric.Point, bool) {
	if g != nil {
		for _, p := range g.Points {
			if p.ID == id {
				return p, true
			}
		}
	}
	return metric.Point{}, false
}

// eventually reads until ok says that what it waits for is there; it fails the test after the time.
func eventually(t testing.TB, r *Reader, within time.Duration, what string, ok func(*metric.Batch) bool) *metric.Batch {
	t.Helper()
	var b *metric.Batch
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if b = r.Read(time.Now()); ok(b) {
			return b
		}
	}
	t.Fatalf("not within %v: %s; last batch: %+v, gaps %+v", within, what, b.Groups, b.Gaps)
	return nil
}
