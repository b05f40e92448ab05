package live

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// checkSnapshot says what must hold of every snapshot, whatever was applied.
func checkSnapshot(t rapid.TB, s *Snapshot) {
	t.Helper()
	lists := [][]*Item{s.Containers, s.Pods, s.Workloads, s.Namespaces, s.Nodes, s.Pools, {s.Cluster}}
	for l, list := range lists {
		for i, it := range list {
			if int(it.Entity.Level) != l {
				t.Fatalf("%v is among the %vs", it.Entity, metric.Level(l))
			}
			if i > 0 && compareNames(list[i-1].Entity, it.Entity) > 0 {
				t.Fatalf("%v comes before %v", list[i-1].Entity, it.Entity)
			}
			if (it.Parent == nil) != (it.Entity.Level >= metric.Pool) {
				t.Fatalf("%v has parent %v", it.Entity, it.Parent)
			}
			if it.Parent != nil && !slices.Contains(it.Parent.Items, it) {
				t.Fatalf("%v is not among its parent's items", it.Entity)
			}
			for _, v := range it.List() {
				if !(v.Rate >= 0) || math.IsInf(v.Rate, 0) || v.Window < 0 || math.IsNaN(v.V) || (v.Rate > 0 && v.Window == 0) || v.T.IsZero() {
					t.Fatalf("%v has value %+v", it.Entity, v)
				}
			}
			if !slices.IsSortedFunc(it.List(), func(a, b Value) int {
				if a.ID != b.ID {
					return int(a.ID) - int(b.ID)
				}
				return slices.Compare([]byte(a.Sub), []byte(b.Sub))
			}) {
				t.Fatalf("%v has values out of order: %+v", it.Entity, it.List())
			}
			if !it.Any() && it.Gap == nil && len(it.Items) == 0 && it != s.Cluster {
				t.Fatalf("%v has neither values nor a gap", it.Entity)
			}
			if it.Gap != nil && it.Gap.Reason == "" {
				t.Fatalf("%v has a gap without a reason", it.Entity)
			}
		}
	}
}

// checkSums compares every roll-up that has no values of its own with the sum of its members.
func checkSums(t rapid.TB, s *Snapshot, own func(*metric.Entity, metric.ID) bool) {
	t.Helper()
	for _, list := range [][]*Item{s.Pods, s.Workloads, s.Namespaces, s.Pools} {
		for _, it := range list {
			for _, row := range metric.Rows() {
				if !row.Has(it.Entity.Level) || row.Join != metric.Sum || own(it.Entity, row.ID) {
					continue
				}
				v, rate, any := 0.0, 0.0, false
				for _, m := range it.Items {
					if m.Silent() && it.Entity.Level != metric.Pod {
						continue // it is in no sum
					}
					x, ok := m.Get(row.ID)
					any = any || ok
					rate += x.Rate
					if row.Kind == metric.Gauge {
						v += x.V
					}
				}
				got, ok := it.Get(row.ID)
				if ok != any || !near(got.V, v) || !near(got.Rate, rate) {
					t.Fatalf("%v: %s is %v at rate %v (%v), its members' sum %v at %v (%v)", it.Entity, row.Name, got.V, got.Rate, ok, v, rate, any)
				}
			}
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

// checkIndexes compares the picture's indexes with one another.
func checkIndexes(t rapid.TB, p *Picture) {
	t.Helper()
	alive, own := 0, 0
	for k, u := range p.tree.byKey {
		alive++
		if u.sent() {
			own++
		}
		if u.dead || u.key != k {
			t.Fatalf("%v is found by the names %+v", u.entity, k)
		}
		for _, ptr := range u.ptrs {
			if ptr != nil && p.tree.byPtr[ptr] != u {
				t.Fatalf("%v is not found by a pointer", u.entity)
			}
		}
		for i := range u.series {
			x := &u.series[i]
			if r := u.long(x); len(r.buf) > p.limits.ring || int(r.n) > len(r.buf) {
				t.Fatalf("a ring has %d of %d slots", r.n, len(r.buf))
			}
			if (x.ring != 0) != (essential.Has(x.id) && x.sub == 0) || len(u.grown) != len(u.series) {
				t.Fatalf("series %+v of %v, %d counts", x, u.entity, len(u.grown))
			}
			if !u.rows.Has(u.series[i].id) {
				t.Fatalf("%v does not know its row %d", u.entity, u.series[i].id)
			}
		}
		if len(u.series) > p.limits.series {
			t.Fatalf("%d series", len(u.series))
		}
		if u.key.Level == metric.Pod && len(u.members) != int(u.count) {
			t.Fatalf("%v has %d members of %d", u.entity, len(u.members), u.count)
		}
	}
	if all := p.tree.alive; alive != all[0]+all[1]+all[2]+all[3]+all[4]+all[5]+all[6] || own != p.tree.sent || p.tree.sent > p.limits.entities+1 || len(p.tree.byPtr) > 3*own || len(p.tree.byID) > own {
		t.Fatalf("%d units of which %d have samples, %d keys, own %d, %d pointers, %d cgroups", alive, own, len(p.tree.byKey), p.tree.sent, len(p.tree.byPtr), len(p.tree.byID))
	}
	checkShares(t, p, &p.tree.shares)
	for ptr, u := range p.tree.byPtr {
		if u.dead || !slices.Contains(u.ptrs[:], ptr) {
			t.Fatalf("a pointer leads to %v, which does not know it", u.entity)
		}
	}
	for id, u := range p.tree.byID {
		if u.dead || u.entity.ID != id.id || u.entity.Node != id.node {
			t.Fatalf("cgroup %v leads to %+v", id, u.entity)
		}
	}
}

// checkShares compares the shares of the table with its units.
func checkShares(t rapid.TB, p *Picture, root *share) {
	t.Helper()
	homes := map[*share]int{}
	for _, u := range p.tree.byKey {
		if u.home == nil {
			continue
		}
		homes[u.home]++
		if !u.sent() || u.home.units[u.seat] != u {
			t.Fatalf("%v has a place that is not its", u.entity)
		}
	}
	sum := 0
	for _, sender := range root.parts {
		machines := 0
		for _, m := range sender.parts {
			if m.count != homes[m] || m.count == 0 || m.count > sender.heap[0].count {
				t.Fatalf("machine %q of %q has %d places and %d units, the largest has %d", m.name, sender.name, m.count, homes[m], sender.heap[0].count)
			}
			machines += m.count
		}
		if sender.count != machines || sender.count > root.heap[0].count || len(sender.heap) != len(sender.parts) {
			t.Fatalf("%q has %d places, its machines %d, the largest %d", sender.name, sender.count, machines, root.heap[0].count)
		}
		sum += machines
	}
	if root.count != sum || len(root.heap) != len(root.parts) {
		t.Fatalf("%d places are in shares, of %d senders", root.count, len(root.parts))
	}
}

// world draws batches over few names, so that they meet in every way.
type world struct {
	now      time.Time
	entities []*metric.Entity
}

func (w *world) entity(t *rapid.T) *metric.Entity {
	if len(w.entities) > 0 && rapid.IntRange(0, 9).Draw(t, "known") > 0 {
		return rapid.SampledFrom(w.entities).Draw(t, "entity")
	}
	name := func(label string, n int) string {
		if k := rapid.IntRange(0, n).Draw(t, label); k > 0 {
			return fmt.Sprint(label, k)
		}
		return ""
	}
	e := &metric.Entity{
		Level: metric.Level(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "level")),
		Node:  name("n", 2), Namespace: name("ns", 2), Workload: name("w", 2), WorkloadKind: name("k", 1), Pod: name("p", 2), Pool: name("pool", 2),
		Container: name("c", 2), ID: rapid.SampledFrom([]string{"", "/a", "/b", "/kubepods/a", "/kubepods/b"}).Draw(t, "id"),
	}
	w.entities = append(w.entities, e)
	return e
}

func (w *world) point(t *rapid.T) metric.Point {
	id := rapid.SampledFrom([]metric.ID{metric.CPUUsage, metric.CPUUsage, metric.MemoryWorkingSet, metric.NetworkReceive, metric.CPUWaiting,
		metric.StartTime, metric.Restarts, metric.MemoryCapacity, 5000}).Draw(t, "row")
	p := metric.Point{ID: id, T: w.now.UnixMilli() + int64(rapid.IntRange(-3000, 300).Draw(t, "late"))}
	if id == metric.NetworkReceive {
		p.Sub = rapid.SampledFrom([]string{"", "eth0", "eth1"}).Draw(t, "sub")
	}
	switch rapid.IntRange(0, 40).Draw(t, "odd") {
	case 0:
		p.V = math.NaN()
	case 1:
		p.T = rapid.Int64().Draw(t, "any time")
	case 2:
		p.V = -1
	default:
		p.V = float64(rapid.IntRange(0, 1000).Draw(t, "value"))
	}
	return p
}

func (w *world) batch(t *rapid.T) *metric.Batch {
	b := &metric.Batch{Node: rapid.SampledFrom([]string{"n1", "n2", ""}).Draw(t, "node"), Time: w.now, Fast: rapid.Bool().Draw(t, "fast")}
	for range rapid.IntRange(0, 5).Draw(t, "groups") {
		g := metric.Group{Entity: w.entity(t)}
		if rapid.Bool().Draw(t, "start known") {
			g.Start = w.now.Add(-time.Duration(rapid.IntRange(0, 100).Draw(t, "age")) * time.Second)
		}
		for range rapid.IntRange(0, 4).Draw(t, "points") {
			g.Points = append(g.Points, w.point(t))
		}
		b.Groups = append(b.Groups, g)
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "gaps") {
		b.Gaps = append(b.Gaps, metric.Gap{Entity: w.entity(t), Reason: rapid.SampledFrom([]string{"gone", "parse"}).Draw(t, "reason")})
	}
	return b
}

// ownRow says whether a unit has samples of its own, or ever had.
func ownRow(p *Picture) func(*metric.Entity, metric.ID) bool {
	return func(e *metric.Entity, id metric.ID) bool {
		for _, u := range p.tree.byKey {
			if u.entity == e {
				return u.rows.Has(id)
			}
		}
		return false
	}
}

// TestAnyInterleaving applies anything in any order and checks what must hold after each step.
func TestAnyInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPictureRapid(t)
		w := &world{now: t0}
		p.nodes = func() (out []*cluster.Node) {
			for _, name := range []string{"n1", "n2", "n3"} {
				if pool := rapid.SampledFrom([]string{"", "pool1", "pool3"}).Draw(t, "pool of "+name); pool != "" {
					out = append(out, &cluster.Node{Name: name, Pool: pool})
				}
			}
			return out
		}
		type counter struct {
			e     *metric.Entity
			id    metric.ID
			sub   string
			start int64
		}
		counted := map[counter]metric.Point{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{0, 300, 1000, 1000, 1000, 10000, 60000, 400000, -5000}).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				b := p.RollUp(w.now)
				for _, g := range b.Groups {
					for _, pt := range g.Points {
						if metric.Get(pt.ID).Kind != metric.Counter {
							continue
						}
						k := counter{g.Entity, pt.ID, pt.Sub, g.Start.UnixMilli()}
						if g.Start.IsZero() {
							continue // its sender tells the start: a unit that was forgotten and came back cannot be told apart here
						}
						// A count begins anew after a time in which nothing was heard of it, by a point of 0.
						if was, ok := counted[k]; ok && (pt.V < was.V && pt.V != 0 || pt.T <= was.T) {
							t.Fatalf("%v: the count of %s went from %+v to %+v", g.Entity, metric.Get(pt.ID).Name, was, pt)
						}
						counted[k] = pt
					}
				}
			case 1:
				for _, u := range usageOf(p, w.now, "ns1", "k1", "w1", metric.CPUUsage, 3*time.Second) {
					valued := 0 // a container that lacks is named without a value
					for _, c := range u.Containers {
						if len(c.Usage) > 0 {
							valued++
						}
						if len(c.Usage) > 1 || len(c.Usage) == 1 && c.Usage[0].Milli < 0 {
							t.Fatalf("usage: %+v", u)
						}
					}
					if u.Window <= 0 || valued == 0 {
						t.Fatalf("usage: %+v", u)
					}
				}
			default:
				if err := p.Apply(w.batch(t)); err != nil {
					t.Fatal(err)
				}
			}
			s := p.Snapshot(w.now)
			checkSnapshot(t, s)
			checkSums(t, s, ownRow(p))
			checkIndexes(t, p)
		}
		later := w.now.Add(2 * time.Hour)
		if s := p.Snapshot(later); len(s.Containers)+len(s.Pods)+len(s.Workloads)+len(s.Namespaces)+len(s.Nodes)+len(s.Pools) != 0 || len(p.tree.byPtr) != 0 || len(p.tree.byID) != 0 {
			t.Fatalf("two hours later there are still %d units, %d pointers", len(p.tree.byKey), len(p.tree.byPtr))
		}
	})
}

func newPictureRapid(t rapid.TB) *Picture {
	p, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.limits.entities, p.limits.series = 12, 6
	return p
}

// TestCountersAreRates feeds made counters with resets and gaps, and compares the two-point rate with the one worked out by hand.
func TestCountersAreRates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPictureRapid(t)
		e := web(1)
		at, v := t0, float64(rapid.IntRange(0, 100).Draw(t, "first"))
		restarts := 0
		_ = p.Apply(tick(at, cpu(e, at, v, 1)))
		for range rapid.IntRange(1, 100).Draw(t, "ticks") {
			step := time.Duration(rapid.IntRange(50, 3000).Draw(t, "step")) * time.Millisecond
			at = at.Add(step)
			inc := float64(rapid.IntRange(0, 3000).Draw(t, "inc")) / 1000
			next, reset := v+inc, rapid.IntRange(0, 9).Draw(t, "reset") == 0 && v > 1
			if reset {
				next = 0.5
				restarts++
			}
			_ = p.Apply(tick(at, cpu(e, at, next, 1)))
			v = next
			it := p.Snapshot(at).Containers[0]
			got, ok := it.Rate(metric.CPUUsage)
			if want := inc / step.Seconds(); ok == reset || ok && math.Abs(got-want) > 1e-6 {
				t.Fatalf("rate %v (%v), want %v, reset %v", got, ok, want, reset)
			}
			if it.Restarts != restarts {
				t.Fatalf("restarts %d, want %d", it.Restarts, restarts)
			}
		}
	})
}

// TestUsageIsTheMean compares a window with the samples themselves.
func TestUsageIsTheMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPictureRapid(t)
		e := web(1)
		type smp struct {
			t int64
			v float64
		}
		var all []smp
		at, v := t0, 5.0
		for range rapid.IntRange(2, 120).Draw(t, "ticks") {
			at = at.Add(time.Duration(rapid.IntRange(900, 1100).Draw(t, "step")) * time.Millisecond)
			v += float64(rapid.IntRange(0, 2000).Draw(t, "inc")) / 1000
			_ = p.Apply(tick(at, cpu(e, at, v, v)))
			all = append(all, smp{at.UnixMilli(), v})
		}
		w := int64(rapid.IntRange(1, 60).Draw(t, "w"))
		got := usageOf(p, at, "demo", "ProcessService", "web", metric.CPUUsage, time.Duration(w)*time.Second)
		last := all[len(all)-1]
		best := len(all) - 2
		for i := range all[:len(all)-1] {
			if abs(last.t-w*1000-all[i].t) < abs(last.t-w*1000-all[best].t) {
				best = i
			}
		}
		first := all[best]
		want := (last.v - first.v) / float64(last.t-first.t) * 1000
		if len(got) != 1 || !near(got[0].Containers[0].Usage[0].Milli.Float(), cluster.MilliOfFloat(want).Float()) || got[0].Window.Milliseconds() != last.t-first.t || got[0].Timestamp.UnixMilli() != last.t {
			t.Fatalf("window of %d s: %+v, want %v over %d ms", w, got, want, last.t-first.t)
		}
	})
}
