package api

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

func TestScoreWords(t *testing.T) {
	f := func(c Container, a events, want string) {
		t.Helper()
		score, why := scoreOf(&c, a)
		if why != want {
			t.Errorf("got %q (%v), want %q", why, score, want)
		}
		if (score == 0) != (why == "") || score < 0 || score > 1 {
			t.Errorf("score %v goes with %q", score, why)
		}
	}
	f(Container{}, events{}, "")
	f(Container{CPU: ptr(1.5)}, events{}, "")
	f(Container{Throttled: ptr(.31)}, events{}, "throttled 31 %")
	f(Container{Throttled: ptr(.019)}, events{}, "")
	f(Container{WorkingSet: ptr(92.0), MemoryLimit: ptr(100.0)}, events{}, "memory 92 % of limit")
	f(Container{WorkingSet: ptr(109.0), MemoryLimit: ptr(100.0)}, events{}, "memory at its limit")
	f(Container{WorkingSet: ptr(79.0), MemoryLimit: ptr(100.0)}, events{}, "")
	f(Container{WorkingSet: ptr(79.0), MemoryLimit: ptr(0.0)}, events{}, "")
	f(Container{CPU: ptr(.97), CPULimit: ptr(1.0)}, events{}, "CPU 97 % of limit")
	f(Container{}, events{wasKill: true, killed: 2*time.Minute + 10*time.Second}, "OOM kill 2 min ago")
	f(Container{}, events{wasKill: true, killed: time.Second}, "OOM kill just now")
	f(Container{}, events{wasStart: true, restart: 42 * time.Second}, "restarted 42 s ago")
	f(Container{CPUPressure: ptr(.5), IOPressure: ptr(.05), MemoryPressure: ptr(.03)}, events{}, "CPU pressure 50 %, memory pressure 3.0 %")
	f(Container{Gap: &cluster.Gap{Reason: "permission"}}, events{}, "no data: permission")
	f(Container{Gap: &cluster.Gap{Reason: "starting"}}, events{}, "")
	f(Container{Gap: &cluster.Gap{Reason: "stale"}}, events{}, "no data: stale")
	f(Container{Gap: &cluster.Gap{Reason: "stale"}}, events{ended: true}, "")
}

// Worst first, as a person on call would look.
func TestScoreOrder(t *testing.T) {
	mem := func(share float64) Container { return Container{WorkingSet: ptr(share), MemoryLimit: ptr(1.0)} }
	cases := []struct {
		name string
		c    Container
		a    events
	}{
		{"killed a minute ago", Container{}, events{wasKill: true, killed: time.Minute}},
		{"memory at its limit", mem(.99), events{}},
		{"throttled half the time", Container{Throttled: ptr(.5)}, events{}},
		{"stalls for memory", Container{MemoryPressure: ptr(.15)}, events{}},
		{"memory 92 %", mem(.92), events{}},
		{"restarted just now", Container{}, events{wasStart: true}},
		{"throttled 15 %", Container{Throttled: ptr(.15)}, events{}},
		{"memory 80 %", mem(.8), events{}},
		{"not readable", Container{Gap: &cluster.Gap{Reason: "permission"}}, events{}},
		{"CPU at its limit", Container{CPU: ptr(.99), CPULimit: ptr(1.0)}, events{}},
		{"some wait for a CPU", Container{CPUPressure: ptr(.1)}, events{}},
		{"well", Container{CPU: ptr(2.0)}, events{}},
	}
	prev := 2.0
	for _, c := range cases {
		got, why := scoreOf(&c.c, c.a)
		if got >= prev {
			t.Errorf("%s (%s) has %v, not less than the one before it, %v", c.name, why, got, prev)
		}
		prev = got
	}
}

// More of any cause never hurts less, and the order does not depend on how the rows came.
func TestScoreProperties(t *testing.T) {
	some := rapid.Custom(func(t *rapid.T) *float64 {
		if rapid.Bool().Draw(t, "known") {
			return ptr(rapid.Float64Range(0, 1).Draw(t, "v"))
		}
		return nil
	})
	row := rapid.Custom(func(t *rapid.T) Container {
		return Container{
			Title: rapid.StringMatching("[a-c]{1,2}").Draw(t, "title"), ID: rapid.StringMatching("/[a-z]{6}").Draw(t, "id"),
			CPU: some.Draw(t, "cpu"), CPULimit: some.Draw(t, "limit"), WorkingSet: some.Draw(t, "ws"), MemoryLimit: some.Draw(t, "mlimit"),
			Throttled: some.Draw(t, "throttled"), CPUPressure: some.Draw(t, "pc"), MemoryPressure: some.Draw(t, "pm"), IOPressure: some.Draw(t, "pi"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		c := row.Draw(t, "c")
		before, _ := scoreOf(&c, events{})
		for _, p := range []**float64{&c.Throttled, &c.CPUPressure, &c.MemoryPressure, &c.IOPressure, &c.WorkingSet} {
			if *p == nil {
				continue
			}
			old := *p
			*p = ptr(min(1, *old+rapid.Float64Range(0, 1).Draw(t, "more")))
			if after, why := scoreOf(&c, events{}); after < before || after > 1 || math.IsNaN(after) {
				t.Fatalf("more cause: %v after %v (%s)", after, before, why)
			}
			*p = old
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfNDistinct(row, 0, 12, func(c Container) string { return c.ID }).Draw(t, "rows")
		key := rapid.SampledFrom(sortKeys[:]).Draw(t, "key")
		other := rapid.Permutation(rows).Draw(t, "other")
		one, two := pointers(rows), pointers(other)
		sortContainers(one, key)
		sortContainers(two, key)
		if !slices.EqualFunc(one, two, func(a, b *Container) bool { return a.ID == b.ID }) {
			t.Fatalf("the order by %q depends on how the rows came", key)
		}
	})
}

func pointers(rows []Container) []*Container {
	var out []*Container
	for i := range rows {
		out = append(out, &rows[i])
	}
	return out
}

func TestKills(t *testing.T) {
	k := newKills()
	e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", Pod: "web-1", Container: "web-1", ID: "/a"}
	at := func(d time.Duration, id string, count float64) {
		entity := *e
		entity.ID = id
		it := &live.Item{Entity: &entity, Values: []live.Value{{ID: metric.OOMKills, T: noon.Add(d), V: count}}}
		k.feed(&live.Snapshot{Time: noon.Add(d), Containers: []*live.Item{it}})
	}
	f := func(d time.Duration, want time.Duration, wantOK bool) {
		t.Helper()
		if got, ok := k.age(e, noon.Add(d)); got != want && wantOK || ok != wantOK {
			t.Errorf("at %v: got %v %v, want %v %v", d, got, ok, want, wantOK)
		}
	}
	at(0, "/a", 3) // killed at some time before we watched
	f(0, 0, false)
	at(10*time.Second, "/a", 3)
	f(10*time.Second, 0, false)
	at(20*time.Second, "/a", 4)
	f(80*time.Second, time.Minute, true)
	at(90*time.Second, "/b", 0) // the container came back in a new cgroup
	f(90*time.Second, 70*time.Second, true)
	at(100*time.Second, "/b", 1)
	f(100*time.Second, 0, true)
	f(100*time.Second+killMemory, 0, false)

	// A container that began and was killed between two looks.
	e.Pod = "web-2"
	young := &live.Item{Entity: e, Start: noon.Add(3 * time.Minute), Values: []live.Value{{ID: metric.OOMKills, T: noon.Add(4 * time.Minute), V: 1}}}
	k.feed(&live.Snapshot{Time: noon.Add(4 * time.Minute), Containers: []*live.Item{young}})
	f(4*time.Minute, 0, true)
	e.Pod = "web-1"

	// It goes when its container has been gone for long.
	k.feed(&live.Snapshot{Time: noon.Add(4*time.Minute + killMemory + time.Second)})
	if len(k.by) != 0 {
		t.Errorf("%d containers are remembered, want none", len(k.by))
	}
}

func TestKillsAreBounded(t *testing.T) {
	k := newKills()
	s := &live.Snapshot{Time: noon}
	for i := range maxKills + 10 {
		s.Containers = append(s.Containers, &live.Item{
			Entity: &metric.Entity{Container: fmt.Sprint(i)},
			Values: []live.Value{{ID: metric.OOMKills, T: noon, V: 1}},
		})
	}
	k.feed(s)
	if len(k.by) > maxKills {
		t.Errorf("%d containers are remembered, want at most %d", len(k.by), maxKills)
	}
}

func TestRestartScores(t *testing.T) {
	f := func(runtime string, pod *cluster.Pod, want string, restarts float64) {
		t.Helper()
		it := container("demo", "ProcessService", "web", "web-1", runtime, "/x")
		it.Restarts, it.Start = 2, noon.Add(-time.Minute)
		s := snapshotOf(nil, []*live.Item{it})
		s.Pods[0].Pod = pod
		got := newPicture(s, newKills()).containers[0]
		if got.Why != want || or(got.Restarts, 0) != restarts {
			t.Errorf("%s: got %q, %v restarts, want %q, %v", runtime, got.Why, or(got.Restarts, 0), want, restarts)
		}
	}
	f("docker", nil, "restarted 1 min ago", 2)
	f("cgroup", nil, "", 0) // not known: made anew, it may be another one
	f("process", nil, "", 0)
	f("process", replica("web-1", noon.Add(-time.Minute), 0), "", 0) // scaled down and up again
	f("process", replica("web-1", noon.Add(-5*time.Second), 3), "restarted 5 s ago", 3)
}

// What has ended is shown for a moment, but it neither hurts nor counts.
func TestEnded(t *testing.T) {
	node := item(metric.Entity{Level: metric.Node, Node: "n1", ID: "/"})
	alive := container("demo", "ProcessService", "web", "web-1", "process", "/x", val{metric.CPUUsage, "", 1, .1})
	over := container("demo", "ProcessService", "web", "web-2", "process", "/y")
	over.Gap, over.Ended = &cluster.Gap{Since: noon.Add(-6 * time.Second), Reason: "stale"}, true
	s := snapshotOf([]*live.Item{node}, []*live.Item{alive, over})
	p := newPicture(s, newKills())
	if c := p.containers[1]; c.Title != "demo/web-2" || c.Score != 0 || c.Gap == nil || *p.node.Containers != 1 {
		t.Errorf("got %+v on a node with %d containers", c, *p.node.Containers)
	}
	if w := p.workloads(nil)[0]; w.Pods != 1 {
		t.Errorf("got %d pods, want 1", w.Pods)
	}
	over.Gap = &cluster.Gap{Since: noon.Add(-20 * time.Second), Reason: "stale"}
	if n := len(newPicture(s, newKills()).containers); n != 1 {
		t.Errorf("20 s after it has ended there are %d rows, want 1", n)
	}
	over.Ended = false // the machine itself is silent
	if c := newPicture(s, newKills()).containers[0]; c.Why != "no data: stale" {
		t.Errorf("got %q", c.Why)
	}
}

// A container that is made anew under its name has a runtime's count of 0, and is not "restarted" beside it.
func TestMadeAnewIsNotRestarted(t *testing.T) {
	for count, want := range map[float64]string{0: "made anew 3 s ago", 2: "restarted 3 s ago"} {
		it := container("docker", "Docker", "burn", "burn", "docker", "/docker/b", val{metric.Restarts, "", count, 0})
		it.Restarts, it.Start = 1, noon.Add(-3*time.Second)
		p := newPicture(snapshotOf(nil, []*live.Item{it}), newKills())
		if c := p.containers[0]; c.Why != want || or(c.Restarts, -1) != count {
			t.Errorf("got %q with %v restarts, want %q with %g", c.Why, or(c.Restarts, -1), want, count)
		}
	}
}

// A burst beyond a limit is at it, whatever the arithmetic of two samples says.
func TestCPUIsAtItsLimit(t *testing.T) {
	for use, want := range map[float64]string{0.9: "CPU 90 % of limit", 1.03: "CPU at its limit"} {
		if _, why := scoreOf(&Container{CPU: ptr(use), CPULimit: ptr(1.)}, events{}); why != want {
			t.Errorf("use %g: got %q, want %q", use, why, want)
		}
	}
}
