package live

import (
	"fmt"
	"slices"
	"testing"

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
