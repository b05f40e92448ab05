package capacity

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestUnbelievable gives a day on which more was used than there was, as after a step of the clock.
func TestUnbelievable(t *testing.T) {
	g := fixtureGrid()
	s := told(g, 1, 1, 0, gi, 0, func(int) bool { return false })
	bad := g.start.Add(3 * day).Unix()
	s.cpu.at[bad].Max = at(3348)
	for t := range s.cpu.at {
		s.cores[t] = 4
	}
	now := &picture{nodes: []scopeNow{{name: "n", cpu: amounts{capacity: at(4)}, memory: amounts{capacity: at(8 * gi)}}}}
	r := capacityOf(g, now, &history{clusters: stories{"": s}, nodes: stories{"n": s}, namespaces: stories{}}, true, false)
	c := &r.Scopes[0]
	if m := value(c.CPU.Max); m > 2 || m < 1 {
		t.Errorf("max is %g, want what the other days have", m)
	}
	if p := c.CPU.Points[2]; p.T != bad || p.Max != nil || p.P95 == nil {
		t.Errorf("point %+v: want the maximum alone left out", p)
	}
	if want := "At 1 day more CPU seems to have been used than there was"; !strings.Contains(strings.Join(r.Notes, "\n"), want) {
		t.Errorf("notes %q, want %q", r.Notes, want)
	}
}

// TestNoRollUps is a history of nodes alone: the cluster's is their sum.
func TestNoRollUps(t *testing.T) {
	g := fixtureGrid()
	always := func(int) bool { return false }
	now := &picture{nodes: []scopeNow{{name: "a", cpu: amounts{capacity: at(4)}}, {name: "b", cpu: amounts{capacity: at(4)}}, {name: "c", gap: "silent for 3 min"}}}
	then := &history{clusters: stories{}, nodes: stories{"a": told(g, 1, 1, 0, gi, 0, always), "b": told(g, 1, 1, 0, gi, 0, always)}, namespaces: stories{}}
	r := capacityOf(g, now, then, true, false)
	c, a := &r.Scopes[0], scope(r, NodeLevel, "a")
	if got, want := value(c.CPU.P95), 2**a.CPU.P95; got != want || len(c.CPU.Points) != 14 || c.Data.Coverage != 1 {
		t.Errorf("p95 %g of %d points, want %g of 14", got, len(c.CPU.Points), want)
	}
	if got := value(c.CPU.Allocatable); got != 8 || c.Gap != "no current values of node c" {
		t.Errorf("allocatable %g, gap %q; want 8, for c is silent", got, c.Gap)
	}
	for _, want := range []string{"The history has no sums of the cluster", `No current values of node "c" (silent for 3 min): neither`} {
		if !strings.Contains(strings.Join(r.Notes, "\n"), want) {
			t.Errorf("notes %q, want %q", r.Notes, want)
		}
	}
}

// TestPoolHistory: a pool that the history has sums of is told by them, unless one of its machines is silent; else by the sum of its nodes'.
func TestPoolHistory(t *testing.T) {
	g := fixtureGrid()
	always := func(int) bool { return false }
	then := &history{clusters: stories{"": told(g, 1, 7, 0, gi, 0, always)}, namespaces: stories{}, pools: stories{"p": told(g, 1, 1.5, 0, gi, 0, always)},
		nodes: stories{"a": told(g, 1, 1, 0, gi, 0, always), "b": told(g, 2, 1, 0, gi, 0, always)}}
	now := &picture{nodes: []scopeNow{{name: "a", pool: "p", cpu: amounts{capacity: at(3)}}, {name: "b", pool: "p", cpu: amounts{capacity: at(3)}}}}
	f := func(want float64, estimate bool) {
		t.Helper()
		r := capacityOf(g, now, then, true, false)
		if got := value(scope(r, PoolLevel, "p").CPU.P95); math.Abs(got-want) > 1e-9 {
			t.Errorf("p95 %g, want %g", got, want)
		}
		if got := strings.Contains(strings.Join(r.Notes, "\n"), "A pool's percentiles and maxima are sums"); got != estimate {
			t.Errorf("notes %q", r.Notes)
		}
	}
	f(*then.pools["p"].cpu.p95, false)
	own := then.pools
	then.pools = stories{}
	f(*then.nodes["a"].cpu.p95+*then.nodes["b"].cpu.p95, true)
	then.pools, now.nodes[1].gap = own, "silent for 3 min"
	f(*then.nodes["a"].cpu.p95, false)
}

// TestSilentMachine: what a machine that is silent has is not counted as room, and what it used is not taken off the room of the others.
func TestSilentMachine(t *testing.T) {
	g := fixtureGrid()
	always := func(int) bool { return false }
	then := &history{clusters: stories{"": told(g, 1, 7, 0, gi, 0, always)}, namespaces: stories{},
		nodes: stories{"a": told(g, 1, 1, 0, gi, 0, always), "b": told(g, 2, 1, 0, gi, 0, always), "c": told(g, 3, 5, 0, gi, 0, always)}}
	now := &picture{nodes: []scopeNow{{name: "a", pool: "p", cpu: amounts{capacity: at(3)}}, {name: "b", cpu: amounts{capacity: at(3)}}, {name: "c", pool: "p", gap: "silent for 3 min"}}}
	r := capacityOf(g, now, then, true, false)
	a, b := scope(r, NodeLevel, "a"), scope(r, NodeLevel, "b")
	for name, x := range map[string]struct{ got, want *float64 }{
		"cluster's P95":  {r.Scopes[0].CPU.P95, plus(a.CPU.P95, b.CPU.P95)},
		"cluster's room": {r.Scopes[0].CPU.FreeByUse, plus(a.CPU.FreeByUse, b.CPU.FreeByUse)},
		"pool's P95":     {scope(r, PoolLevel, "p").CPU.P95, a.CPU.P95},
		"pool's room":    {scope(r, PoolLevel, "p").CPU.FreeByUse, a.CPU.FreeByUse},
	} {
		if math.Abs(value(x.got)-value(x.want)) > 1e-9 {
			t.Errorf("%s is %g, want %g", name, value(x.got), value(x.want))
		}
	}
}

// TestMachineWithoutSize: what is asked for and used on a machine of which only containers are sent is not taken off the room of the others.
func TestMachineWithoutSize(t *testing.T) {
	g := fixtureGrid()
	always := func(int) bool { return false }
	ko := told(g, 3, 5, 0, gi, 0, always)
	ko.cores = map[int64]float64{}
	then := &history{clusters: stories{"": told(g, 1, 9, 0, gi, 0, always)}, pools: stories{"p": told(g, 1, 6, 0, gi, 0, always)}, namespaces: stories{},
		nodes: stories{"a": told(g, 1, 1, 0, gi, 0, always), "b": told(g, 2, 1, 0, gi, 0, always), "ko": ko}}
	for _, s := range []*story{then.clusters[""], then.pools["p"]} {
		for end := range s.cores {
			s.cores[end] = 4
		}
	}
	now := &picture{nodes: []scopeNow{{name: "a", pool: "p", cpu: amounts{capacity: at(4), requests: at(1)}}, {name: "b", cpu: amounts{capacity: at(4)}},
		{name: "ko", pool: "p", cpu: amounts{requests: at(0.5)}}}}
	r := capacityOf(g, now, then, true, false)
	a, b := scope(r, NodeLevel, "a"), scope(r, NodeLevel, "b")
	for name, x := range map[string]struct{ got, want *float64 }{
		"cluster's room by use":     {r.Scopes[0].CPU.FreeByUse, plus(a.CPU.FreeByUse, b.CPU.FreeByUse)},
		"cluster's room by request": {r.Scopes[0].CPU.FreeByRequest, at(7)},
		"cluster's requests":        {r.Scopes[0].CPU.Requests, at(1.5)},
		"pool's room by use":        {scope(r, PoolLevel, "p").CPU.FreeByUse, a.CPU.FreeByUse},
		"pool's room by request":    {scope(r, PoolLevel, "p").CPU.FreeByRequest, at(3)},
	} {
		if math.Abs(value(x.got)-value(x.want)) > 1e-9 {
			t.Errorf("%s is %g, want %g", name, value(x.got), value(x.want))
		}
	}
	notes := strings.Join(r.Notes, "\n")
	if !strings.Contains(notes, "Nothing says what node ko has") || strings.Contains(notes, "more CPU seems") {
		t.Errorf("the notes are %q", notes)
	}
	if f := (&Need{CPU: at(1), By: ByUse}).on(scope(r, NodeLevel, "ko")); f.Reason != "CPU free by use is not known: nothing says what the node has" {
		t.Errorf("ko says %q", f.Reason)
	}
}

// TestNeverAboveTheMaximum: neither an outlier that is left out nor the sum of machines that were busy one after the other makes a percentile that
// is above the maximum.
func TestNeverAboveTheMaximum(t *testing.T) {
	g := fixtureGrid()
	outlier, a, b := newStory(), newStory(), newStory()
	for i := range g.steps(g.step) {
		end := g.start.Add(time.Duration(i+1) * g.step)
		outlier.cores[end.Unix()] = 4
		outlier.cpu.point(end.UnixMilli()).Max = at([]float64{2, 3348}[i%2])
		a.cpu.point(end.UnixMilli()).Max = at([]float64{1, 3}[i%2])
		b.cpu.point(end.UnixMilli()).Max = at([]float64{3, 1}[i%2])
	}
	outlier.cpu.p50, outlier.cpu.p95 = at(1), at(16.35)
	a.cpu.p50, a.cpu.p95, b.cpu.p50, b.cpu.p95 = at(1), at(3), at(1), at(3)
	now := &picture{nodes: []scopeNow{{name: "a", cpu: amounts{capacity: at(4)}}, {name: "b", cpu: amounts{capacity: at(4)}}, {name: "o", cpu: amounts{capacity: at(4)}}}}
	r := capacityOf(g, now, &history{clusters: stories{}, nodes: stories{"a": a, "b": b, "o": outlier}, namespaces: stories{}}, true, false)
	if c := scope(r, NodeLevel, "o").CPU; value(c.P95) != 2 || value(c.FreeByUse) != 2 {
		t.Errorf("with an outlier: p95 %g, free %g, want 2 and 2", value(c.P95), value(c.FreeByUse))
	}
	if c := r.Scopes[0].CPU; value(c.P95) > value(c.Max) {
		t.Errorf("of several: p95 %g above max %g", value(c.P95), value(c.Max))
	}
	alone := newStory()
	alone.cpu.point(g.end.UnixMilli()).Max, alone.cores[g.end.Unix()], alone.cpu.p95 = at(99), 4, at(99)
	r = capacityOf(g, &picture{nodes: now.nodes[:1]}, &history{nodes: stories{"a": alone}}, true, false)
	if c := scope(r, NodeLevel, "a").CPU; c.P95 != nil || c.FreeByUse != nil {
		t.Errorf("with nothing but an outlier: p95 %g, free %g, want none", value(c.P95), value(c.FreeByUse))
	}
}

// TestWithoutHistory says what is not known.
func TestWithoutHistory(t *testing.T) {
	r, err := Capacity(t.Context(), nil, emptySnapshot(), CapacityOptions{Window: 6 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Scopes[0]; c.CPU.P95 != nil || c.CPU.Allocatable != nil || c.CPU.Requests != nil || !strings.Contains(r.Notes[0], "no history") {
		t.Errorf("%+v, notes %q: want nothing known", c.CPU, r.Notes)
	}
	sizes, err := Rightsize(t.Context(), nil, emptySnapshot(), nil, RightsizeOptions{})
	if err != nil || len(sizes.Notes) != 1 {
		t.Errorf("notes %q, %v: want that there is no history", sizes.Notes, err)
	}
}

// TestBarelyUnbelievable gives a sum a hair, and then a twentieth, above what there is: nothing shows more than there is, and no room is less than nothing for it.
func TestBarelyUnbelievable(t *testing.T) {
	for _, c := range []struct {
		max  float64
		want string
	}{{4.02, ""}, {4.218, "At 1 day up to a tenth more CPU seems to have been used than there was"}} {
		g := fixtureGrid()
		s := newStory()
		for i := range g.steps(g.step) {
			end := g.start.Add(time.Duration(i+1) * g.step)
			s.cores[end.Unix()] = 4
			s.seen = append(s.seen, end.UnixMilli())
			*s.cpu.point(end.UnixMilli()) = Point{T: end.Unix(), Avg: at(3.99), P95: at(4.0002), Max: at(4.0002)}
		}
		s.cpu.at[g.end.Unix()].Max = at(c.max)
		s.cpu.p50, s.cpu.p95 = at(3.99), at(4.0002)
		now := &picture{nodes: []scopeNow{{name: "o", cpu: amounts{capacity: at(4), used: at(4)}}}}
		r := capacityOf(g, now, &history{clusters: stories{"": s}, nodes: stories{"o": s}, namespaces: stories{}}, true, false)
		for i := range r.Scopes {
			if x := r.Scopes[i].CPU; value(x.Max) != 4 || value(x.P95) != 4 || value(x.FreeByUse) != 0 {
				t.Errorf("%s: max %g, p95 %g, free %g; want 4, 4 and 0", r.Scopes[i].Level, value(x.Max), value(x.P95), value(x.FreeByUse))
			}
		}
		if notes := strings.Join(r.Notes, " "); strings.Contains(notes, "more CPU seems") != (c.want != "") || !strings.Contains(notes, c.want) {
			t.Errorf("max %g: the notes are %q, want %q", c.max, notes, c.want)
		}
	}
}

// TestSizesNotSaidYet: after a start nothing says what a machine has until the first full reading. The report says so, and what such a machine uses is of no room.
func TestSizesNotSaidYet(t *testing.T) {
	g := fixtureGrid()
	nodes := []scopeNow{{name: "a", cpu: amounts{used: at(2)}, memory: amounts{used: at(gi)}}, {name: "b", cpu: amounts{used: at(2)}, memory: amounts{used: at(gi)}}}
	report := func() *CapacityReport {
		return capacityOf(g, &picture{nodes: nodes}, &history{clusters: stories{}, nodes: stories{}, namespaces: stories{}}, true, false)
	}
	if r := report(); !strings.Contains(strings.Join(r.Notes, " "), "Nothing says yet what the machines have") {
		t.Errorf("the notes are %q", r.Notes)
	}
	nodes[1].cpu.capacity = at(2)
	if r := report(); value(r.Scopes[0].CPU.Used) != 2 || value(r.Scopes[0].CPU.Allocatable) != 2 {
		t.Errorf("%g of %g is used, want 2 of 2", value(r.Scopes[0].CPU.Used), value(r.Scopes[0].CPU.Allocatable))
	}
}
