package live

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// A container that crashes again and again: each life is ten seconds long, and so is each rest, of which whoever runs it says how often it has started it again, by the
// slow lane or by both. Between its lives it waits, is in no sum and lacks in none, and the restarts never fall, also while nobody tells them.
func TestACrashLoopWaitsAndItsRestartsNeverFall(t *testing.T) {
	for _, c := range []struct {
		name       string
		fastTells  bool // the restarts come by the fast lane, too
		says       bool // the reader says when it has gone
		late       int  // how many seconds after its end it is told of again
		waitsAfter int  // seconds after its end from which it waits
		pods       bool // in Kubernetes each life has a cgroup of its own
		wire       bool // a batch is of when it came, which is later than what is in it
	}{
		{"both lanes", true, true, 0, 1, false, false},
		{"both lanes, late", true, true, 4, 5, false, false},
		{"over the wire", true, true, 0, 1, false, true},
		{"slow lane", false, true, 0, 10, false, false},
		{"no word of its end", true, false, 0, 7, false, false},
		{"pods", false, true, 0, 10, true, false},
		{"pods, no word of its end", false, false, 0, 10, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPicture(t, Options{})
			const first, span = 11, 20
			entity := func(life int) *metric.Entity {
				e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Docker", Workload: "crash", Pod: "crash", Container: "crash", ID: "/docker/crash", Runtime: "docker"}
				if c.pods {
					e.ID = fmt.Sprint("/kubepods/burstable/pod1/c", life)
				}
				return e
			}
			other := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Docker", Workload: "crash", Pod: "calm", Container: "calm", ID: "/docker/calm", Runtime: "docker"}
			e, shown := entity(0), 0
			for i := range 10 * span {
				now, life, in := sec(float64(i)), i/span, i%span
				if in == 0 {
					e = entity(life)
				}
				runs := in < span/2
				tell := (runs && in >= c.late/2 || in >= span/2+c.late) && (life > 0 || in > 3)
				for _, full := range []bool{false, true} {
					if full && i%10 != 5 {
						continue
					}
					at := now
					if full {
						at = now.Add(300 * time.Millisecond)
					}
					b := &metric.Batch{Node: "n1", Time: at, Fast: !full, Groups: []metric.Group{cpu(node("n1"), at, float64(i), 4000), cpu(other, at, float64(i)/2, 50)}}
					var own metric.Group
					if runs {
						own = cpu(e, at, float64(in), 100)
						own.Start = sec(float64(life*span) - 0.5)
					} else if c.says && in == span/2 && !full {
						b.Gaps = append(b.Gaps, metric.Gap{Entity: e, Reason: metric.GapGone, Detail: "its cgroup has gone"})
					}
					if tell && (full || c.fastTells) {
						own.Entity = e
						restarts := first + life
						if !runs {
							restarts++
						}
						own.Points = append(own.Points, metric.Point{ID: metric.Restarts, T: at.UnixMilli(), V: float64(restarts)}, metric.Point{ID: metric.CPURequest, T: at.UnixMilli(), V: 0.5})
					}
					if own.Entity != nil {
						b.Groups = append(b.Groups, own)
					}
					if c.wire {
						b.Time = at.Add(150 * time.Millisecond)
					}
					apply(t, p, b)
				}
				s := p.Snapshot(now.Add(500 * time.Millisecond))
				checkSnapshot(t, s)
				it := s.Containers[1]
				if i < 2*span {
					shown = int(it.Count)
					continue
				}
				if !it.Counted || int(it.Count) < shown || int(it.Count) < first+life || int(it.Count) > first+life+1 {
					t.Errorf("second %d of life %d: %d restarts after %d", in, life, it.Count, shown)
				}
				shown = int(it.Count)
				w := only(t, s.Workloads)
				ws, _ := w.Gauge(metric.MemoryWorkingSet)
				switch rest := in - span/2; {
				case runs && in > 1:
					wantGap(t, it, "")
					wantRate(t, it, metric.CPUUsage, 1)
				case rest >= c.waitsAfter:
					wantGap(t, it, metric.GapWaiting)
					_, cpu := it.Get(metric.CPUUsage)
					if asks, _ := it.Gauge(metric.CPURequest); cpu || it.Ended || asks != 0.5 || !it.Gap.Since.Equal(sec(float64(life*span+9))) && !it.Gap.Since.Equal(sec(float64(life*span+9)).Add(300*time.Millisecond)) {
						t.Errorf("second %d: CPU %v, ended %v, asks for %v, gap %+v", i, cpu, it.Ended, asks, it.Gap)
					}
					if text := fmt.Sprintf("it does not run at present; whoever runs it has it still, and has started it again %d times", shown); it.Gap.Detail != text {
						t.Errorf("got %q, want %q", it.Gap.Detail, text)
					}
					fallthrough
				case rest == 0 && c.fastTells && c.late == 0 && c.says:
					wantGap(t, it, metric.GapWaiting)
				case rest > 0 && c.says:
					if w.Missing != 0 || w.Gap != nil || ws != 50 {
						t.Errorf("second %d: the workload has %v, lacks %d, gap %+v; want 50 of the other one", i, ws, w.Missing, w.Gap)
					}
				}
			}
			if it := p.Snapshot(sec(10*span - 0.5)).Containers[1]; it.Another || it.Restarts < 8 || it.Restarts > 10 {
				t.Errorf("it was started again %d times, another %v", it.Restarts, it.Another)
			}
			for i := range 60 { // nobody tells of it any more: it has ended
				at := sec(float64(10*span + i))
				apply(t, p, tick(at, cpu(node("n1"), at, float64(10*span+i), 4000)))
				if i%10 == 0 {
					apply(t, p, whole(at, cpu(node("n1"), at, float64(10*span+i), 4000)))
				}
			}
			if it := p.Snapshot(sec(10*span + 59.5)).Containers[1]; !it.Ended || it.Gap.Reason != metric.GapGone || int(it.Count) != shown {
				t.Errorf("a minute later: ended %v, %d restarts, gap %+v", it.Ended, it.Count, it.Gap)
			}
		})
	}
}

// One that waits for its next life has ended when its sender says so after whoever runs it told of it for the last time: its pod was deleted.
func TestWhoWaitedIsDeleted(t *testing.T) {
	p := newPicture(t, Options{})
	e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "cr", Pod: "cr-1", Container: "c", ID: "/kubepods/pod1/c7"}
	for i := range 60 {
		at := sec(float64(i))
		all := []metric.Group{cpu(node("n1"), at, float64(i), 1)}
		b := &metric.Batch{Node: "n1", Time: at, Fast: true, Groups: slices.Clone(all)}
		switch {
		case i < 12:
			b.Groups = append(b.Groups, cpu(e, at, float64(i), 100))
		case i == 12:
			b.Gaps = []metric.Gap{{Entity: e, Reason: metric.GapGone, Detail: "its cgroup has gone"}}
		}
		apply(t, p, b)
		if i%10 == 9 {
			b := whole(at, all...)
			if i < 40 {
				b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.Restarts, T: at.UnixMilli(), V: 3}}})
			} else if i == 49 {
				b.Gaps = []metric.Gap{{Entity: e, Reason: metric.GapGone, Detail: "its pod is not on the node any more"}}
			}
			apply(t, p, b)
		}
		if i < 20 || i >= 40 && i < 49 {
			continue
		}
		s := p.Snapshot(at)
		if len(s.Containers) == 0 && i > 49 { // it is forgotten after a while
			continue
		}
		if it := only(t, s.Containers); it.Ended != (i >= 49) {
			t.Errorf("second %d: ended %v, gap %+v", i, it.Ended, it.Gap)
		}
	}
}

// What a container has restarted is its own: another one that takes its name begins at 0, and is said to be another.
func TestAnotherContainerBeginsAtNoRestarts(t *testing.T) {
	p := newPicture(t, Options{})
	for i := range 40 {
		e, count := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "docker", WorkloadKind: "Docker", Workload: "db", Pod: "db", Container: "db", ID: "/docker/1", Runtime: "docker"}, 7.0
		if i >= 20 {
			e, count = clone(e, func(e *metric.Entity) { e.ID = "/docker/2" }), 0
		}
		at := sec(float64(i))
		g := started(cpu(e, at, float64(i%20), 100), sec(float64(i/20*20)))
		if i%10 == 4 {
			g.Points = append(g.Points, metric.Point{ID: metric.Restarts, T: at.UnixMilli(), V: count})
		}
		apply(t, p, tick(at, g))
		it := only(t, p.Snapshot(at).Containers)
		if want := int32(count); i >= 4 && (it.Count != want || it.Another != (i >= 20)) {
			t.Errorf("second %d: %d restarts, another %v; want %d", i, it.Count, it.Another, want)
		}
		if v, ok := it.Gauge(metric.Restarts); ok && v != count {
			t.Errorf("second %d: %v restarts are told, want %v", i, v, count)
		}
	}
}

// One that waits for its next life since before this process looked waits from when it would have been measured; what only counts are sent of is not known to.
func TestWaitsSinceBefore(t *testing.T) {
	for _, fastLane := range []bool{true, false} {
		p := newPicture(t, Options{})
		e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "docker", WorkloadKind: "Docker", Workload: "db", Pod: "db", Container: "db", ID: "/docker/1", Runtime: "docker"}
		for i := range 20 {
			at := sec(float64(i))
			apply(t, p, &metric.Batch{Node: "n1", Time: at, Fast: fastLane, Groups: []metric.Group{cpu(node("n1"), at, float64(i), 1), {Entity: e, Points: []metric.Point{{ID: metric.Restarts, T: at.UnixMilli(), V: 3}}}}})
			want := metric.GapStarting
			if i > 5 && fastLane {
				want = metric.GapWaiting
			}
			wantGap(t, only(t, p.Snapshot(at).Containers), want)
		}
	}
}

// A container of which whoever runs it tells, and that was never measured here, has a gap, whatever else a batch says of it and in whatever order: that its cgroup has gone, as a
// server hears it that begins between two of its lives, or that it cannot be read.
func TestWhatIsOnlyToldOfHasAGap(t *testing.T) {
	for _, reason := range []string{metric.GapGone, "permission"} {
		for _, saysFirst := range []bool{true, false} {
			p := newPicture(t, Options{})
			e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "cr", Pod: "cr-1", Container: "c", ID: "/kubepods/pod1/c7"}
			for i := range 120 {
				at := sec(float64(i))
				b := &metric.Batch{Node: "n1", Time: at, Fast: true, Groups: []metric.Group{cpu(node("n1"), at, float64(i), 1)}}
				if i == 12 || saysFirst && i == 8 || i > 12 && reason != metric.GapGone {
					b.Gaps = []metric.Gap{{Entity: e, Reason: reason, Detail: "said"}}
				}
				apply(t, p, b)
				if i%10 == 9 {
					apply(t, p, whole(at, cpu(node("n1"), at, float64(i), 1), metric.Group{Entity: e, Points: []metric.Point{{ID: metric.Restarts, T: at.UnixMilli(), V: 3}, {ID: metric.CPURequest, T: at.UnixMilli(), V: 0.1}}}))
				}
				if i < 20 {
					continue
				}
				want := reason
				if reason == metric.GapGone {
					want = metric.GapWaiting
				}
				wantGap(t, only(t, p.Snapshot(at).Containers), want)
				if why, _ := p.Gap(at, &cluster.Pod{Namespace: "shop", Name: "cr-1", Node: "n1", Containers: []cluster.Container{{Name: "c", ID: "c7", Waiting: "CrashLoopBackOff"}}}); reason == metric.GapGone && why != "CrashLoopBackOff" {
					t.Fatalf("said first %v, second %d: got %q", saysFirst, i, why)
				}
			}
		}
	}
}

// A replica that comes back under its name before its former life is forgotten has no rate since it began, and not since its former life ended.
func TestAGapIsOfThisLife(t *testing.T) {
	for _, id := range []string{"/plimsoll/web-2", "/plimsoll/other"} {
		for _, says := range []bool{true, false} {
			p := newPicture(t, Options{})
			a, b := web(1), web(2)
			for i := range 90 {
				at := sec(float64(i))
				g := tick(at, cpu(a, at, float64(i), 1), cpu(node("n1"), at, float64(i), 1))
				switch {
				case i < 20:
					g.Groups = append(g.Groups, cpu(b, at, float64(i), 1))
				case i == 20 && says:
					g.Gaps = append(g.Gaps, metric.Gap{Entity: b, Reason: metric.GapGone})
				case i >= 80:
					g.Groups = append(g.Groups, started(cpu(clone(b, func(e *metric.Entity) { e.ID = id }), at, float64(i-80)/2, 1), sec(79.5)))
				}
				apply(t, p, g)
				s := p.Snapshot(at)
				w := only(t, s.Workloads)
				if i == 80 {
					wantGap(t, s.Containers[1], metric.GapStarting)
					wantGap(t, w, metric.GapMember)
					for _, it := range []*Item{s.Containers[1], s.Pods[1], w} {
						if it.Gap == nil || !it.Gap.Since.Equal(at) {
							t.Errorf("id %q, said %v: %v has gap %+v, want it since %v", id, says, it.Entity, it.Gap, at)
						}
					}
				} else if i > 26 && w.Gap != nil {
					t.Errorf("second %d: gap %+v", i, w.Gap)
				}
			}
		}
	}
}

// What is late with its machine is said to be so from the first moment on; what its machine goes on without is not.
func TestUnheardIsWithItsMachine(t *testing.T) {
	p := newPicture(t, Options{})
	alive, dead := machineOf("alive"), machineOf("dead")
	for i := range 30 {
		s := float64(i)
		for k, m := range []func(float64, bool) *metric.Batch{alive, dead} {
			if k == 0 || i < 10 {
				b := m(s+0.5, false)
				b.Groups[2].Points[0].T -= 20 // it is read a little sooner
				b.Groups[2].Points[1].T -= 20
				if i >= 10 {
					b.Groups = b.Groups[:3] // one ends without a word
				}
				apply(t, p, b)
			}
		}
		for _, it := range p.Snapshot(sec(s + 0.6)).Containers {
			if dead := it.Entity.Node == "dead"; it.Unheard != (dead && i > 14) && i != 14 || dead && (it.Gap != nil) != it.Unheard && i > 1 {
				t.Errorf("second %d: %v on %q: unheard %v, gap %+v", i, it.Entity, it.Entity.Node, it.Unheard, it.Gap)
			}
		}
	}
}

// A machine whose collector has gone, and that is read from its kubelet, has values: what the kubelet does not say is not late.
func TestAKubeletSaysLess(t *testing.T) {
	p := newPicture(t, Options{})
	n := node("n1")
	rows := func(at time.Time, source string) *metric.Batch {
		b := &metric.Batch{Node: "n1", Time: at, Source: source, Fast: source == "", Groups: []metric.Group{cpu(n, at, at.Sub(t0).Seconds(), 4000)}}
		if source == "" {
			b.Groups[0].Points = append(b.Groups[0].Points, metric.Point{ID: metric.CPUWaiting, T: at.UnixMilli(), V: 1}, metric.Point{ID: metric.LoadAverage1m, T: at.UnixMilli(), V: 1})
		}
		return b
	}
	for i := range 120 {
		at := sec(float64(i))
		switch {
		case i < 20 || i >= 100:
			apply(t, p, rows(at, ""))
		case i >= 50 && i%15 == 5:
			apply(t, p, rows(at, metric.FromKubelet))
		}
		if it := only(t, p.Snapshot(at).Nodes); i > 66 || i < 25 && i > 1 {
			wantGap(t, it, "")
			if _, ok := it.Get(metric.LoadAverage1m); it.Lacks != (metric.Set{}) && i > 1 || ok != (i < 25 || i >= 100) {
				t.Errorf("second %d: lacks %v, load %v", i, it.Lacks, ok)
			}
		}
	}
}

// A pod that is made anew under its name is another one, with a UID of its own: what its predecessor's gap says is not said of it.
func TestAPredecessorSaysNothing(t *testing.T) {
	for _, id := range []string{"/kubepods/pod11111111-1111-1111-1111-111111111111/c", ""} {
		pod := &cluster.Pod{UID: "22222222-2222-2222-2222-222222222222", Namespace: "demo", Name: "same", Node: "n1", StartTime: sec(20)}
		p := newPicture(t, Options{Inventory: inventory{pod}, Pods: func(string, string) (time.Time, bool) { return time.Time{}, true }})
		e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", Pod: "same", Container: "c", ID: id}
		for i := range 10 {
			at := sec(float64(i))
			apply(t, p, tick(at, started(cpu(e, at, float64(i), 1), sec(-1)), cpu(node("n1"), at, float64(i), 1)))
		}
		apply(t, p, &metric.Batch{Node: "n1", Time: sec(10), Fast: true, Gaps: []metric.Gap{{Entity: e, Reason: metric.GapGone, Detail: "its sender has ended the series"}}})
		before := *pod
		before.UID, before.StartTime = "11111111-1111-1111-1111-111111111111", sec(-2)
		if why, _ := p.Gap(sec(21), &before); !strings.Contains(why, "its sender has ended") {
			t.Errorf("id %q: of the predecessor itself: %q", id, why)
		}
		if why, _ := p.Gap(sec(21), pod); why != "" {
			t.Errorf("id %q: got %q of its predecessor", id, why)
		}
		s := p.Snapshot(sec(21))
		if s.Known[0].Item != nil || s.Pods[0].Pod != nil {
			t.Errorf("id %q: the predecessor is taken for the pod: %+v", id, s.Known[0].Item)
		}
	}
}
