package live

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// missingParts are the counts of a roll-up's batch by entity; -1 where there is none.
func missingParts(b *metric.Batch, e *metric.Entity) float64 {
	for _, g := range b.Groups {
		for _, pt := range g.Points {
			if g.Entity == e && pt.ID == metric.MissingParts {
				return pt.V
			}
		}
	}
	return -1
}

// TestSumLacksAPart is a pod of two containers of which one begins anew: for the second in which it has no rate no sum says that the
// other's rate is the whole.
func TestSumLacksAPart(t *testing.T) {
	p := newPicture(t, Options{})
	a, b := web(1), web(1)
	a.Container, a.ID, b.Container, b.ID = "a", "/plimsoll/web-1/a", "b", "/plimsoll/web-1/b"
	pods := []*cluster.Pod{{Node: "n1", Namespace: "demo", Name: "web-1"}}
	for i := range 12 {
		s := float64(i)
		used := 10 + 2*s
		if i >= 10 {
			used = 2 * (s - 10)
		}
		apply(t, p, tick(sec(s), cpu(a, sec(s), s/2, 100), cpu(b, sec(s), used, 100)))
		snap, rolled := p.Snapshot(sec(s)), p.RollUp(sec(s))
		usage := p.Usage(sec(s), pods, "cpu", 3*time.Second)
		lacks := i == 10
		for _, it := range []*Item{only(t, snap.Pods), only(t, snap.Workloads), only(t, snap.Namespaces), only(t, snap.Nodes), snap.Cluster} {
			want := 2.5
			if lacks {
				want = 0.5
			}
			if i == 0 {
				wantGap(t, it, metric.GapStarting)
				continue
			}
			wantRate(t, it, metric.CPUUsage, want)
			if it.Lacks.Has(metric.CPUUsage) != lacks || it.Lacks.Has(metric.MemoryWorkingSet) || (it.Gap != nil) != lacks || (it.Missing == 1) != lacks {
				t.Errorf("second %d: %v lacks %v, %d missing, gap %+v", i, it.Entity, it.Lacks, it.Missing, it.Gap)
			}
			if got, want := missingParts(rolled, it.Entity), map[bool]float64{true: 1}[lacks]; got != want && (i >= 10 || got != -1) && (i != 1 || got != 0) {
				t.Errorf("second %d: the history is told that %v lacks %v parts, want %v", i, it.Entity, got, want)
			}
		}
		if i == 0 {
			continue
		}
		if len(usage) != 1 || len(usage[0].Containers) != 2 || len(usage[0].Containers[0].Usage) != 1 || (len(usage[0].Containers[1].Usage) == 0) != lacks {
			t.Errorf("second %d: the autoscaler gets %+v", i, usage)
		}
	}
}

// TestLackingIsOfTheSumsMoment: what a sum lacks is told with the time of the sum that lacks it: of a container that begins anew that of the CPU, which is told up to a time
// before the pass, and of one that is not read any more that of the memory too. The 0 comes after both.
func TestLackingIsOfTheSumsMoment(t *testing.T) {
	p := newPicture(t, Options{})
	a, b := web(1), web(1)
	a.Container, a.ID, b.Container, b.ID = "a", "/plimsoll/web-1/a", "b", "/plimsoll/web-1/b"
	type told map[metric.ID]map[float64]float64 // by row and second
	got := map[metric.Level]told{}
	for i := range 20 {
		at := 4.7 + 10*float64(i)
		used := 10 + at/4
		if i >= 6 {
			used = (at - 60) / 4
		}
		x := tick(sec(at), cpu(a, sec(at), at/2, 100), cpu(b, sec(at), used, 50))
		x.Fast = false
		if i == 12 || i == 13 {
			x.Groups = x.Groups[:1]
		}
		apply(t, p, x)
		for _, g := range p.RollUp(sec(10 * float64(i+1))).Groups {
			l := g.Entity.Level
			if got[l] == nil {
				got[l] = told{}
			}
			for _, pt := range g.Points {
				if got[l][pt.ID] == nil {
					got[l][pt.ID] = map[float64]float64{}
				}
				got[l][pt.ID][float64(pt.T-t0.UnixMilli())/1000] = pt.V
			}
		}
	}
	for _, l := range []metric.Level{metric.Pod, metric.Workload, metric.Namespace, metric.Cluster} {
		used, missing := got[l][metric.CPUUsage], got[l][metric.MissingParts]
		times := slices.Sorted(maps.Keys(used))
		for i, at := range times[1:] {
			v := used[at] - used[times[i]]
			if n := missing[at]; (v < 7.4) != (n == 1) {
				t.Errorf("%v: %.4g s of CPU from %g to %g s, and %g parts missing then", l, v, times[i], at, n)
			}
		}
		for at, v := range got[l][metric.MemoryWorkingSet] {
			if n := missing[at]; (v < 150) != (n == 1) && at > 10 {
				t.Errorf("%v: %g bytes at %g s, and %g parts missing then", l, v, at, n)
			}
		}
		if at := slices.Sorted(maps.Keys(missing)); len(at) == 0 || missing[at[len(at)-1]] != 0 {
			t.Errorf("%v: no 0 after the missing parts %v", l, missing)
		}
	}
}

// TestUnaccounted is a pod of two containers of which the kernel counts the CPU of one only: no sum says that this is the whole.
func TestUnaccounted(t *testing.T) {
	p := newPicture(t, Options{})
	a, b := web(1), web(1)
	a.Container, a.ID, b.Container, b.ID = "a", "/plimsoll/web-1/a", "b", "/plimsoll/web-1/b"
	for i := range 20 {
		s := float64(i)
		half := cpu(b, sec(s), 0, 100)
		half.Points = half.Points[1:]
		apply(t, p, tick(sec(s), cpu(a, sec(s), s/2, 100), half))
	}
	s := p.Snapshot(sec(19))
	for _, it := range []*Item{only(t, s.Pods), only(t, s.Workloads), only(t, s.Namespaces), only(t, s.Nodes), s.Cluster} {
		if !it.Lacks.Has(metric.CPUUsage) || it.Lacks.Has(metric.MemoryWorkingSet) || it.Gap == nil || it.Gap.Reason != metric.GapMember {
			t.Errorf("%v lacks %v, gap %+v", it.Entity, it.Lacks, it.Gap)
		}
	}
	if got := only(t, s.Pods).Gap.Detail; got != "1 of 2: container demo/web-1/b: unaccounted" {
		t.Errorf("the pod says %q", got)
	}
}

// TestTornBetweenRollUps begins a container anew between two roll-ups: when the second is made it has a rate again, but what it used
// meanwhile is in no sum.
func TestTornBetweenRollUps(t *testing.T) {
	p := newPicture(t, Options{})
	a, b := web(1), web(2)
	var got []float64
	for i := range 41 {
		s := float64(i)
		used := 10 + s
		if i >= 15 {
			used = s - 15
		}
		apply(t, p, tick(sec(s), cpu(a, sec(s), s, 100), cpu(b, sec(s), used, 100)))
		if i%10 == 5 && i > 5 || i%10 == 0 && i > 0 {
			got = append(got, missingParts(p.RollUp(sec(s)), only(t, p.Snapshot(sec(s)).Workloads).Entity))
		}
	}
	if want := []float64{-1, 1, 0, -1, -1, -1, -1}; !slices.Equal(got, want) { // at 10, 15, 20, ...
		t.Errorf("missing parts are told as %v, want %v", got, want)
	}
}

// part is one container of the model, or a machine.
type part struct {
	e       *metric.Entity
	used    float64
	at      []time.Time // its samples since it began
	values  []float64
	gone    bool
	torn    bool
	newest  time.Time
	alive   bool
	machine *machine
}

// machine is one node of the model.
type machine struct {
	part
	paused bool
	heard  time.Time
	rolled time.Time // when sums were last given out
}

// step takes one second.
func (x *part) step(t *rapid.T, now time.Time, what int) (g metric.Group, ok bool) {
	if what == 2 && x.alive { // was not read
		return g, false
	}
	switch {
	case !x.alive:
		x.used = 5
	case what < 2 || x.gone: // begins anew, lower than it was
		x.used, x.torn = x.used/2, true
		x.at, x.values = nil, nil
	default:
		x.used += float64(rapid.IntRange(500, 4000).Draw(t, "used")) / 1000
	}
	if x.alive && now.Sub(x.newest) > 5*time.Second && x.newest.Before(x.machine.rolled.Add(-5*time.Second)) { // sums were given out without it
		x.torn = true
	}
	x.alive, x.gone, x.newest = true, false, now
	x.at, x.values = append(x.at, now), append(x.values, x.used)
	return cpu(x.e, now, x.used, 100), true
}

// ended says whether it is no more, and current whether it has values.
func (x *part) ended() bool {
	return x.gone || !x.current(x.machine.heard) && x.machine.heard.Sub(x.newest) > 5*time.Second
}
func (x *part) current(now time.Time) bool { return !x.gone && now.Sub(x.newest) <= 5*time.Second }

// steady says whether it was read in each of the last three seconds in which it was read.
func (x *part) steady() bool {
	n := len(x.at)
	return n >= 3 && x.at[n-1].Sub(x.at[n-3]) == 2*time.Second
}

// rate is its rate; what it lacks has none.
func (x *part) rate(now time.Time) (v float64, ok bool) {
	n := len(x.at)
	if n < 2 || !x.current(now) {
		return 0, false
	}
	return (x.values[n-1] - x.values[n-2]) / x.at[n-1].Sub(x.at[n-2]).Seconds(), true
}

// TestSumsSayWhatTheyLack compares every sum, what it is said to lack, what the autoscaler gets and what the history is told with a model in
// which containers begin anew, are not read for a second, end and come back, and machines are silent for a while.
func TestSumsSayWhatTheyLack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPictureRapid(t)
		p.limits.entities = 100
		ownRows := rapid.Bool().Draw(t, "machines have rows of their own")
		machines := []*machine{{}, {}}
		var parts []*part
		for i, m := range machines {
			m.e, m.machine = node(fmt.Sprint("n", i+1)), m
			for pod := range 2 {
				for c := range rapid.IntRange(1, 3).Draw(t, "containers") {
					e := &metric.Entity{Level: metric.Container, Node: m.e.Node, Namespace: fmt.Sprint("ns", pod), WorkloadKind: "k", Workload: "w",
						Pod: fmt.Sprintf("p%d-%d", i, pod), Container: fmt.Sprint("c", c), ID: fmt.Sprintf("/kubepods/%d/%d/%d", i, pod, c)}
					parts = append(parts, &part{e: e, machine: m})
				}
			}
		}
		now, quiet := t0, 0
		for i := range rapid.IntRange(5, 60).Draw(t, "seconds") {
			now = now.Add(time.Second)
			quiet++
			for _, m := range machines {
				if i > 2 && quiet > 3 && rapid.IntRange(0, 20).Draw(t, "pause") == 0 {
					m.paused, quiet = !m.paused, 0
				}
				if m.paused {
					continue
				}
				b := &metric.Batch{Node: m.e.Node, Time: now, Fast: true}
				if ownRows {
					g, _ := m.step(t, now, 9)
					b.Groups = append(b.Groups, g)
				}
				for _, x := range parts {
					if x.machine != m || x.gone && rapid.IntRange(0, 3).Draw(t, "stays away") > 0 {
						continue
					}
					what := 9
					if quiet > 3 && x.newest.Equal(now.Add(-time.Second)) || !x.alive {
						what = rapid.IntRange(0, 25).Draw(t, "what")
					}
					if what == 2 && !x.steady() { // who is read every other second has that interval
						what = 9
					}
					if what == 3 && x.alive {
						x.gone = true
						b.Gaps = append(b.Gaps, metric.Gap{Entity: x.e, Reason: metric.GapGone})
						continue
					}
					if g, ok := x.step(t, now, what); ok {
						b.Groups, m.heard = append(b.Groups, g), now
					}
				}
				if err := p.Apply(b); err != nil {
					t.Fatal(err)
				}
			}
			snap := p.Snapshot(now)
			checkSnapshot(t, snap)
			checkSums(t, snap, ownRow(p))
			var rolled *metric.Batch
			if rapid.IntRange(0, 3).Draw(t, "roll up") == 0 {
				rolled = p.RollUp(now)
			}
			checkParts(t, p, snap, rolled, parts, machines, ownRows)
			if rolled != nil {
				for _, x := range parts {
					x.torn = false
				}
				for _, m := range machines {
					m.rolled, m.torn = now, false
				}
			}
		}
	})
}

// within says whether a container is summed up in an item.
func within(x *part, of *metric.Entity) bool {
	e := x.e
	switch of.Level {
	case metric.Pod:
		return of.Namespace == e.Namespace && of.Pod == e.Pod
	case metric.Workload, metric.Namespace:
		return of.Namespace == e.Namespace
	case metric.Node:
		return of.Node == e.Node
	}
	return true
}

func checkParts(t *rapid.T, p *Picture, s *Snapshot, rolled *metric.Batch, parts []*part, machines []*machine, ownRows bool) {
	now := s.Time
	for _, it := range slices.Concat(s.Pods, s.Workloads, s.Namespaces, s.Nodes, []*Item{s.Cluster}) {
		level := it.Entity.Level
		of := parts
		if ownRows && level >= metric.Node {
			of = nil
			for _, m := range machines {
				of = append(of, &m.part)
			}
		}
		rate, rates, current, memory, lacks, torn, quiet := 0.0, 0, 0, false, 0, 0, 0
		for _, x := range of {
			if !x.alive || !within(x, it.Entity) || level < metric.Node && x.ended() {
				continue
			}
			v, ok := x.rate(now)
			switch {
			case ok:
				rates++
				rate += v
			case !x.ended():
				lacks++
				memory = memory || !x.current(now)
			}
			switch {
			case ok && x.torn:
				torn++
			case ok && now.Sub(x.newest) > time.Second: // its machine is late, so what it used may end within the pass
				quiet++
			}
			if x.current(now) {
				current++
			}
		}
		got, ok := it.Rate(metric.CPUUsage)
		if !near(got, rate) || ok != (rates > 0) {
			t.Fatalf("%v has rate %v (%v), want %v of %d", it.Entity, got, ok, rate, rates)
		}
		if it.Lacks.Has(metric.CPUUsage) != (lacks > 0) || it.Lacks.Has(metric.MemoryWorkingSet) != memory {
			t.Fatalf("%v lacks %v; %d containers have no rate, memory is missing: %v; gap %+v", it.Entity, it.Lacks, lacks, memory, it.Gap)
		}
		if current > 0 && (it.Gap != nil) != (lacks > 0) {
			t.Fatalf("%v lacks %d parts and has gap %+v", it.Entity, lacks, it.Gap)
		}
		if level == metric.Pod && it.Missing != lacks {
			t.Fatalf("%v: %d missing, want %d", it.Entity, it.Missing, lacks)
		}
		if rolled == nil || ownRows && level == metric.Node || current == 0 || it.Silent() {
			continue
		}
		switch told := missingParts(rolled, it.Entity); {
		case level == metric.Pod && lacks+torn > 0 && (told < float64(lacks+torn) || told > float64(lacks+torn+quiet)), (told > 0) != (lacks+torn > 0) && !(told > 0 && quiet > 0) && !(ownRows && level == metric.Cluster && lacks > 0):
			t.Fatalf("%v: the history is told of %v missing, want %d and %d torn", it.Entity, told, lacks, torn)
		}
	}
	checkUsage(t, p, s, parts)
}

// patience is how far apart two samples of a part are before that is a gap: three of its intervals, as the picture knows them.
func patience(p *Picture, x *part) time.Duration {
	return time.Duration(p.tree.byKey[identity.KeyOf(x.e)].limit(p.tree.limits, fast)) * time.Millisecond
}

// checkUsage compares what the autoscaler gets.
func checkUsage(t *rapid.T, p *Picture, s *Snapshot, parts []*part) {
	for _, it := range s.Pods {
		got := p.Usage(s.Time, []*cluster.Pod{{Namespace: it.Entity.Namespace, Name: it.Entity.Pod}}, "cpu", time.Second)
		want, some := map[string]bool{}, false
		for _, x := range parts {
			if x.alive && within(x, it.Entity) && !x.ended() {
				_, ok := x.rate(s.Time)
				n := len(x.at)
				ok = ok && x.at[n-1].Sub(x.at[n-2]) <= patience(p, x) // its windows join no samples over a gap
				want[x.e.Container], some = ok, some || ok
			}
		}
		if !some {
			if len(got) != 0 {
				t.Fatalf("%v: the autoscaler gets %+v of a pod without a value", it.Entity, got)
			}
			continue
		}
		if len(got) != 1 || len(got[0].Containers) != len(want) {
			t.Fatalf("%v: the autoscaler gets %+v, want %v", it.Entity, got, want)
		}
		for _, c := range got[0].Containers {
			if (len(c.Usage) == 1) != want[c.Name] {
				t.Fatalf("%v: the autoscaler gets %+v, want %v", it.Entity, got, want)
			}
		}
	}
}

// TestSumsNameTheReason: what a sum lacks is told with the reason of the container that lacks it, however many sums lie between.
func TestSumsNameTheReason(t *testing.T) {
	p := newPicture(t, Options{})
	e := web(1)
	for i := range 20 {
		at := sec(float64(i))
		apply(t, p, tick(at, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1}}}))
	}
	s := p.Snapshot(sec(19))
	for _, it := range []*Item{only(t, s.Pods), only(t, s.Workloads), only(t, s.Namespaces)} {
		if it.Gap == nil || it.Gap.Reason != metric.GapMember || !strings.HasSuffix(it.Gap.Detail, ": "+metric.GapUnaccounted) {
			t.Errorf("%v has %+v", it.Entity, it.Gap)
		}
	}
}
