package capacity

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// free makes a report of nodes with so much room by request; nil: not known.
func free(nodes ...[2]*float64) *CapacityReport {
	r := &CapacityReport{Time: fixtureEnd, Start: fixtureEnd, End: fixtureEnd, Scopes: []Scope{{Level: ClusterLevel}}}
	for i, n := range nodes {
		r.Scopes = append(r.Scopes, Scope{Level: NodeLevel, Name: name("n", i), CPU: Room{FreeByRequest: n[0]}, Memory: Room{FreeByRequest: n[1]}})
	}
	return r
}

func TestFit(t *testing.T) {
	f := func(r *CapacityReport, n Need, total int, bound, text string) {
		t.Helper()
		got, err := Fit(r, n)
		if err != nil {
			t.Fatal(err)
		}
		if got.Total != total || got.Text != text || len(got.Nodes) > 0 && got.Nodes[0].BoundBy != bound {
			t.Errorf("%d bound by %q: %q\nwant %d bound by %q: %q", got.Total, got.Nodes[0].BoundBy, got.Text, total, bound, text)
		}
	}
	one := [2]*float64{at(2), at(8 * gi)}
	f(free(one), Need{CPU: at(0.5), Memory: at(gi)}, 4, BoundByCPU, "4 more replicas of 500m CPU and 1Gi memory fit, going by requests, on node n-0.")
	f(free(one), Need{CPU: at(0.1), Memory: at(5 * gi)}, 1, BoundByMemory, "One more replica of 100m CPU and 5Gi memory fits, going by requests, on node n-0.")
	f(free(one), Need{Memory: at(9 * gi)}, 0, BoundByMemory, "No more replica of 9Gi memory fits, going by requests.")
	f(free([2]*float64{at(0.3), nil}), Need{CPU: at(0.1)}, 3, BoundByCPU, "3 more replicas of 100m CPU fit, going by requests, on node n-0.") // 0.3/0.1 is 2.9999999999999996
	f(free([2]*float64{at(-1), at(gi)}, one, [2]*float64{nil, at(gi)}), Need{CPU: at(1)}, 2, BoundByCPU,
		"2 more replicas of 1 CPU fit, going by requests, on 1 of 3 nodes (n-1). Of 1 node it is not known.")
	f(free(), Need{CPU: at(1)}, 0, "", "There is no node.")
	f(free(one), Need{CPU: at(1), By: ByUse}, 0, "", "How many replicas of 1 CPU fit is not known: CPU free by use is not known: there is no history of the node's use in the window.")
}

// TestFitOfNodesThatTakeNothing: what is free on a node that is cordoned or not Ready is room for nothing, and the answer says so.
func TestFitOfNodesThatTakeNothing(t *testing.T) {
	room, none := [2]*float64{at(2), at(8 * gi)}, [2]*float64{}
	for _, x := range []struct {
		room  [][2]*float64
		shut  []string
		total int
		text  string
	}{
		{[][2]*float64{room, room}, []string{"cordoned", ""}, 2, "2 more replicas of 1 CPU fit, going by requests, on 1 of 2 nodes (n-1). n-0 is cordoned."},
		{[][2]*float64{room, room, room}, []string{"cordoned", "not Ready", "cordoned"}, 0, "No more replica of 1 CPU fits, going by requests. n-0 and n-2 are cordoned. n-1 is not Ready."},
		{[][2]*float64{room, room, room, room}, []string{"cordoned", "cordoned", "cordoned", ""}, 2, "2 more replicas of 1 CPU fit, going by requests, on 1 of 4 nodes (n-3). 3 nodes are cordoned."},
		{[][2]*float64{room, none}, []string{"cordoned", ""}, 0, "How many replicas of 1 CPU fit is not known: CPU free by request is not known: nothing says what the node has. n-0 is cordoned."},
		{[][2]*float64{room}, []string{"cordoned and not Ready"}, 0, "No more replica of 1 CPU fits, going by requests. n-0 is cordoned and not Ready."},
	} {
		r := free(x.room...)
		for i, why := range x.shut {
			r.Scopes[i+1].Unschedulable = why
		}
		got, err := Fit(r, Need{CPU: at(1)})
		if err != nil || got.Total != x.total || got.Text != x.text {
			t.Errorf("%q: %d, %v: %q\nwant %d: %q", x.shut, got.Total, err, got.Text, x.total, x.text)
		}
		for _, n := range got.Nodes {
			if n.Unschedulable != "" && (*n.Count != 0 || n.Reason != "it is "+n.Unschedulable || *n.LeftCPU != 2) {
				t.Errorf("%q: got %+v", x.shut, n)
			}
		}
	}
}

// TestFitSaysIntoWhat: by pools where there are some, and that there are none where there are none.
func TestFitSaysIntoWhat(t *testing.T) {
	room := [2]*float64{at(2), at(8 * gi)}
	without := free(room, room, room)
	got, err := Fit(without, Need{CPU: at(1)})
	if err != nil || got.Text != "6 more replicas of 1 CPU fit, going by requests, on 3 of 3 nodes." || !strings.Contains(strings.Join(got.Notes, " "), "No node is of a node pool") {
		t.Errorf("%v: %q, notes %q", err, got.Text, got.Notes)
	}
	pooled := free(room, room, room)
	pooled.Scopes[1].Pool, pooled.Scopes[2].Pool = "blue", "red"
	got, err = Fit(pooled, Need{CPU: at(1)})
	if err != nil || got.Text != "6 more replicas of 1 CPU fit, going by requests, on 3 of 3 nodes: 2 in pool blue, 2 in pool red, 2 in no pool." || strings.Contains(strings.Join(got.Notes, " "), "node pool") {
		t.Errorf("%v: %q, notes %q", err, got.Text, got.Notes)
	}
	if got.Nodes[0].Pool != "blue" {
		t.Errorf("got %+v", got.Nodes)
	}
}

func TestFitOfNothingRequested(t *testing.T) {
	got, err := Fit(fixtureMachine(), Need{CPU: at(0.5), Memory: at(gi)})
	if err != nil {
		t.Fatal(err)
	}
	if want := "free by request is the whole machine; free by use is the better look"; got.Total != 8 || !strings.Contains(strings.Join(got.Notes, "\n"), want) {
		t.Errorf("%d fit, notes %q; want 8 and %q", got.Total, got.Notes, want)
	}
	if got, err = Fit(fixtureMachine(), Need{CPU: at(0.5), By: ByUse}); err != nil || got.Total != 6 {
		t.Errorf("by use %d fit, %v; want 6: 3.1 cores are free", got.Total, err)
	}
}

// TestFitOfASilentMachine: of a machine that is not heard nobody says that nothing is requested there.
func TestFitOfASilentMachine(t *testing.T) {
	r := &CapacityReport{Scopes: []Scope{{Level: ClusterLevel}, {Level: NodeLevel, Name: "vm", Gap: "silent"}}}
	f, err := Fit(r, Need{CPU: at(1), By: ByRequest})
	if err != nil || f.Known != 0 || len(f.Notes) != 0 {
		t.Errorf("got %v, %+v", err, f)
	}
}

func TestFitRefuses(t *testing.T) {
	for _, n := range []Need{{}, {CPU: at(0)}, {CPU: at(-1)}, {CPU: at(0.0009)}, {Memory: at(0.5)}, {CPU: at(math.NaN())}, {Memory: at(math.Inf(1))}, {CPU: at(1), By: "guess"}} {
		if _, err := Fit(free(), n); !errors.Is(err, ErrBadOptions) {
			t.Errorf("%+v: %v, want bad options", n, err)
		}
	}
}

// TestFitTellsOfAmounts: an amount beyond what can be asked for is told as people write it.
func TestFitTellsOfAmounts(t *testing.T) {
	if _, err := Fit(free(), Need{Memory: at(1 << 50)}); err == nil || !strings.Contains(err.Error(), `memory of "1Pi": the least is 1, the most 909Ti`) {
		t.Errorf("got %v", err)
	}
}

func TestFitNeverExceedsWhatIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(what string, low, high float64) *float64 {
			if rapid.IntRange(0, 9).Draw(t, what+"?") == 0 {
				return nil
			}
			return at(rapid.Float64Range(low, high).Draw(t, what))
		}
		var nodes [][2]*float64
		for range rapid.IntRange(0, 6).Draw(t, "nodes") {
			nodes = append(nodes, [2]*float64{number("cpu", -2, 128), number("memory", -gi, 512*gi)})
		}
		n := Need{CPU: number("need CPU", leastCPU, 40), Memory: number("need memory", 1, 100*gi)}
		if n.CPU == nil && n.Memory == nil {
			return
		}
		got, err := Fit(free(nodes...), n)
		if err != nil {
			t.Fatal(err)
		}
		total, known := 0, 0
		for _, f := range got.Nodes {
			if f.Count == nil {
				if f.Reason == "" {
					t.Fatalf("no count and no reason on %q", f.Node)
				}
				continue
			}
			total, known = total+*f.Count, known+1
			more := 0 // resources that one more replica would exceed
			for _, x := range [][2]*float64{{n.CPU, f.FreeCPU}, {n.Memory, f.FreeMemory}} {
				if x[0] == nil {
					continue
				}
				c := float64(*f.Count)
				if *x[0]*c > *x[1]*(1+1e-6)+1e-9 && *f.Count > 0 {
					t.Fatalf("%d of %g are more than %g", *f.Count, *x[0], *x[1])
				}
				whole := math.Ceil(*x[0]) // bytes are whole, and CPU in millionths
				if x[0] == n.CPU {
					whole = math.Ceil(*x[0]*1e6) / 1e6
				}
				if whole*(c+1)*(1+1e-6) > *x[1]-1e-6 {
					more++
				}
			}
			if more == 0 {
				t.Fatalf("one more than %d would fit: need %v, free %v and %v", *f.Count, n, f.FreeCPU, f.FreeMemory)
			}
		}
		if total != got.Total || known != got.Known {
			t.Fatalf("%d on %d nodes, want %d on %d", got.Total, got.Known, total, known)
		}
	})
}
