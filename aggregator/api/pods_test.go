package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// TestMembersAreTheInventorys: a scaled workload has the pods that exist, with what they use, and no other target's of its name.
func TestMembersAreTheInventorys(t *testing.T) {
	s := machine()
	other := replica("web-9", noon, 0)
	other.Owner.APIVersion = "example.org/v1"
	know(s, other)
	for _, k := range s.Known {
		if k.Pod.Name == "web-2" {
			k.Pod.InitContainers = []cluster.Container{{Name: "side", Always: true, Restarts: 4}, {Name: "once", Restarts: 9}}
		}
	}
	h := served(newAPI(t, func(o *Options) { o.Pictures = pictures(func(time.Time) *live.Snapshot { return s }) }))
	var o Overview
	if err := json.Unmarshal(get(h, "/plimsoll/v1/overview").Body.Bytes(), &o); err != nil {
		t.Fatal(err)
	}
	got := o.Scaled[0].Members
	if len(got) != 4 || got[0].Name != "web-1" || or(got[0].CPU, 0) != .88 || or(got[0].Memory, 0) != 49*mib || got[1].Restarts != 5 || got[3].State != "backing-off" || got[3].CPU != nil {
		t.Errorf("got %+v", got)
	}
}

// A target above or below what people call its pods by has these pods, and no other's of the same workload; what they use stays in the workload's row.
func TestPodsOfATargetAbove(t *testing.T) {
	s := machine()
	know(s, &cluster.Pod{UID: "mine", Namespace: "shop", Name: "front-1", Owner: cluster.Target{Kind: "Deployment", Namespace: "shop", Name: "front"}, Phase: "Running"},
		&cluster.Pod{UID: "other", Namespace: "shop", Name: "front-2", Owner: cluster.Target{Kind: "Deployment", Namespace: "shop", Name: "front"}, Phase: "Running"})
	target := cluster.Target{APIVersion: "test/v1", Kind: "Gadget", Namespace: "shop", Name: "g"}
	for name, c := range map[string]struct {
		of   func(cluster.Target) ([]*cluster.Pod, error)
		want string
	}{
		"above":     {func(cluster.Target) ([]*cluster.Pod, error) { return []*cluster.Pod{s.Known[len(s.Known)-2].Pod}, nil }, "1 pods [front-1]: what its pods use is told of each, and of Deployment front"},
		"not known": {func(cluster.Target) ([]*cluster.Pod, error) { return nil, cluster.ErrNotYet }, "0 pods []: "},
		"nobody":    {nil, "0 pods []: "},
	} {
		h := served(newAPI(t, func(o *Options) {
			o.Pictures, o.PodsOf = pictures(func(time.Time) *live.Snapshot { return s }), c.of
			o.Scaled = scaled(cluster.Scaled{Target: target, Updated: &noon})
		}))
		var w Workload
		if rec := get(h, "/plimsoll/v1/workloads/shop/Gadget/g"); json.Unmarshal(rec.Body.Bytes(), &w) != nil || w.Scaled == nil {
			t.Fatal(rec.Body)
		}
		var names []string
		for _, m := range w.Scaled.Members {
			names = append(names, m.Name)
		}
		why := ""
		if w.Gap != nil {
			why = w.Gap.Detail
		}
		if got := fmt.Sprintf("%d pods %v: %s", w.Pods, names, why); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		for _, of := range w.Containers {
			if of.Pod != "front-1" {
				t.Errorf("%s: has a container of %s", name, of.Pod)
			}
		}
	}
}

// For advice a target is known by the names that people call its pods by.
func TestTargetsByTheirPods(t *testing.T) {
	s := machine()
	of := func(kind, name string) cluster.Target {
		return cluster.Target{Kind: kind, Namespace: "shop", Name: name}
	}
	one := &cluster.Pod{UID: "1", Namespace: "shop", Name: "front-1", Owner: of("Deployment", "front"), Phase: "Running"}
	two := &cluster.Pod{UID: "2", Namespace: "shop", Name: "back-0", Owner: of("StatefulSet", "back"), Phase: "Running"}
	know(s, one, two)
	p := newPicture(s, newKills())
	p.podsOf = func(cluster.Target) ([]*cluster.Pod, error) { return []*cluster.Pod{one, two}, nil }
	var got []string
	for _, s := range p.called([]cluster.Scaled{{Target: of("Deployment", "front")}, {Target: of("Gadget", "g"), Utilizations: []cluster.Utilization{{Resource: "cpu", Share: .7}}}}) {
		got = append(got, fmt.Sprintf("%s %s %d", s.Kind, s.Name, len(s.Utilizations)))
	}
	if want := []string{"Deployment front 0", "Deployment front 1", "StatefulSet back 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWorkloadsOfTheInventory: pods that exist count, and who owns some is a workload, before anything was heard of them.
func TestWorkloadsOfTheInventory(t *testing.T) {
	s := machine()
	owner := cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "front"}
	over := &cluster.Pod{Namespace: "shop", Name: "front-0", Owner: owner, Phase: "Succeeded"}
	know(s, &cluster.Pod{Namespace: "shop", Name: "front-1", Owner: owner, Phase: "Pending"}, over, &cluster.Pod{Namespace: "shop", Name: "alone", Phase: "Pending"})
	a := newAPI(t, func(o *Options) { o.Pictures = pictures(func(time.Time) *live.Snapshot { return s }) })
	rows := map[string]Workload{}
	for _, w := range newPicture(s, newKills()).workloads(nil) {
		rows[w.Namespace+"/"+w.Name] = w
	}
	if w, ok := rows["shop/front"]; !ok || w.Kind != "Deployment" || w.Pods != 1 || w.CPU != nil {
		t.Errorf("got %v %+v", ok, w)
	}
	if w := rows["demo/web"]; w.Pods != 4 {
		t.Errorf("demo/web has %d pods, want 4", w.Pods)
	}
	if _, ok := rows["shop/"]; ok || len(rows) != 7 {
		t.Errorf("got %d rows: %v", len(rows), rows)
	}
	if rec := get(served(a), "/plimsoll/v1/workloads/shop/Deployment/front"); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"pods":1`) {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
}

// TestMissingPods: a pod that exists and has no values is missing, and the inventory says why; what has done its work is not, nor what is
// on a machine that is silent, which is told once.
func TestMissingPods(t *testing.T) {
	node := func(name string) *live.Item { return item(metric.Entity{Level: metric.Node, Node: name}) }
	dead := node("dead")
	dead.Gap = &cluster.Gap{Since: noon.Add(-time.Minute), Reason: metric.GapSilent, Detail: "no sample for 1m0s"}
	crashed := container("shop", "Deployment", "front", "crashed", "containerd", "/kubepods/x")
	crashed.Gap, crashed.Ended = &cluster.Gap{Since: noon.Add(-9 * time.Second), Reason: metric.GapStale, Detail: "no sample for 9s"}, true
	fine := container("shop", "Deployment", "front", "fine", "containerd", "/kubepods/y", val{metric.CPUUsage, "", 1, 1})
	s := snapshotOf([]*live.Item{node("n1"), dead}, []*live.Item{crashed, fine})
	s.Pods[0].Gap, s.Pods[0].Ended = crashed.Gap, true
	pod := func(name, machine, phase, gap string) *cluster.Pod {
		p := &cluster.Pod{Namespace: "shop", Name: name, Node: machine, Phase: "Running", StartTime: noon.Add(-20 * time.Second), Gap: gap}
		switch phase {
		case "Pending":
			p.Phase = "Pending"
		case "Succeeded":
			p.Phase = "Succeeded"
		}
		return p
	}
	leaving := pod("leaving", "n1", "Running", "")
	leaving.Deleting = true
	told := func(name, machine, state, detail string) *cluster.Pod {
		p := pod(name, machine, "Pending", "")
		p.Status = cluster.Status{State: state, Detail: detail}
		return p
	}
	know(s, told("badimage", "n1", "ImagePullBackOff", "Back-off pulling image \"nowhere.example/x:1\":\n ErrImagePull: not found."), told("gated", "", "SchedulingGated", ""),
		told("making", "n1", "ContainerCreating", ""), told("toobig", "", "Pending", "0/2 nodes are available: 2 Insufficient cpu."), pod("crashed", "n1", "Running", "exit status 1"), pod("fine", "n1", "Running", "was away"), pod("homeless", "", "Pending", ""),
		pod("new", "n1", "Pending", ""), pod("started", "n1", "Running", ""), pod("unread", "n7", "Running", ""),
		pod("lost", "dead", "Running", ""), pod("done", "n1", "Succeeded", ""), leaving)
	var got []string
	for _, m := range missing(s) {
		got = append(got, strings.Join([]string{m.Level, m.Title, m.Node, m.Reason, m.Detail}, "|"))
	}
	want := []string{
		"node|dead|dead|silent|no sample for 1m0s",
		`pod|shop/badimage|n1|starting|its containers have not started on "n1" yet: ImagePullBackOff: Back-off pulling image "nowhere.example/x:1": ErrImagePull: not found`,
		"pod|shop/gated||unscheduled|no machine was found for it yet: SchedulingGated",
		`pod|shop/making|n1|starting|its containers have not started on "n1" yet`,
		"pod|shop/toobig||unscheduled|no machine was found for it yet: 0/2 nodes are available: 2 Insufficient cpu",
		"pod|shop/crashed|n1|waiting|exit status 1",
		"pod|shop/homeless||unscheduled|no machine was found for it yet",
		`pod|shop/new|n1|starting|its containers have not started on "n1" yet`,
		`pod|shop/started|n1|starting|it runs on "n1", but no sample of it came yet`,
		`pod|shop/unread|n7|unread|it runs on "n7", of which nothing was ever heard`,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// TestDoneIsNotMissing: what ended because its work was done lacks no values; what ended and is to go on does.
func TestDoneIsNotMissing(t *testing.T) {
	ended := func(pod, name string) *live.Item {
		it := container("shop", "Job", "work", pod, "containerd", "/kubepods/"+pod+"/"+name)
		it.Entity.Container = name
		it.Gap, it.Ended = &cluster.Gap{Since: noon, Reason: metric.GapGone, Detail: "it has ended"}, true
		return it
	}
	s := snapshotOf(nil, []*live.Item{ended("over", "app"), ended("web", "init"), ended("web2", "app"), ended("waits", "init")})
	pods := map[string]*cluster.Pod{
		"over":  {Namespace: "shop", Name: "over", Phase: "Succeeded"},
		"web":   {Namespace: "shop", Name: "web", Phase: "Running", InitContainers: []cluster.Container{{Name: "init"}}},
		"web2":  {Namespace: "shop", Name: "web2", Phase: "Running", Containers: []cluster.Container{{Name: "app"}}},
		"waits": {Namespace: "shop", Name: "waits", Phase: "Pending", InitContainers: []cluster.Container{{Name: "init", Waiting: "CrashLoopBackOff"}}},
	}
	for _, it := range s.Pods {
		it.Pod = pods[it.Entity.Pod]
		it.Gap, it.Ended = it.Items[0].Gap, true
	}
	var got []string
	for _, m := range missing(s) {
		got = append(got, m.Level+" "+m.Title)
	}
	slices.Sort(got)
	if g, w := strings.Join(got, ", "), "container shop/waits/init, container shop/web2/app"; g != w {
		t.Errorf("got %s, want %s", g, w)
	}
}
