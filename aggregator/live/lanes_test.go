package live

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

// whole is a full batch of node n1.
func whole(at time.Time, groups ...metric.Group) *metric.Batch {
	return &metric.Batch{Node: "n1", Time: at, Groups: groups}
}

// started gives a group a start.
func started(g metric.Group, at time.Time) metric.Group {
	g.Start = at
	return g
}

// TestLanesInterleave lets the full reader bring copies of the CPU counter that are older than the fast one, or
// newer by a moment; the fast rate stays exact, the full rows are there, and nothing restarts.
func TestLanesInterleave(t *testing.T) {
	p := newPicture(t, Options{})
	a := web(1)
	for i := range 31 {
		s := float64(i)
		apply(t, p, tick(sec(s), started(cpu(a, sec(s), 10+0.5*s, 100), t0)))
		if i%10 == 5 {
			for _, shift := range []float64{-0.3, 0.004} { // two full batches, read at other moments; the counter as it is at yet another
				at := sec(s + shift)
				g := started(cpu(a, at, 10+0.5*s-0.01, 90), t0.Add(-700*time.Millisecond))
				g.Points = append(g.Points, metric.Point{ID: metric.MemoryRSS, T: at.UnixMilli(), V: 70},
					metric.Point{ID: metric.DiskRead, Sub: "sda", T: at.UnixMilli(), V: 1000 * s})
				apply(t, p, whole(at, g))
			}
		}
		if i == 0 {
			continue
		}
		it := only(t, p.Snapshot(sec(s+0.1)).Containers)
		wantRate(t, it, metric.CPUUsage, 0.5)
		if got, _ := it.Gauge(metric.MemoryWorkingSet); got != 100 {
			t.Errorf("second %d: working set %v, want the fast lane's", i, got)
		}
		if it.Restarts != 0 {
			t.Fatalf("second %d: restarts %d", i, it.Restarts)
		}
	}
	it := only(t, p.Snapshot(sec(30.2)).Containers)
	if got, ok := it.Gauge(metric.MemoryRSS); !ok || got != 70 {
		t.Errorf("rss %v %v, want 70", got, ok)
	}
}

// TestFullTakesOver stops the fast lane: the next full sample carries on, and the fast lane takes the row back.
func TestFullTakesOver(t *testing.T) {
	p := newPicture(t, Options{})
	a := web(1)
	for i := range 6 {
		apply(t, p, tick(sec(float64(i)), cpu(a, sec(float64(i)), 0.5*float64(i), 1)))
	}
	apply(t, p, whole(sec(15), cpu(a, sec(15), 7.5, 2)))
	wantRate(t, only(t, p.Snapshot(sec(15)).Containers), metric.CPUUsage, 0.5)
	apply(t, p, whole(sec(25), cpu(a, sec(25), 12.5, 2)))
	wantRate(t, only(t, p.Snapshot(sec(40)).Containers), metric.CPUUsage, 0.5) // full rows have 35 s
	apply(t, p, tick(sec(40.1), cpu(a, sec(40.1), 20.05, 2)))
	apply(t, p, tick(sec(41.1), cpu(a, sec(41.1), 20.55, 2)))
	it := only(t, p.Snapshot(sec(41.1)).Containers)
	wantRate(t, it, metric.CPUUsage, 0.5)
	if v, _ := it.Get(metric.CPUUsage); v.Window != time.Second || it.Restarts != 0 {
		t.Errorf("window %v, restarts %d", v.Window, it.Restarts)
	}
}

// TestRestartCountedOnce restarts a container that both lanes see: by its start, by its counter, and by both.
func TestRestartCountedOnce(t *testing.T) {
	for _, starts := range []bool{true, false} {
		p := newPicture(t, Options{})
		a := web(1)
		start := time.Time{}
		begin := func(s float64) {
			if starts {
				start = sec(s)
			}
		}
		begin(-100)
		for i := range 60 {
			s := float64(i)
			if i == 30 {
				begin(29.5)
			}
			v := 100 + s
			if i >= 30 {
				v = s - 29.5
			}
			apply(t, p, tick(sec(s), started(cpu(a, sec(s), v, 10), start)))
			if i%10 == 5 {
				apply(t, p, whole(sec(s-0.2), started(cpu(a, sec(s-0.2), v-0.2, 10), start)))
			}
			it := only(t, p.Snapshot(sec(s)).Containers)
			if i != 0 && i != 30 {
				wantRate(t, it, metric.CPUUsage, 1)
			}
			if want := i / 30; it.Restarts != want {
				t.Fatalf("starts %v, second %d: restarts %d, want %d", starts, i, it.Restarts, want)
			}
		}
	}
}

// TestRestartWithHigherCounter restarts into a counter that is higher than before: only the start tells.
func TestRestartWithHigherCounter(t *testing.T) {
	p := newPicture(t, Options{})
	a := web(1)
	apply(t, p, tick(sec(0), started(cpu(a, sec(0), 1, 10), sec(-5))))
	apply(t, p, tick(sec(1), started(cpu(a, sec(1), 1.1, 10), sec(-5))))
	apply(t, p, tick(sec(20), started(cpu(a, sec(20), 30, 10), sec(2))))
	it := only(t, p.Snapshot(sec(20)).Containers)
	wantGap(t, it, "starting")
	if _, ok := it.Rate(metric.CPUUsage); ok || it.Restarts != 1 {
		t.Errorf("rate %v, restarts %d", ok, it.Restarts)
	}
}

// TestDeviceReset resets one interface's counter: only its own rate pauses.
func TestDeviceReset(t *testing.T) {
	p := newPicture(t, Options{})
	a := web(1)
	at := func(s, eth0, eth1 float64) *metric.Batch {
		g := cpu(a, sec(s), s, 1)
		g.Points = append(g.Points, metric.Point{ID: metric.NetworkReceive, Sub: "eth0", T: sec(s).UnixMilli(), V: eth0},
			metric.Point{ID: metric.NetworkReceive, Sub: "eth1", T: sec(s).UnixMilli(), V: eth1})
		return whole(sec(s), g)
	}
	apply(t, p, at(0, 1000, 500))
	apply(t, p, at(10, 2000, 600))
	it := only(t, p.Snapshot(sec(10)).Containers)
	wantRate(t, it, metric.NetworkReceive, 110)
	apply(t, p, at(20, 100, 700))
	it = only(t, p.Snapshot(sec(20)).Containers)
	wantRate(t, it, metric.CPUUsage, 1)
	wantGap(t, it, "")
	apply(t, p, at(30, 1100, 800))
	it = only(t, p.Snapshot(sec(30)).Containers)
	wantRate(t, it, metric.NetworkReceive, 110)
	wantRate(t, only(t, p.Snapshot(sec(30)).Workloads), metric.NetworkReceive, 110)
	if it.Restarts != 0 {
		t.Errorf("restarts %d", it.Restarts)
	}
}

// TestWindowAcrossGap: a load of half a core is one also in the first windows after a gap, of which nobody knows whether it was one or
// a clock set forward; the first sample after it has nothing to be compared with.
func TestWindowAcrossGap(t *testing.T) {
	for _, gap := range []float64{3, 30, 3600} {
		p := newPicture(t, Options{})
		a := web(1)
		used := 0.0
		for i := range 20 {
			s := float64(i)
			if used += 0.5; i >= 10 {
				s += gap
			}
			apply(t, p, tick(sec(s), cpu(a, sec(s), used, 100)))
			for _, w := range []time.Duration{time.Second, 3 * time.Second, time.Minute} {
				got := usageOf(p, sec(s+0.1), "demo", "ProcessService", "web", metric.CPUUsage, w)
				switch known := i > 0 && (i != 10 || gap < 5); {
				case known != (len(got) == 1):
					t.Errorf("gap of %v s, sample %d, window of %s: %+v, want one: %v", gap, i, w, got, known)
				case known && gap > 5 && math.Abs(got[0].Containers[0].Usage[0].Milli.Float()-0.5) > 1e-9:
					t.Errorf("gap of %v s, sample %d, window of %s: %v cores over %s, want 0.5", gap, i, w, got[0].Containers[0].Usage[0].Milli.Float(), got[0].Window)
				}
			}
			if got := usageOf(p, sec(s+0.1), "demo", "ProcessService", "web", metric.MemoryWorkingSet, time.Minute); len(got) != 1 || got[0].Containers[0].Usage[0].Milli.Float() != 100 {
				t.Errorf("gap of %v s, sample %d: memory %+v, want 100", gap, i, got)
			}
		}
	}
}

// TestClockStepsBack sets the node's clock back by an hour; the third sample is believed. Late copies of old batches are not.
func TestClockStepsBack(t *testing.T) {
	p := newPicture(t, Options{})
	a := web(1)
	for i := range 5 {
		apply(t, p, tick(sec(float64(i)), cpu(a, sec(float64(i)), float64(i), 1)))
	}
	for i := range 6 {
		s := float64(i) - 3600
		apply(t, p, tick(sec(s), cpu(a, sec(s), 5+float64(i), 1)))
	}
	it := only(t, p.Snapshot(sec(-3595)).Containers)
	wantRate(t, it, metric.CPUUsage, 1)
	if it.Restarts != 0 {
		t.Errorf("restarts %d, want 0", it.Restarts)
	}

	p = newPicture(t, Options{})
	for i := range 10 {
		apply(t, p, tick(sec(float64(i)), cpu(a, sec(float64(i)), float64(i), 1)))
	}
	for i := range 8 { // copies that arrive together, a minute late
		b := tick(sec(float64(i)), cpu(a, sec(float64(i)), float64(i), 1))
		b.Time = sec(60)
		apply(t, p, b)
	}
	apply(t, p, tick(sec(10), cpu(a, sec(10), 10, 1)))
	wantRate(t, only(t, p.Snapshot(sec(10)).Containers), metric.CPUUsage, 1)
}

// TestRejected gives one batch with everything that is wrong in it: the good samples are applied, the others counted.
func TestRejected(t *testing.T) {
	p := newPicture(t, Options{})
	p.limits.entities, p.limits.series = 2, 3
	a := web(1)
	ms := sec(10).UnixMilli()
	g := cpu(a, sec(10), 5, 100)
	g.Points = append(g.Points,
		metric.Point{ID: metric.MemoryRSS, T: ms, V: math.NaN()}, metric.Point{ID: metric.MemoryRSS, T: ms, V: math.Inf(1)},
		metric.Point{ID: metric.MemoryRSS, T: ms + 6000, V: 1}, metric.Point{ID: metric.MemoryRSS, T: 0, V: 1},
		metric.Point{ID: 9999, T: ms, V: 1}, metric.Point{ID: metric.LoadAverage1m, T: ms, V: 1}, // a node's
		metric.Point{ID: metric.CPUUsage, T: ms, V: 6}, // the same time
		metric.Point{ID: metric.Threads, T: ms, V: 3}, metric.Point{ID: metric.Processes, T: ms, V: 3})
	b := whole(sec(10), g, metric.Group{Points: g.Points[:1]}, cpu(&metric.Entity{Level: metric.Container}, sec(10), 1, 1),
		cpu(&metric.Entity{Level: 77, Node: "x"}, sec(10), 1, 1), cpu(web(2), sec(10), 1, 1), cpu(web(3), sec(10), 1, 1))
	in := newIntake(b, &p.limits)
	p.mu.Lock()
	for i := range b.Groups {
		p.group(&in, &b.Groups[i])
	}
	p.mu.Unlock()
	want := drops{dropNotFinite: 2, dropFuture: 1, dropOld: 2, dropUnknownRow: 2, dropEntity: 5, dropLimit: 3}
	if in.applied != 5 || in.drops != want {
		t.Errorf("applied %d, dropped %v, want 5 and %v", in.applied, in.drops, want)
	}
	if err := p.Apply(nil); err == nil {
		t.Error("a nil batch was taken")
	}
}

// TestRestartsReachTheHistory: what only the picture has seen is a row like any other, in the picture, in the sums and in the history. One
// that somebody else counts is left to them, and one that is first seen has not restarted.
func TestRestartsReachTheHistory(t *testing.T) {
	p := newPicture(t, Options{})
	docker := clone(web(1), func(e *metric.Entity) { e.Pod, e.Container, e.ID, e.Runtime = "db", "db", "/docker/1", "docker" })
	batch := clone(web(1), func(e *metric.Entity) { e.Pod, e.Container, e.ID, e.Runtime = "batch", "batch", "/batch", "cgroup" })
	counted, restarts := web(2), 0.0
	rolled := map[string]float64{}
	for i := range 100 {
		at := sec(float64(i))
		start, used := sec(-100), float64(100+i)
		if i >= 45 {
			start, used, restarts = at.Add(-time.Second), 0.1, 7
		}
		if i >= 46 {
			start = sec(44)
			used = float64(i - 44)
		}
		groups := []metric.Group{started(cpu(docker, at, used, 10), start), started(cpu(batch, at, used, 10), start), cpu(counted, at, float64(i), 10)}
		apply(t, p, tick(at, groups...))
		if i%10 != 0 {
			continue
		}
		full := sec(float64(i) + 0.6)
		groups = []metric.Group{started(cpu(docker, full, used+0.6, 10), start), started(cpu(batch, full, used+0.6, 10), start), cpu(counted, full, float64(i)+0.6, 10)}
		groups[2].Points = append(groups[2].Points, metric.Point{ID: metric.Restarts, T: full.UnixMilli(), V: restarts})
		apply(t, p, whole(full, groups...))
		for _, g := range p.RollUp(sec(float64(i) + 0.9)).Groups {
			for _, pt := range g.Points {
				if pt.ID == metric.Restarts {
					rolled[g.Entity.String()] = pt.V
				}
			}
		}
	}
	want := map[string]float64{"container demo/db/db": 1, "pod demo/db": 1, "pod demo/web-2": 7, "workload demo/ProcessService/web": 8, "namespace demo": 8}
	if d := cmp.Diff(want, rolled); d != "" {
		t.Errorf("to the history, want -, got +:\n%s", d)
	}
	for _, it := range p.Snapshot(sec(99.9)).Containers {
		got, ok := it.Gauge(metric.Restarts)
		if want := map[string]float64{"db": 1, "web": 7}[it.Entity.Container]; got != want || ok != (it.Entity != batch) {
			t.Errorf("%v: got %g restarts (%v), want %g", it.Entity, got, ok, want)
		}
	}
}

// TestKillsGoOn: a count of OOM kills is of all lives of a container, as restarts are, in the picture and in what sums count; another pod of its name begins anew.
func TestKillsGoOn(t *testing.T) {
	for _, lives := range []bool{false, true} { // each has a cgroup of its own
		p := newPicture(t, Options{})
		of := func(life int) *metric.Entity {
			return clone(web(1), func(e *metric.Entity) {
				if e.ID, e.Runtime = "/kubepods/pod1/c", "containerd"; lives {
					e.ID += fmt.Sprint(life)
				}
			})
		}
		e, sums := of(0), map[string]float64{}
		for i := range 100 {
			at, life := sec(float64(i)), i/25
			if i%25 == 0 {
				e = of(life)
			}
			g := started(cpu(e, at, float64(i%25), 10), sec(float64(life*25)))
			if i%10 != 0 {
				apply(t, p, tick(at, g))
				continue
			}
			kill := metric.Point{ID: metric.OOMKills, T: at.UnixMilli(), V: float64(life)}
			g.Points = append(g.Points, metric.Point{ID: metric.Restarts, T: at.UnixMilli(), V: float64(life)}, kill)
			apply(t, p, whole(at, g))
			if it := only(t, p.Snapshot(at).Containers); it.Entity == e {
				if v, ok := it.Get(metric.OOMKills); !ok || v.V != float64(life) {
					t.Errorf("second %d: %+v are told, %v, want %d", i, v, ok, life)
				}
			}
			for _, g := range p.RollUp(sec(float64(i) + 0.9)).Groups {
				for _, pt := range g.Points {
					if pt.ID == metric.OOMKills {
						sums[g.Entity.String()] = pt.V
					}
				}
			}
		}
		if d := cmp.Diff(map[string]float64{"pod demo/web-1": 3, "workload demo/ProcessService/web": 3, "namespace demo": 3, "node n1": 3, "cluster": 3}, sums); d != "" {
			t.Errorf("cgroups of their own %v: sums, want -, got +:\n%s", lives, d)
		}
		other := clone(web(1), func(e *metric.Entity) { e.ID, e.Runtime = "/kubepods/pod2/c", "containerd" })
		g := started(cpu(other, sec(100), 0.1, 10), sec(99.5))
		apply(t, p, tick(sec(100), g))
		for _, it := range p.Snapshot(sec(100)).Containers {
			if v, ok := it.Get(metric.OOMKills); ok {
				t.Errorf("another pod of its name has %+v", v)
			}
		}
	}
}

// TestSumsHaveAllOfWhatBeganUnderThem: what is counted over all lives of a container whose pod began after sums did is in them from its first sample, however much that is and whatever it was
// called first; that of an older one, or of one that was known before, is what they begin from.
func TestSumsHaveAllOfWhatBeganUnderThem(t *testing.T) {
	type told struct {
		second int
		uid    string // of the pod in the name of its cgroup; "": it has none
		v      float64
	}
	for _, c := range []struct {
		what  string
		born  float64 // second; below 0: nobody knows
		told  []told
		quiet int // seconds from 60 on in which nothing is heard of the machine
		want  float64
	}{
		{"the first sample is 0", 51, []told{{60, "a", 0}, {70, "a", 3}}, 0, 3},
		{"the first is more", 51, []told{{60, "a", 2}, {70, "a", 3}}, 0, 3},
		{"the first is all", 51, []told{{60, "a", 3}}, 0, 3},
		{"it comes late: its image had to be pulled", 51, []told{{350, "a", 2}, {360, "a", 3}}, 0, 3},
		{"it is older than the sums", -60, []told{{60, "a", 2}, {70, "a", 3}}, 0, 1},
		{"nobody knows since when it is", -1, []told{{60, "a", 2}, {70, "a", 3}}, 0, 1},
		{"its name was another pod's", 51, []told{{10, "b", 0}, {20, "b", 9}, {60, "a", 2}, {70, "a", 3}}, 0, 12},
		{"and it has no cgroup first", 51, []told{{10, "b", 0}, {20, "b", 9}, {60, "", 1}, {70, "", 2}, {80, "a", 2}, {90, "a", 3}}, 0, 12},
		{"it is told less once, as by a collector that began anew", 51, []told{{60, "a", 2}, {70, "a", 1}, {80, "a", 2}}, 0, 3},
		{"it is not told for a while", 51, []told{{60, "a", 2}, {250, "a", 3}}, 0, 2}, // it is forgotten meanwhile, and nobody knows what was told of it
		{"its machine was not heard for a while", 51, []told{{60, "a", 2}, {350, "a", 4}}, 280, 2},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newPicture(t, Options{Pods: func(_, pod string) (time.Time, bool) {
				if c.born == -1 {
					return time.Time{}, true
				}
				return sec(c.born), true
			}})
			sums, grown, zero := map[string]float64{}, map[string]float64{}, map[string]bool{}
			for i := 0; i <= 400; i += 10 {
				if i >= 60 && i < 60+c.quiet && i != 60 {
					p.RollUp(sec(float64(i) + 0.9))
					continue
				}
				at := sec(float64(i))
				groups := []metric.Group{cpu(node("n1"), at, float64(i), 10)}
				for _, x := range c.told {
					if x.second != i {
						continue
					}
					e := clone(web(1), func(e *metric.Entity) {
						if e.ID, e.Runtime = "/kubepods/pod"+x.uid+"/c", "containerd"; x.uid == "" {
							e.ID = ""
						}
					})
					g := metric.Group{Entity: e, Points: []metric.Point{{ID: metric.Restarts, T: at.UnixMilli(), V: x.v}, {ID: metric.OOMKills, T: at.UnixMilli(), V: x.v}}}
					if x.uid != "" {
						g.Points, g.Start = append(g.Points, cpu(e, at, float64(i), 10).Points...), sec(float64(i)-5)
					}
					groups = append(groups, g)
				}
				apply(t, p, whole(at, groups...))
				for _, g := range p.RollUp(sec(float64(i) + 0.9)).Groups {
					for _, pt := range g.Points {
						if pt.ID != metric.Restarts && pt.ID != metric.OOMKills {
							continue
						}
						of := metric.Get(pt.ID).Name + " of " + g.Entity.Level.String()
						zero[of] = zero[of] || pt.V == 0
						grown[of] += max(0, pt.V-sums[of])
						sums[of] = pt.V
					}
				}
			}
			for of, got := range grown {
				if got != c.want || !zero[of] {
					t.Errorf("%s: %v, want %v from 0 on: %v", of, got, c.want, zero[of])
				}
			}
			if len(grown) == 0 {
				t.Error("nothing is told")
			}
		})
	}
}

// TestSumsHaveNoRestartsOfAnotherPod: where nobody tells of restarts those that the picture has seen are no more for another pod that takes the name after sums began.
func TestSumsHaveNoRestartsOfAnotherPod(t *testing.T) {
	p := newPicture(t, Options{Pods: func(string, string) (time.Time, bool) { return sec(91), true }})
	got := 0.0
	for i := 0; i <= 150; i += 10 {
		at, start, e := sec(float64(i)), sec(-100), clone(web(1), func(e *metric.Entity) { e.ID, e.Runtime = "/kubepods/podb/1", "containerd" })
		switch {
		case i >= 100:
			e.ID, start = "/kubepods/poda/1", sec(95)
		case i >= 50: // the one that is seen
			e.ID, start = "/kubepods/podb/2", sec(45)
		}
		apply(t, p, whole(at, cpu(node("n1"), at, float64(i), 10), started(cpu(e, at, at.Sub(start).Seconds(), 10), start)))
		for _, g := range p.RollUp(sec(float64(i) + 0.9)).Groups {
			for _, pt := range g.Points {
				if g.Entity.Level == metric.Namespace && pt.ID == metric.Restarts {
					got = pt.V
				}
			}
		}
	}
	if got != 1 {
		t.Errorf("%v restarts, want 1", got)
	}
}

// Under load the slow lane is late by minutes while the fast one goes on: what a machine has, and what a container asks for and may have, stay known. A limit that is
// taken away is none any more, and what a machine has that is not heard is not known.
func TestSizesStandWhileTheSlowLaneIsLate(t *testing.T) {
	p := newPicture(t, Options{})
	a, n := web(1), node("n1")
	sized := func(at float64, limit bool) {
		g, m := cpu(a, sec(at), at/2, 100), cpu(n, sec(at), at, 200)
		point := func(id metric.ID, v float64) metric.Point { return metric.Point{ID: id, T: sec(at).UnixMilli(), V: v} }
		g.Points = append(g.Points, point(metric.CPURequest, 0.5))
		if limit {
			g.Points = append(g.Points, point(metric.CPULimit, 1))
		}
		m.Points = append(m.Points, point(metric.CPUCapacity, 2), point(metric.MemoryCapacity, 1000), point(metric.CPUAllocatable, 1.9), point(metric.LoadAverage1m, 3))
		apply(t, p, whole(sec(at), g, m))
	}
	f := func(at float64, it *Item, id metric.ID, want float64) {
		t.Helper()
		if got, ok := it.Gauge(id); ok != (want >= 0) || ok && got != want {
			t.Errorf("second %v: %v has %v of %s (%v), want %v", at, it.Entity, got, metric.Get(id).Name, ok, want)
		}
	}
	for s := 0.0; s <= 300; s++ {
		if s == 0 || s == 10 || s == 250 {
			sized(s, s < 250)
		}
		apply(t, p, tick(sec(s+0.1), cpu(a, sec(s+0.1), s/2, 100), cpu(n, sec(s+0.1), s, 200)))
		snap := p.Snapshot(sec(s + 0.2))
		m, c := only(t, snap.Nodes), only(t, snap.Containers)
		f(s, m, metric.CPUCapacity, 2)
		f(s, m, metric.MemoryCapacity, 1000)
		f(s, snap.Cluster, metric.CPUAllocatable, 1.9)
		f(s, c, metric.CPURequest, 0.5)
		f(s, only(t, snap.Namespaces), metric.CPURequest, 0.5)
		if s < 250 {
			f(s, c, metric.CPULimit, 1)
		}
		if s > 100 && s < 250 {
			f(s, m, metric.LoadAverage1m, -1)
			wantGap(t, m, "")
		}
	}
	f(300, only(t, p.Snapshot(sec(300)).Containers), metric.CPULimit, -1)
	f(400, only(t, p.Snapshot(sec(400)).Nodes), metric.CPUCapacity, -1)
}
