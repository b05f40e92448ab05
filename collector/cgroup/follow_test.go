package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/metric"
)

// These tests follow real cgroups as they come and go; see realTests.

// testChurn makes a thousand cgroups, a hundred at a time, while the reader reads on, and removes them. Each is seen at the
// first tick after it was made, and nothing is left of it when it is gone.
func testChurn(t *testing.T) { churn(t) }

func churn(t *testing.T) *Reader {
	t.Helper()
	top := newGroup(t, realLayout(t), "churn")
	r := newReader(t, top.path)
	stay := top.leaf(t, "stay")
	r.Read(time.Now())
	before := descriptorsOpen(t)
	for round := range 10 {
		var wave []group
		for i := range 100 {
			wave = append(wave, top.leaf(t, fmt.Sprintf("r%dc%d", round, i)))
		}
		b := r.Read(time.Now())
		for _, g := range append(wave, stay) {
			if _, ok := value(find(b, g.path), metric.CPUUsage); !ok {
				t.Fatalf("%s is not in the first batch after it was made", g.path)
			}
		}
		for _, g := range wave {
			g.remove(t)
		}
		b = r.Read(time.Now())
		if len(b.Groups) != 2 || find(b, stay.path) == nil || len(b.Gaps) != len(wave) || slices.ContainsFunc(b.Gaps, func(g metric.Gap) bool { return g.Reason != metric.GapGone }) { // the node and the one that stays
			t.Fatalf("after the wave: got %d groups, gaps %v", len(b.Groups), b.Gaps)
		}
	}
	if after := descriptorsOpen(t); after != before {
		t.Errorf("descriptors: got %d, before %d", after, before)
	}
	if n := len(r.members.byPath) - len(rootNames(r)); n > 2 {
		t.Errorf("%d cgroups are still known", n)
	}
	if w := r.tree.watch; w != nil && len(w.dirs)+len(r.tree.polled) != dirCount(r.tree) {
		t.Errorf("%d watches and %d polled for %d directories", len(w.dirs), len(r.tree.polled), dirCount(r.tree))
	}
	return r
}

// rootNames are the cgroups of this machine that have nothing to do with the test.
func rootNames(r *Reader) map[string]bool {
	out := map[string]bool{}
	for p := range r.members.byPath {
		if !strings.HasPrefix(p, "/plimsoll-test-") {
			out[p] = true
		}
	}
	return out
}

func dirCount(tr *tree) int {
	var below func(kids map[string]*dir) int
	below = func(kids map[string]*dir) int {
		n := len(kids)
		for _, d := range kids {
			n += below(d.kids)
		}
		return n
	}
	n := len(tr.roots)
	for _, d := range tr.roots {
		n += below(d.kids)
	}
	return n
}

func descriptorsOpen(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A thousand come and go while the reader reads as fast as it can: whatever it meets, no tick fails and the one that
// stays is in each.
func TestRealStorm(t *testing.T) {
	top := newGroup(t, realLayout(t), "storm")
	stay := top.leaf(t, "stay")
	r := newReader(t, top.path)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for w := range 2 {
		wg.Go(func() {
			for i := range 500 {
				for _, h := range top.l.hierarchies {
					_ = os.Mkdir(fmt.Sprintf("%s%s/w%d-%d", h.dir, top.path, w, i%50), 0o755)
				}
				for _, h := range top.l.hierarchies {
					_ = unix.Rmdir(fmt.Sprintf("%s%s/w%d-%d", h.dir, top.path, w, i%50))
				}
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	ticks, seen := 0, 0
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
		}
		b := r.Read(time.Now().Add(time.Duration(ticks) * time.Microsecond))
		if _, ok := value(find(b, stay.path), metric.CPUUsage); !ok {
			if len(b.Gaps) > 0 && b.Gaps[0].Reason == "clock" {
				continue
			}
			t.Fatalf("tick %d has not the one that stays: %v", ticks, b.Gaps)
		}
		for _, g := range b.Gaps {
			if g.Reason != metric.GapGone || g.Entity.Container == "stay" {
				t.Errorf("gap %v", g)
			}
		}
		ticks++
		seen += len(b.Groups) - 2
	}
	b := r.Read(time.Now().Add(time.Minute))
	if len(b.Groups) != 2 {
		t.Errorf("at the end: got %d groups", len(b.Groups))
	}
	t.Logf("%d ticks, %d samples of short-lived cgroups", ticks, seen)
}

// testRecreate removes a cgroup and makes it again under the same name, between two ticks.
func testRecreate(t *testing.T) {
	top := newGroup(t, realLayout(t), "recreate")
	r := newReader(t, top.path)
	g := top.leaf(t, "g")
	burn(t, g)
	b := r.Read(time.Now())
	old := find(b, g.path)
	used, ok := value(old, metric.CPUUsage)
	if !ok || used.V == 0 {
		t.Fatalf("got %+v", old)
	}
	time.Sleep(10 * time.Millisecond) // so that the kernel's coarse clock moves on
	g.remove(t)
	g = top.leaf(t, "g")
	b = r.Read(time.Now())
	again := find(b, g.path)
	p, ok := value(again, metric.CPUUsage)
	if !ok || p.V != 0 {
		t.Errorf("made again: got %v, %v, want 0 (before %v)", p, ok, used)
	}
	if !again.Start.After(old.Start) {
		t.Errorf("start: got %v, want after %v", again.Start, old.Start)
	}
	if start, ok := r.Start(g.path); !ok || !start.Equal(again.Start) {
		t.Errorf("Start: got %v, %v, want %v", start, ok, again.Start)
	}
	if age := time.Since(again.Start); age < 0 || age > 10*time.Minute {
		t.Errorf("start: got an age of %v", age)
	}
}

// burn runs a little work to its end.
func burn(t *testing.T, g group) {
	t.Helper()
	cmd := g.run(t, "sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done'")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// testPolled does without inotify.
func testPolled(t *testing.T) {
	top := newGroup(t, realLayout(t), "polled")
	r := newReader(t, top.path)
	r.Read(time.Now())
	r.tree.giveUpWatching()
	g := top.leaf(t, "g")
	if b := r.Read(time.Now()); find(b, g.path) == nil {
		t.Error("a new cgroup is not seen")
	}
	ino := r.members.byPath[g.path].dirs[0].ino
	g.remove(t)
	g = top.leaf(t, "g")
	if b := r.Read(time.Now()); find(b, g.path) == nil || r.members.byPath[g.path].dirs[0].ino == ino || len(b.Gaps) != 0 {
		t.Error("a cgroup made again is not seen as another")
	}
	g.remove(t)
	if b := r.Read(time.Now()); find(b, g.path) != nil || !saidGone(b, "g") {
		t.Error("a removed cgroup is still there")
	}
	if b := r.Read(time.Now()); len(b.Gaps) != 0 {
		t.Errorf("it is gone for the second time: %v", b.Gaps)
	}
	// One goes and one comes: the link count stays.
	a := top.leaf(t, "a")
	r.Read(time.Now())
	a.remove(t)
	c := top.leaf(t, "c")
	if b := r.Read(time.Now()); find(b, a.path) != nil || find(b, c.path) == nil {
		if b = r.Read(time.Now()); find(b, a.path) != nil || find(b, c.path) == nil {
			t.Error("one that came while another went is not seen at the second tick")
		}
	}
}

// saidGone says whether the one thing that a batch lacks is a cgroup that ended.
func saidGone(b *metric.Batch, name string) bool {
	return len(b.Gaps) == 1 && b.Gaps[0].Reason == metric.GapGone && b.Gaps[0].Entity.Container == name
}

// testMidRead removes a cgroup between the look for changes and the reading.
func testMidRead(t *testing.T) {
	top := newGroup(t, realLayout(t), "midread")
	g, stay := top.leaf(t, "g"), top.leaf(t, "stay")
	r := newReader(t, top.path)
	r.Read(time.Now())
	g.remove(t)
	b := &metric.Batch{}
	r.readAll(b)
	if find(b, g.path) != nil || find(b, stay.path) == nil || !saidGone(b, "g") {
		t.Errorf("got %+v, gaps %v", b.Groups, b.Gaps)
	}
	if got := counted(t, r, gone); got == 0 {
		t.Error("the lost samples are not counted")
	}
	if r.members.byPath[g.path] != nil {
		t.Error("the dead cgroup is still known")
	}
	// Made again before the tick: it is read at the next one as a new one.
	g = top.leaf(t, "g")
	r.Read(time.Now())
	g.remove(t)
	g = top.leaf(t, "g")
	b = &metric.Batch{}
	r.readAll(b)
	if b := r.Read(time.Now()); find(b, g.path) == nil {
		t.Error("made again in the middle: not seen")
	}
}

// testBudget reads with hardly any descriptors: the values are the same, and the reads are counted.
func testBudget(t *testing.T) {
	top := newGroup(t, realLayout(t), "budget")
	var all []group
	for i := range 20 {
		all = append(all, top.leaf(t, fmt.Sprint(i)))
	}
	burn(t, all[19])
	poor := newReader(t, top.path, func(o *Options) { o.maxDescriptors = 10 })
	rich := newReader(t, top.path)
	a, b := poor.Read(time.Now()), rich.Read(time.Now())
	for _, g := range all {
		x, ok1 := value(find(a, g.path), metric.CPUUsage)
		y, ok2 := value(find(b, g.path), metric.CPUUsage)
		if !ok1 || !ok2 || x.V != y.V {
			t.Errorf("%s: got %v %v, want %v %v", g.path, x, ok1, y, ok2)
		}
		if _, ok := value(find(a, g.path), metric.MemoryUsage); !ok {
			t.Errorf("%s: no memory", g.path)
		}
	}
	if poor.sampler.opener.kept > 10 {
		t.Errorf("got %d descriptors kept", poor.sampler.opener.kept)
	}
	if got := gathered(t, poor.own.reopened); got < 20 {
		t.Errorf("got %v reads counted", got)
	}
	for _, g := range all[:19] { // room again: the last is kept open at the next rescan
		g.remove(t)
	}
	poor.Read(time.Now().Add(time.Hour))
	if f := poor.members.byPath[all[19].path].files[0]; f.fd < 0 {
		t.Errorf("the file is still opened each time: %+v", f)
	}
}

// testExhausted leaves the process hardly any descriptors at all, whatever the budget says: what cannot be opened is a gap,
// and comes back when there are descriptors again.
func testExhausted(t *testing.T) {
	top := newGroup(t, realLayout(t), "exhausted")
	for i := range 20 {
		top.leaf(t, fmt.Sprint(i))
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, top.path)
	few := unix.Rlimit{Cur: uint64(descriptorsOpen(t)) + 12, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	b := r.Read(time.Now())
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if n := len(b.Groups) - 1; n < 1 || n > 19 || n+len(b.Gaps) != 20 {
		t.Errorf("got %d groups and %d gaps, want 20 together", n, len(b.Gaps))
	}
	for _, g := range b.Gaps {
		if g.Reason != "descriptors" {
			t.Errorf("got gap %v", g)
		}
	}
	if counted(t, r, descriptors) == 0 {
		t.Error("the lost samples are not counted")
	}
	if b = r.Read(time.Now().Add(time.Minute)); len(b.Groups) != 21 || len(b.Gaps) != 0 {
		t.Errorf("with descriptors again: got %d groups, gaps %v", len(b.Groups), b.Gaps)
	}
}

// testLimit follows no more than it may, and takes in the rest when there is room.
func testLimit(t *testing.T) {
	l := realLayout(t)
	top := newGroup(t, l, "limit")
	known := newReader(t, top.path)
	known.Read(time.Now())
	r := newReader(t, top.path, func(o *Options) { o.maxCgroups = len(known.members.byPath) + 3 })
	r.Read(time.Now())
	var all []group
	for i := range 10 {
		all = append(all, top.leaf(t, fmt.Sprint(i)))
	}
	b := r.Read(time.Now())
	if n := len(b.Groups) - 1; n != 3 {
		t.Errorf("got %d cgroups, want 3", n)
	}
	if counted(t, r, limit) == 0 {
		t.Error("those left out are not counted")
	}
	for _, g := range all[:9] {
		g.remove(t)
	}
	if b = r.Read(time.Now().Add(time.Hour)); find(b, all[9].path) == nil {
		t.Error("the last is not taken in when there is room")
	}
}

// testRenamed gives a cgroup another name, none, and one again.
func testRenamed(t *testing.T) {
	top := newGroup(t, realLayout(t), "renamed")
	g := top.leaf(t, "g")
	n := newNamer(top.path)
	r := newReader(t, top.path, func(o *Options) { o.Namer = n })
	first := find(r.Read(time.Now()), g.path).Entity
	second := &metric.Entity{Container: "other", ID: g.path}
	n.known[g.path] = second
	if got := find(r.Read(time.Now()), g.path).Entity; got != second || got == first {
		t.Errorf("got %v, want %v", got, second)
	}
	n.below = "/nothing"
	if got := find(r.Read(time.Now()), g.path); got != nil {
		t.Errorf("without a name: got %v", got)
	}
	if kept := r.sampler.opener.kept; kept > len(r.node.files) {
		t.Errorf("got %d descriptors kept", kept)
	}
	n.below = top.path
	if got := find(r.Read(time.Now()), g.path); got == nil || got.Entity != second {
		t.Errorf("with a name again: got %v", got)
	}
	// An old cgroup is asked about at the rescan only.
	r.members.byPath[g.path].seen = time.Now().Add(-time.Hour)
	r.Read(time.Now())
	n.known[g.path] = first
	if got := find(r.Read(time.Now()), g.path); got.Entity != second {
		t.Errorf("before the rescan: got %v", got)
	}
	if got := find(r.Read(time.Now().Add(time.Minute)), g.path); got.Entity != first {
		t.Errorf("after the rescan: got %v", got)
	}
	// One that waits for its name is asked about for as long as it takes.
	h := top.leaf(t, "h")
	n.waits = h.path
	at := time.Now().Add(time.Minute)
	for range 3 {
		if got := find(r.Read(at), h.path); got != nil {
			t.Errorf("it waits: got %v", got)
		}
		r.members.byPath[h.path].seen = at.Add(-time.Hour)
	}
	if kept := len(r.members.byPath[h.path].files); kept != 0 {
		t.Errorf("it waits for long and is read: %d files", kept)
	}
	n.waits = ""
	if got := find(r.Read(at), h.path); got == nil {
		t.Error("it has a name and is not read at the next tick")
	}
	// What it used while it waited, just made, comes with its name: two samples are a rate.
	young := top.leaf(t, "young")
	n.waits = young.path
	at = time.Now()
	r.members.now = at
	for range 2 {
		at = at.Add(time.Second)
		if got := find(r.Read(at), young.path); got != nil {
			t.Errorf("it waits: got %v", got)
		}
	}
	n.waits = ""
	for want := 2; want > 0; want-- {
		at = at.Add(time.Second)
		got, usage := find(r.Read(at), young.path), 0
		if got == nil {
			t.Fatal("it has a name and is not read")
		}
		for _, p := range got.Points {
			if p.ID == metric.CPUUsage {
				usage++
			}
		}
		if usage != want {
			t.Errorf("got %d samples, want %d: %v", usage, want, got.Points)
		}
	}
}

// testNested makes a folder with a whole tree in it in one go.
func testNested(t *testing.T) {
	top := newGroup(t, realLayout(t), "nested")
	r := newReader(t, top.path)
	r.Read(time.Now())
	a := top.leaf(t, "a")
	b := a.leaf(t, "b")
	c := b.leaf(t, "c")
	batch := r.Read(time.Now())
	for _, g := range []group{a, b, c} {
		if find(batch, g.path) == nil {
			t.Errorf("%s is not seen", g.path)
		}
	}
	a.remove(t)
	if got := len(r.Read(time.Now()).Groups); got != 1 {
		t.Errorf("after removing all: got %d groups", got)
	}
}

// testTurned has a cgroup become part of the one above it, and be on its own again: no tick has a row of both, or of none, and what
// has no row any more is said to have ended.
func testTurned(t *testing.T) {
	top := newGroup(t, realLayout(t), "turned")
	a := top.leaf(t, "a")
	b := a.leaf(t, "b")
	n := newNamer(a.path) // a folder
	r := newReader(t, top.path, func(o *Options) { o.Namer = n })
	f := func(has, ended group) {
		t.Helper()
		got := r.Read(time.Now())
		if len(got.Groups) != 2 || find(got, has.path) == nil {
			t.Errorf("%s is not the only one that is read: %+v", has.path, got.Groups)
		}
		if ended.path == "" && len(got.Gaps) != 0 || ended.path != "" && !saidGone(got, filepath.Base(ended.path)) {
			t.Errorf("%q has not ended: %+v", ended.path, got.Gaps)
		}
		for _, g := range got.Gaps {
			if g.Detail != unnamed {
				t.Errorf("of a cgroup that is there: got %q, want %q", g.Detail, unnamed)
			}
		}
	}
	f(b, group{})
	for _, m := range r.members.byPath {
		m.seen = time.Now().Add(-time.Hour) // none is asked for by itself
	}
	r.Read(time.Now())
	n.below, n.but, n.turns = top.path, b.path, 1
	f(a, b)
	f(a, group{})
	n.below, n.but, n.turns = a.path, "", 2
	f(b, a)
	b.remove(t)
	if got := r.Read(time.Now()); !saidGone(got, "b") || got.Gaps[0].Detail != "its cgroup is not there" {
		t.Errorf("of a cgroup that was removed: got %+v", got.Gaps)
	}
}

// testController switches version 2's memory controller off and on while its files are open. See testLate for version 1.
func testController(t *testing.T) {
	l := realLayout(t)
	top := newGroup(t, l, "controller")
	g := top.leaf(t, "g")
	r := newReader(t, top.path)
	if _, ok := value(find(r.Read(time.Now()), g.path), metric.MemoryUsage); !ok {
		t.Fatal("no memory")
	}
	if l.info.Version != V2 {
		testLate(t, l, top, r)
		return
	}
	f := func(control string, later time.Duration, want bool) {
		t.Helper()
		top.set(t, "cgroup.subtree_control", control)
		r.Read(time.Now().Add(later)) // the files die in this one
		b := r.Read(time.Now().Add(later + time.Millisecond))
		c := find(b, g.path)
		if _, ok := value(c, metric.CPUUsage); !ok {
			t.Errorf("%s: no CPU time", control)
		}
		if _, ok := value(c, metric.MemoryUsage); ok != want {
			t.Errorf("%s: memory is there: %v, want %v", control, ok, want)
		}
	}
	f("-memory", 0, false)
	f("+memory", time.Minute, true)
}

// testLate gives a cgroup one controller of version 1 after the other, the first of the list last: it is the same cgroup as before, and has not begun anew.
func testLate(t *testing.T, l layout, top group, r *Reader) {
	late, first := top.child("late"), time.Time{}
	for i := range l.hierarchies {
		h := l.hierarchies[len(l.hierarchies)-1-i]
		if err := os.Mkdir(h.dir+late.path, 0o755); err != nil {
			t.Fatal(err)
		}
		c := find(r.Read(time.Now().Add(time.Duration(i+1)*time.Minute)), late.path)
		switch {
		case c == nil:
			t.Fatalf("with %s: it is not there", h.dir)
		case first.IsZero():
			first = c.Start
		case !c.Start.Equal(first):
			t.Errorf("with %s: start: got %v, want %v", h.dir, c.Start, first)
		}
		time.Sleep(10 * time.Millisecond) // so that the kernel's coarse clock moves on
	}
}
