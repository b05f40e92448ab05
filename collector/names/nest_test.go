package names

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// forest is a made-up tree of cgroups, with the number of processes that are in each.
type forest map[string]int

func (f forest) kids(p string) (out []string) {
	for c := range f {
		if path.Dir(c) == p {
			out = append(out, path.Base(c))
		}
	}
	return out
}

// in makes a Names that sees the forest.
func (f forest) in(t *testing.T) *Names {
	t.Helper()
	n, err := New(Options{Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	n.kids, n.hasKids = f.kids, func(p string) bool { return len(f.kids(p)) > 0 }
	n.inUse, n.exists = func(p string) bool { return f[p] > 0 }, func(p string) bool { _, ok := f[p]; return ok }
	return n
}

// rows asks for all cgroups, whichever comes first, as the readers do, and lists those that are measured.
func (f forest) rows(n *Names) string {
	var out []string
	for turns := n.Turns() + 1; turns != n.Turns(); {
		turns, out = n.Turns(), nil
		for c := range f {
			if _, ok := n.Name(c); ok {
				out = append(out, c)
			}
		}
	}
	return strings.Join(slices.Sorted(slices.Values(out)), " ")
}

// TestOutermostWithProcesses: a plain cgroup with processes of its own is the container, and all below is part of it; one that has only
// others in it is a folder.
func TestOutermostWithProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := forest{"/a": 0, "/a/web": 1}
		n := f.in(t)
		expect := func(when, want string) {
			t.Helper()
			if got := f.rows(n); got != want {
				t.Errorf("%s: measured are %q, want %q", when, got, want)
			}
		}
		expect("a folder", "/a/web")
		first, _ := n.Name("/a/web")
		f["/a/web/inner"] = 1
		expect("a part is made", "/a/web")
		f["/a/web/inner/more"] = 1
		expect("and one in it", "/a/web")
		delete(f, "/a/web/inner/more")
		delete(f, "/a/web/inner")
		expect("the parts have ended", "/a/web")
		if again, _ := n.Name("/a/web"); again != first {
			t.Error("the entity changed although the cgroup lived on")
		}
		f["/a/web"] = 0
		expect("what its children used is all that it has", "")
		f["/a/web/inner"] = 1
		expect("a folder now", "/a/web/inner")

		g := forest{"/b": 2, "/b/c": 1, "/b/c/d": 1} // as it is found when this process starts
		f, n = g, g.in(t)
		expect("found with parts", "/b")
	})
}

// TestRowsDoNotFlap: a process that is in a folder for a moment changes no row, and neither does a container that has none for a moment.
func TestRowsDoNotFlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := forest{"/b": 0, "/b/c1": 1, "/b/c2": 1}
		n := f.in(t)
		after := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			if got := f.rows(n); got != want {
				t.Errorf("measured are %q, want %q", got, want)
			}
		}
		const folder, whole = "/b/c1 /b/c2", "/b"
		after(0, folder)
		f["/b"] = 1
		after(0, folder)
		after(settle-time.Second, folder)
		f["/b"] = 0 // it was there for a moment
		after(2*time.Second, folder)
		f["/b"] = 1
		after(0, folder)
		after(settle, whole) // it stays
		f["/b"] = 0
		after(0, whole)
		after(settle-time.Second, whole)
		f["/b"] = 1
		after(2*time.Second, whole)
		f["/b"] = 0
		after(0, whole)
		after(settle, folder)
	})
}

// TestDeepTreeIsLookedAtOnce: a pass over a chain of cgroups and many beside each other looks at each of them a few times, however long it takes.
func TestDeepTreeIsLookedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kids, all := map[string][]string{}, []string{}
		add := func(p string) {
			kids[path.Dir(p)] = append(kids[path.Dir(p)], path.Base(p))
			all = append(all, p)
		}
		for p, i := "", 0; i < 300; i++ {
			p += "/d"
			add(p)
		}
		for i := range 300 {
			add(fmt.Sprintf("/d/w%d", i))
		}
		looks := 0
		n, err := New(Options{Node: "n1"})
		if err != nil {
			t.Fatal(err)
		}
		slow := func() { looks++; time.Sleep(time.Millisecond) } // as on a machine that is busy
		n.kids = func(p string) []string { slow(); return kids[p] }
		n.hasKids = func(p string) bool { slow(); return len(kids[p]) > 0 }
		n.inUse, n.exists = func(string) bool { slow(); return false }, func(string) bool { return true }
		for pass := range 3 {
			began := time.Now()
			looks = 0
			for _, p := range all {
				n.Name(p)
			}
			if took := time.Since(began); looks > 12*len(all) || took > 10*time.Second {
				t.Errorf("pass %d of %d cgroups: %d looks, %v", pass, len(all), looks, took)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// TestNamesBeatFolders: no process in a folder hides what has a name of its own there: a container of a runtime, a pod, a unit.
func TestNamesBeatFolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, named := range []string{"/b/" + idA, "/b/kubepods/pod" + uid + "/" + idA, "/b/system.slice/ssh.service", "/b/c/docker/" + idA} {
			f := forest{"/b": 1, "/b/c": 1}
			n := f.in(t)
			if got, want := f.rows(n), "/b"; got != want {
				t.Errorf("measured are %q, want %q", got, want)
			}
			for p := named; p != "/"; p = path.Dir(p) {
				f[p] += 0
			}
			f[named] = 1
			want := "/b/c " + named
			if strings.HasPrefix(named, "/b/c/") {
				want = named
			} else if named < "/b/c" {
				want = named + " /b/c"
			}
			if got := f.rows(n); got != want {
				t.Errorf("measured are %q, want %q", got, want)
			}
		}
		slice := forest{"/user.slice": 1, "/user.slice/user-1000.slice": 1, "/user.slice/user-1000.slice/session-3.scope": 1, "/docker": 1, "/docker/" + idA: 1}
		if got, want := slice.rows(slice.in(t)), "/docker/"+idA+" /user.slice/user-1000.slice/session-3.scope"; got != want {
			t.Errorf("measured are %q, want %q", got, want)
		}
	})
}
