package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
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

// Each pod that exists is a part of its workload's sums, whatever keeps its own from them, and the sums say of how many they are, and whose part they lack first: one that has not
// begun, that waits for its next life, that has no machine, or of which nothing was ever heard. One that is being deleted or is done is none.
func TestEachPodThatExistsIsAPart(t *testing.T) {
	named := func(name string, change func(*cluster.Pod)) *cluster.Pod {
		p := asking(name, "n1", 0, 0)
		change(p)
		return p
	}
	waiting := func(word string) func(*cluster.Pod) {
		return func(p *cluster.Pod) {
			p.Phase, p.Status.State = "Pending", word
			p.Containers = []cluster.Container{{Name: "app", Waiting: word}}
		}
	}
	for _, c := range []struct {
		name    string
		others  []*cluster.Pod
		mark, w string // the mark, and how the gap ends
	}{
		{"all that there is was heard", []*cluster.Pod{named("web-4", func(p *cluster.Pod) { p.Deleting = true }), named("web-5", func(p *cluster.Pod) { p.Phase = "Succeeded" })}, "", ""},
		{"no image", []*cluster.Pod{named("web-2", waiting("ErrImageNeverPull"))}, "1 of 2 pods", `1 of 2: pod shop/web-2: its containers have not started on "n1" yet: ErrImageNeverPull`},
		{"begins", []*cluster.Pod{named("web-2", waiting("ContainerCreating"))}, "1 of 2 pods", `1 of 2: pod shop/web-2: its containers have not started on "n1" yet`},
		{"waits", []*cluster.Pod{named("web-3", func(p *cluster.Pod) { p.Gap = "exit status 1" })}, "1 of 2 pods", "1 of 2: pod shop/web-3: exit status 1"},
		{"no machine", []*cluster.Pod{named("web-2", func(p *cluster.Pod) { p.Node = "" })}, "1 of 2 pods", "1 of 2: pod shop/web-2: no machine was found for it yet: Running"},
		{"two, and nothing was heard of its machine", []*cluster.Pod{named("web-5", func(p *cluster.Pod) { p.Node = "n7" }), named("web-6", waiting("CreateContainerError"))}, "1 of 3 pods",
			`2 of 3: pod shop/web-5: it runs on "n7", of which nothing was ever heard`},
	} {
		s := snapshotOf([]*live.Item{item(metric.Entity{Level: metric.Node, Node: "n1", ID: "/"})},
			[]*live.Item{container("shop", "Deployment", "web", "web-1", "containerd", "/kubepods/a", val{metric.CPUUsage, "", 9, .2}, val{metric.MemoryWorkingSet, "", 50, 0})})
		know(s, append(c.others, asking("web-1", "n1", 0, 0))...)
		w := newPicture(s, newKills()).workloads(nil)[0]
		detail := ""
		if w.Gap != nil {
			detail = w.Gap.Detail
		}
		if w.Parts.String() != c.mark || detail != c.w || slices.Equal(w.Partial, []string{"cpu", "workingSet"}) != (c.mark != "") || *w.CPU != .2 {
			t.Errorf("%s: got %q of %v, %q; want %q, %q", c.name, w.Parts.String(), w.Partial, detail, c.mark, c.w)
		}
	}
}

// A workload that has pods and no values says why, also where its pods are on a machine that is silent and were forgotten, or are being deleted.
func TestAWorkloadWithoutValuesSaysWhy(t *testing.T) {
	dead := item(metric.Entity{Level: metric.Node, Node: "n1"})
	dead.Gap = &cluster.Gap{Since: noon.Add(-5 * time.Minute), Reason: metric.GapSilent, Detail: "no sample for 5m0s"}
	goes := asking("web-1", "n1", 0, 0)
	goes.Deleting, goes.Status.Since = true, noon.Add(-time.Minute)
	for _, c := range []struct {
		node *live.Item
		pod  *cluster.Pod
		want string
	}{
		{dead, asking("web-1", "n1", 0, 0), "silent: pod shop/web-1: no sample for 5m0s"},
		{machineOf("n1"), goes, "gone: its pods are being deleted"},
	} {
		s := snapshotOf([]*live.Item{c.node}, nil)
		know(s, c.pod)
		if w := newPicture(s, newKills()).workloads(nil)[0]; w.Gap == nil || w.Gap.Reason+": "+w.Gap.Detail != c.want {
			t.Errorf("got %+v, want %q", w.Gap, c.want)
		}
	}
}
