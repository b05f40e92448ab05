package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
)

// TestPartialSumsSaySo gives a workload of two pods and a machine without values of its own a second in which one container has begun
// anew: the sums of CPU say that they lack it, and why; those of memory are whole.
func TestPartialSumsSaySo(t *testing.T) {
	p, err := live.New(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	entity := func(pod string) *metric.Entity {
		return &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Docker", Workload: "web", Pod: pod, Container: "c", ID: "/docker/" + pod, Runtime: "docker"}
	}
	all := []*metric.Entity{entity("a"), entity("b")}
	for i := range 5 {
		at := noon.Add(time.Duration(i) * time.Second)
		b := &metric.Batch{Node: "n1", Time: at, Fast: true}
		for k, e := range all {
			used := 10 + float64(i*(k+1))/2
			if i == 3 && k == 1 {
				used = 0
			}
			b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: used}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 100}}})
		}
		if err := p.Apply(b); err != nil {
			t.Fatal(err)
		}
		pic := newPicture(p.Snapshot(at), newKills())
		w, n := pic.workloads(nil)[0], pic.nodes[0]
		var want []string
		if i == 3 {
			want = []string{"cpu"}
		}
		if !slices.Equal(w.Partial, want) || !slices.Equal(n.Partial, want) {
			t.Errorf("second %d: the workload's %v and the machine's %v are partial, want %v", i, w.Partial, n.Partial, want)
		}
		if got := w.Parts.String(); got != map[bool]string{true: "1 of 2 pods"}[i == 3] || got != n.Parts.String() {
			t.Errorf("second %d: the workload's sum is of %q, the machine's of %q", i, w.Parts, n.Parts)
		}
		if i == 3 && (*w.CPU != 0.5 || *n.CPU != 0.5 || w.Gap == nil || n.Gap == nil || w.Gap.Detail != "1 of 2: pod shop/b: starting") {
			t.Errorf("second %d: CPU %g and %g, gaps %+v and %+v", i, *w.CPU, *n.CPU, w.Gap, n.Gap)
		}
	}
	one, two := 1.0, 2.0
	machines := together([]Node{{Name: "n1", CPU: &one, WorkingSet: &two}, {Name: "n2", WorkingSet: &two}, {Name: "n3", CPU: &one, WorkingSet: &two, Partial: []string{"workingSet"}}})
	if got := strings.Join(machines.Partial, " "); got != "cpu workingSet" || *machines.CPU != 2 || machines.Parts.String() != "1 of 3 machines" {
		t.Errorf("three machines together: partial %q of %+v", got, machines)
	}
}

// A pod that runs and of which nothing was ever heard is lacking in its workload's sums, too; one that does not run yet, waits, or goes is not.
func TestUnheardPodsAreLacking(t *testing.T) {
	s := snapshotOf([]*live.Item{item(metric.Entity{Level: metric.Node, Node: "n1", ID: "/"})},
		[]*live.Item{container("shop", "Deployment", "web", "web-1", "containerd", "/kubepods/a", val{metric.CPUUsage, "", 9, .2}, val{metric.MemoryWorkingSet, "", 50, 0})})
	pending, waits, goes, away := asking("web-2", "n1", 0, 0), asking("web-3", "n1", 0, 0), asking("web-4", "n1", 0, 0), asking("web-5", "n7", 0, 0)
	pending.Phase, waits.Gap, goes.Deleting = "Pending", "CrashLoopBackOff", true
	know(s, asking("web-1", "n1", 0, 0), pending, waits, goes)
	if w := newPicture(s, newKills()).workloads(nil)[0]; w.Partial != nil || w.Parts != nil || w.Gap != nil {
		t.Errorf("all that runs was heard: %+v, %v", w, w.Gap)
	}
	know(s, away)
	w := newPicture(s, newKills()).workloads(nil)[0]
	if !slices.Equal(w.Partial, []string{"cpu", "workingSet"}) || w.Parts.String() != "4 of 5 pods" || w.Gap == nil || w.Gap.Detail != `1 of 5: pod shop/web-5: it runs on "n7", of which nothing was ever heard` || *w.CPU != .2 {
		t.Errorf("got %+v, %v, %+v", w, w.Parts, w.Gap)
	}
}
