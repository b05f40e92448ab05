package live

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// The pass after the end of what was in sums says of each sum with nothing left that it is gone, once; of what goes on, of a machine that is silent and of what is back it says nothing.
func TestSumsThatEnd(t *testing.T) {
	p := newPicture(t, Options{})
	of := func(node, pod string) *metric.Entity {
		return &metric.Entity{Level: metric.Container, Node: node, Namespace: "demo", WorkloadKind: "k", Workload: "w-" + pod, Pod: pod, Container: "c", ID: "/kubepods/" + node + pod}
	}
	moved := of("n2", "one")
	one, two, three := of("n1", "one"), of("n1", "two"), of("n2", "three")
	at := 0.0
	pass := func(what string, want ...string) {
		t.Helper()
		b := p.RollUp(sec(at + 1))
		got := []string{}
		for _, g := range b.Gaps {
			got = append(got, fmt.Sprint(g.Entity.Level, " ", g.Entity.Pod, g.Entity.Workload))
		}
		if slices.Sort(got); !slices.Equal(got, append([]string{}, want...)) {
			t.Errorf("%s: %q are gone, want %q", what, got, want)
		}
	}
	send := func(node string, gone []*metric.Entity, there ...*metric.Entity) {
		b := &metric.Batch{Node: node, Time: sec(at)}
		for _, e := range there {
			b.Groups = append(b.Groups, cpu(e, sec(at), 100+at, 100))
		}
		for _, e := range gone {
			b.Gaps = append(b.Gaps, metric.Gap{Entity: e, Reason: metric.GapGone})
		}
		apply(t, p, b)
	}
	for ; at < 40; at += 10 {
		send("n1", nil, one, two)
		send("n2", nil, three)
		pass("all go on")
	}
	send("n1", []*metric.Entity{one}, two)
	send("n2", nil, three)
	pass("one has ended", "pod onew-one", "workload w-one")
	for at += 10; at < 120; at += 10 { // nothing is heard of n2 any more
		send("n1", nil, two)
		pass("two goes on")
	}
	send("n1", nil, one, two)
	pass("one is back")
	at += 10
	send("n1", nil, two)
	send("n2", nil, moved, three)
	pass("one is on the other machine", "pod one"+"w-one")
	at += 10
	send("n1", nil, two)
	send("n2", nil, moved, three)
	pass("one stays there")
}

// What a deleted pod used ends in its sums with the pass after its container's end, though whoever runs it tells of it for a while; and what it asked for when it is not there any more, and is no 0 after that.
func TestSumsOfADeletedPod(t *testing.T) {
	pod := &cluster.Pod{Node: "n1", Namespace: "demo", Name: "one", Owner: cluster.Target{Kind: "Deployment", Name: "web"}, Containers: []cluster.Container{asking("c", 100, 64)}}
	pod.Phase = "Running"
	nodes := func() []*cluster.Node { return []*cluster.Node{{Name: "n1"}} }
	stays := &cluster.Pod{Node: "n1", Namespace: "other", Name: "two", Owner: cluster.Target{Kind: "Pod", Name: "two"}, Containers: []cluster.Container{asking("c", 20, 20)}}
	p := newPicture(t, Options{Inventory: inventory{pod, stays}, Nodes: nodes, Pods: func(string, string) (time.Time, bool) { return time.Time{}, true }})
	e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "Deployment", Workload: "web", Pod: "one", Container: "c", ID: "/kubepods/pod1/c1"}
	const dies, deleted, told = 34, 43, 50
	for at := range 80 {
		now := sec(float64(at))
		b := whole(now, cpu(node("n1"), now, float64(at), 1000))
		b.Fast = at%10 != 0
		of := metric.Group{Entity: e}
		if at < dies {
			of = cpu(e, now, float64(at), 100)
			of.Points = append(of.Points, metric.Point{ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 50})
		}
		if !b.Fast && at < told {
			of.Points = append(of.Points, metric.Point{ID: metric.Restarts, T: now.UnixMilli()}, metric.Point{ID: metric.CPURequest, T: now.UnixMilli(), V: 0.1})
		}
		if at == dies || at == told {
			b.Gaps = []metric.Gap{{Entity: e, Reason: metric.GapGone}}
		}
		if len(of.Points) > 0 {
			b.Groups = append(b.Groups, of)
		}
		apply(t, p, b)
		if at == deleted {
			p.inventory = inventory{stays}
		}
		if at%10 != 5 {
			continue
		}
		has, ended := map[metric.Level]string{}, map[metric.Level]string{}
		out := p.RollUp(now.Add(time.Millisecond))
		for _, g := range out.Groups {
			for _, x := range g.Points {
				switch x.ID {
				case metric.MemoryWorkingSet:
					has[g.Entity.Level] += "used "
				case metric.CPURequest:
					has[g.Entity.Level] += fmt.Sprintf("asks %.3g ", x.V)
				}
			}
		}
		for _, g := range out.Gaps {
			text := "all "
			if g.Rows != (metric.Set{}) {
				text = ""
				for id, what := range map[metric.ID]string{metric.MemoryWorkingSet: "used ", metric.CPURequest: "asks "} {
					if g.Rows.Has(id) {
						text += what
					}
				}
			}
			ended[g.Entity.Level] += text
		}
		for l, w := range map[metric.Level]map[int][2]string{
			metric.Pod:       {25: {"asks 0.1 used "}, 35: {"asks 0.1 ", "used "}, 45: {"", "asks "}, 55: {"", "all "}},
			metric.Namespace: {25: {"used asks 0.1 "}, 35: {"asks 0.1 ", "used "}, 45: {"asks 0 "}, 55: {"", "all "}},
			metric.Node:      {25: {"asks 0.12 "}, 35: {"asks 0.12 "}, 45: {"asks 0.02 "}, 55: {"asks 0.02 "}},
		} {
			if want, ok := w[at]; (ok || at > 55 && l != metric.Node) && ([2]string{has[l], ended[l]}) != want {
				t.Errorf("at %d s %s has %q, and %q has ended, want %q", at, l, has[l], ended[l], want)
			}
		}
	}
}

// The CPU of a pod that goes from machine to machine and back is in each line what it used there: no interval of one has the growth of another.
func TestCounterOfAPodThatMoves(t *testing.T) {
	p := newPicture(t, Options{})
	lines := map[string][]metric.Point{}
	for at := 0; at <= 100; at++ {
		life, node := at/25, []string{"n1", "n2"}[at/25%2]
		for _, n := range []string{"n1", "n2"} {
			b := &metric.Batch{Node: n, Time: sec(float64(at)), Fast: true, Groups: []metric.Group{cpu(&metric.Entity{Level: metric.Node, Node: n}, sec(float64(at)), float64(at), 1)}}
			if n == node && at%25 > 1 { // its container uses one core from the second on
				e := &metric.Entity{Level: metric.Container, Node: n, Namespace: "demo", WorkloadKind: "Pod", Workload: "m", Pod: "m", Container: "c", ID: fmt.Sprint("/kubepods/pod", life, "/c")}
				g := cpu(e, sec(float64(at)), float64(at%25), 100)
				g.Start = sec(float64(life * 25))
				b.Groups = append(b.Groups, g)
			}
			apply(t, p, b)
		}
		if at%10 != 5 {
			continue
		}
		for _, g := range p.RollUp(sec(float64(at) + 0.5)).Groups {
			for _, x := range g.Points {
				if g.Entity.Level == metric.Pod && x.ID == metric.CPUUsage {
					lines[g.Entity.Node] = append(lines[g.Entity.Node], x)
				}
			}
		}
	}
	for n, points := range lines {
		for i, x := range points[1:] {
			if was := points[i]; x.V > was.V && x.V-was.V > float64(x.T-was.T)/1000+0.01 {
				t.Errorf("%s: from %v at %d to %v at %d: more than a core", n, was.V, was.T, x.V, x.T)
			} else if x.V > was.V && x.T-was.T > 15_000 {
				t.Errorf("%s: %v at %d goes on from %v at %d, when it was elsewhere", n, x.V, x.T, was.V, was.T)
			}
		}
	}
	if len(lines) != 2 {
		t.Errorf("got %v", lines)
	}
}

// What is counted over all lives of a pod begins anew where the pod goes, also when it ended before it began there.
func TestRestartsOfAPodThatMoves(t *testing.T) {
	p := newPicture(t, Options{})
	got := map[int]string{}
	for at := 0; at < 330; at++ {
		life, since, now := at/110, at%110, sec(float64(at))
		for i, n := range []string{"n1", "n2"} {
			b := &metric.Batch{Node: n, Time: now, Fast: at%10 != 0, Groups: []metric.Group{cpu(node(n), now, float64(at), 1)}}
			e := &metric.Entity{Level: metric.Container, Node: n, Namespace: "demo", WorkloadKind: "Pod", Workload: "m", Pod: "m", Container: "c", ID: fmt.Sprint("/kubepods/pod", life, "/c")}
			switch {
			case i != life%2:
			case since < 70:
				g := cpu(e, now, float64(since), 100)
				if g.Start = sec(float64(life * 110)); !b.Fast {
					g.Points = append(g.Points, metric.Point{ID: metric.Restarts, T: now.UnixMilli(), V: float64(since / 20)})
				}
				b.Groups = append(b.Groups, g)
			case since == 70:
				b.Gaps = append(b.Gaps, metric.Gap{Entity: e, Reason: metric.GapGone})
			}
			apply(t, p, b)
		}
		if at%10 != 5 {
			continue
		}
		for _, g := range p.RollUp(now.Add(time.Millisecond)).Groups {
			for _, x := range g.Points {
				if g.Entity.Level == metric.Pod && x.ID == metric.Restarts {
					got[life] += fmt.Sprint(g.Entity.Node, " ", x.V, ", ")
				}
			}
		}
	}
	for life, n := range []string{"n1", "n2", "n1"} {
		want := ""
		for _, restarts := range []int{0, 0, 1, 1, 2, 2, 3} {
			want += fmt.Sprint(n, " ", restarts, ", ")
		}
		if got[life] != want {
			t.Errorf("life %d: %s want %s", life+1, got[life], want)
		}
	}
}

// A sum that all that was in it has left, as it is known now whose it is, ends at the next pass; one that has something again by then goes on.
func TestSumThatIsEmptied(t *testing.T) {
	for _, back := range []bool{false, true} {
		p := newPicture(t, Options{})
		ends := []string{}
		for at := range 60 {
			now := sec(float64(at))
			e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "ReplicaSet", Workload: "web-5", Pod: "m", Container: "c", ID: "/kubepods/pod1/c"}
			if at == 28 || at > 28 && !back {
				e.WorkloadKind, e.Workload = "Deployment", "web"
			}
			apply(t, p, &metric.Batch{Node: "n1", Time: now, Fast: true, Groups: []metric.Group{cpu(node("n1"), now, float64(at), 1), cpu(e, now, float64(at), 100)}})
			if at%10 != 5 {
				continue
			}
			for _, g := range p.RollUp(now.Add(time.Millisecond)).Gaps {
				if g.Entity.Level == metric.Workload {
					ends = append(ends, fmt.Sprint(at, " ", g.Entity.Workload))
				}
			}
		}
		if want := []string{"35 web-5"}; !back && !slices.Equal(ends, want) || back && len(ends) > 0 {
			t.Errorf("it comes back %v: ends %q", back, ends)
		}
	}
}
