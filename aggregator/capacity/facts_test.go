package capacity

import (
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
	r := capacityOf(g, now, &history{clusters: stories{"": s}, nodes: stories{"n": s}, namespaces: stories{}}, true)
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
	r := capacityOf(g, now, then, true)
	c, a := &r.Scopes[0], scope(r, NodeLevel, "a")
	if got, want := value(c.CPU.P95), 2**a.CPU.P95; got != want || len(c.CPU.Points) != 14 || c.Data.Coverage != 1 {
		t.Errorf("p95 %g of %d points, want %g of 14", got, len(c.CPU.Points), want)
	}
	if got := value(c.CPU.Allocatable); got != 8 || c.Gap != "no current values of node c" {
		t.Errorf("allocatable %g, gap %q; want 8, for c is silent", got, c.Gap)
	}
	for _, want := range []string{"The history has no sums of the cluster", `No current values of node "c" (silent for 3 min)`} {
		if !strings.Contains(strings.Join(r.Notes, "\n"), want) {
			t.Errorf("notes %q, want %q", r.Notes, want)
		}
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
