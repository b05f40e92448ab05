package api

import (
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// TestWaitingReplica: a replica that waits between its lives has its row for as long as the inventory has it, with the inventory's word,
// and so has its workload where nothing else of it runs. The sums are not missing beside it.
func TestWaitingReplica(t *testing.T) {
	exit := noon.Add(-40 * time.Second)
	pod := replica("web-1", exit, 3)
	pod.Gap, pod.GapSince = "it exited with status 3; started again in 20 s", exit
	for _, heard := range []bool{true, false} {
		node := item(metric.Entity{Level: metric.Node, Node: "n1"}, val{metric.CPUUsage, "", 1, 1})
		var all []*live.Item
		if heard {
			it := container("demo", "ProcessService", "web", "web-1", "process", "/plimsoll/demo/web-1")
			it.Gap, it.Ended = &cluster.Gap{Since: exit, Reason: metric.GapGone, Detail: "it has ended"}, true
			all = append(all, it)
		}
		s := snapshotOf([]*live.Item{node}, all)
		for _, it := range s.Pods {
			it.Gap, it.Ended = all[0].Gap, true
		}
		for _, it := range s.Workloads {
			it.Gap, it.Values = &cluster.Gap{Since: exit, Reason: metric.GapStale, Detail: "no member has values"}, nil
		}
		know(s, pod)
		p := newPicture(s, newKills())
		if len(p.containers) != 1 {
			t.Fatalf("heard %v: got %d rows, want that of the replica", heard, len(p.containers))
		}
		want := cluster.Gap{Since: exit, Reason: metric.GapWaiting, Detail: pod.Gap}
		c := p.containers[0]
		if c.Gap == nil || *c.Gap != want || c.Pod != "web-1" || c.Runtime != "process" || c.Why != "no data: waiting" || or(c.Restarts, 0) != 3 || *p.nodes[0].Containers != 0 {
			t.Errorf("heard %v: got %+v with gap %+v", heard, c, c.Gap)
		}
		want.Detail = "web-1: " + want.Detail
		rows := p.workloads(nil)
		if len(rows) != 1 || rows[0].Gap == nil || *rows[0].Gap != want || rows[0].CPU != nil {
			t.Errorf("heard %v: got workloads %+v with gap %+v", heard, rows, rows[0].Gap)
		}
		k := keyOf(pod.Owner)
		if got := p.members(p.workload(k.namespace, k.kind, k.name), k); len(got) != 1 {
			t.Errorf("heard %v: the workload has %d containers", heard, len(got))
		}
		if got := missing(s); len(got) != 1 || got[0].Level != "pod" || got[0].Reason != metric.GapWaiting {
			t.Errorf("heard %v: missing %+v", heard, got)
		}
	}
}

// A container of a cluster that crashes again and again stays in sight between its lives, with the cluster's word, its restarts and what it asks for: while the picture has it,
// when it has nothing of it any more, and beside one of its pod that runs. One that has ended says so, and no more.
func TestCrashingContainerOfAPod(t *testing.T) {
	asks := func(name cluster.ResourceName, n cluster.Milli) cluster.Resources {
		return cluster.Resources{{Name: name, Milli: n}}
	}
	gone := &cluster.Gap{Since: noon.Add(-30 * time.Second), Reason: metric.GapGone, Detail: "its sender has ended the series"}
	pod := func(waiting string) *cluster.Pod {
		return &cluster.Pod{UID: "u", Namespace: "shop", Name: "cart", Node: "n1", Phase: "Running", Owner: cluster.Target{Kind: "Deployment", Namespace: "shop", Name: "cart"},
			Status:     cluster.Status{State: waiting, Since: noon.Add(-20 * time.Second)},
			Containers: []cluster.Container{{Name: "c", ID: "1", Restarts: 4, Waiting: waiting}, {Name: "ok", ID: "2", Requests: asks("cpu", 250), Limits: asks("memory", 64_000)}}}
	}
	for _, c := range []struct {
		name, waiting string
		heard, ok     bool // of the one that crashes; of the other
		want          *cluster.Gap
	}{
		{"ended", "", true, true, nil},
		{"heard", "CrashLoopBackOff", true, true, &cluster.Gap{Since: gone.Since, Reason: metric.GapWaiting, Detail: "CrashLoopBackOff"}},
		{"not heard any more", "CrashLoopBackOff", false, true, &cluster.Gap{Since: noon.Add(-20 * time.Second), Reason: metric.GapWaiting, Detail: "CrashLoopBackOff"}},
		{"ended, and will be started again", "", true, true, &cluster.Gap{Since: gone.Since, Reason: metric.GapWaiting, Detail: "Error"}},
		{"alone", "CrashLoopBackOff", false, false, &cluster.Gap{Since: noon.Add(-20 * time.Second), Reason: metric.GapWaiting, Detail: "CrashLoopBackOff"}},
	} {
		of := pod(c.waiting)
		if c.want != nil && c.waiting == "" {
			of.Containers[0].Ended = "Error"
		}
		if !c.ok {
			of.Containers = of.Containers[:1]
		}
		var all []*live.Item
		named := func(name string, vals ...val) *live.Item {
			it := container("shop", "Deployment", "cart", "cart", "containerd", "/kubepods/podu/"+name, vals...)
			it.Entity.Container = name
			return it
		}
		if c.heard {
			it := named("c", val{metric.CPURequest, "", 0.5, 0})
			it.Gap, it.Ended, it.Restarts = gone, true, 3
			all = append(all, it)
		}
		if c.ok {
			all = append(all, named("ok", val{metric.CPUUsage, "", 1, .1}, val{metric.MemoryWorkingSet, "", 10, 0}))
		}
		s := snapshotOf([]*live.Item{item(metric.Entity{Level: metric.Node, Node: "n1"}, val{metric.CPUUsage, "", 1, 1})}, all)
		know(s, of)
		var got []*Container
		for _, row := range newPicture(s, newKills()).containers {
			if row.Name == "c" {
				got = append(got, row)
			} else if or(row.CPURequest, 0) != 0.25 || or(row.MemoryLimit, 0) != 64 || row.CPULimit != nil {
				t.Errorf("%s: of the other, of which its machine has not spoken: %+v", c.name, row)
			}
		}
		if c.want == nil {
			if len(got) != 0 { // it ended longer ago than is shown
				t.Errorf("%s: got %+v", c.name, got[0])
			}
			continue
		}
		if len(got) != 1 || got[0].Gap == nil || *got[0].Gap != *c.want || or(got[0].Restarts, 0) != 4 || c.heard && or(got[0].CPURequest, 0) != 0.5 || got[0].Score == 0 {
			t.Errorf("%s: got %d rows, the first %+v with gap %+v; want %+v", c.name, len(got), got, got[0].Gap, c.want)
		}
	}
}

// A container that has never run, as its image cannot be had, has its row and its entry of what is missing beside one of its pod that runs, in its kubelet's words; one that
// starts as all do has none.
func TestContainerThatNeverRanBesideOneThatDoes(t *testing.T) {
	since := noon.Add(-time.Minute)
	for waiting, want := range map[string]string{"ImagePullBackOff": `ImagePullBackOff: Back-off pulling image "nope:1"`, "ContainerCreating": "", "PodInitializing": "", "": ""} {
		ok := container("shop", "Deployment", "cart", "cart", "containerd", "/kubepods/podu/ok", val{metric.CPUUsage, "", 1, .1}, val{metric.MemoryWorkingSet, "", 10, 0})
		ok.Entity.Container = "ok"
		s := snapshotOf([]*live.Item{item(metric.Entity{Level: metric.Node, Node: "n1"}, val{metric.CPUUsage, "", 1, 1})}, []*live.Item{ok})
		know(s, &cluster.Pod{UID: "u", Namespace: "shop", Name: "cart", Node: "n1", Phase: "Pending", Owner: cluster.Target{Kind: "Deployment", Namespace: "shop", Name: "cart"},
			Status:     cluster.Status{State: waiting, Since: since, Detail: `Back-off pulling image "nope:1"`},
			Containers: []cluster.Container{{Name: "side", Waiting: waiting}, {Name: "ok", ID: "2"}}})
		gap := cluster.Gap{Since: since, Reason: metric.GapWaiting, Detail: want}
		var rows []*Container
		for _, row := range newPicture(s, newKills()).containers {
			if row.Name == "side" {
				rows = append(rows, row)
			}
		}
		if want == "" && len(rows) > 0 || want != "" && (len(rows) != 1 || *rows[0].Gap != gap) {
			t.Errorf("%q: got %d rows %+v, want the gap %+v", waiting, len(rows), rows, gap)
		}
		pic := newPicture(s, newKills())
		w, pod := pic.workloads(nil)[0], pic.podsOn("n1")[0]
		if want == "" && (w.Parts != nil || w.Partial != nil || pod.Parts != nil) {
			t.Errorf("%q: the sums are of %v and %v, want whole ones", waiting, w.Parts, pod.Parts)
		}
		if want != "" && (w.Parts.String() != "0 of 1 pods" || len(w.Partial) != 2 || w.Gap == nil || w.Gap.Detail != "1 of 1: pod shop/cart: side: "+want ||
			pod.Parts.String() != "1 of 2 containers" || len(pod.Partial) != 2 || pod.Gap == nil || pod.Gap.Detail != "1 of 2: side: "+want) {
			t.Errorf("%q: the workload's sum is of %v (%+v), the pod's of %v (%+v)", waiting, w.Parts, w.Gap, pod.Parts, pod.Gap)
		}
		if got := missing(s); want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0].Level != "container" || got[0].Title != "shop/cart/side" || got[0].Gap != gap) {
			t.Errorf("%q: missing %+v", waiting, got)
		}
	}
}

// A container that crashes again and again and was never measured is told alike by its row, by what is missing and by its workload.
func TestCrashingContainerThatWasNeverMeasured(t *testing.T) {
	since := noon.Add(-time.Minute)
	it := container("shop", "Deployment", "cart", "cart", "containerd", "/kubepods/podu/c", val{metric.Restarts, "", 4, 0})
	it.Gap = &cluster.Gap{Since: noon, Reason: metric.GapStarting, Detail: "it was not measured so far"}
	s := snapshotOf([]*live.Item{item(metric.Entity{Level: metric.Node, Node: "n1"}, val{metric.CPUUsage, "", 1, 1})}, []*live.Item{it})
	w := s.Workloads[0]
	w.Values, w.Gap, s.Pods[0].Gap = nil, it.Gap, it.Gap
	know(s, &cluster.Pod{UID: "u", Namespace: "shop", Name: "cart", Node: "n1", Phase: "Running", Owner: cluster.Target{Kind: "Deployment", Namespace: "shop", Name: "cart"},
		Status: cluster.Status{State: "CrashLoopBackOff", Since: since}, Containers: []cluster.Container{{Name: "cart", ID: "1", Restarts: 4, Waiting: "CrashLoopBackOff"}}})
	want := cluster.Gap{Since: since, Reason: metric.GapWaiting, Detail: "CrashLoopBackOff"}
	p := newPicture(s, newKills())
	if row := p.containers[0]; row.Gap == nil || *row.Gap != want {
		t.Errorf("the row says %+v, want %+v", row.Gap, want)
	}
	if got := missing(s); len(got) != 1 || got[0].Gap != want {
		t.Errorf("missing: %+v, want %+v", got, want)
	}
	if got := strings.Join(p.ofPods("shop", "cart"), " "); !strings.HasSuffix(got, "; waiting since "+since.Format(time.RFC3339)+": CrashLoopBackOff.") {
		t.Errorf("of the pod: %q", got)
	}
	want.Detail = "cart: " + want.Detail
	if got := p.workloads(nil); len(got) != 1 || got[0].Gap == nil || *got[0].Gap != want {
		t.Errorf("the workload says %+v, want %+v", got[0].Gap, want)
	}
}

// Of what has just ended, a pod that was deleted say, the row says that, and not that it was restarted when another took its name.
func TestWhatHasEndedWasNotRestarted(t *testing.T) {
	it := container("shop", "Pod", "same", "same", "containerd", "/kubepods/podu/c", val{metric.Restarts, "", 1, 0})
	it.Gap, it.Ended, it.Restarts, it.Start = &cluster.Gap{Since: noon.Add(-6 * time.Second), Reason: metric.GapGone}, true, 1, noon.Add(-21*time.Second)
	if c := newPicture(snapshotOf(nil, []*live.Item{it}), newKills()).containers[0]; c.Why != "ended 6 s ago" || c.Score != 0 {
		t.Errorf("got %q, score %v", c.Why, c.Score)
	}
}

// Until whoever counts has told that a container was restarted, it is neither made anew nor restarted; what takes its name is made anew at once.
func TestARestartIsWhatItsRuntimeCounts(t *testing.T) {
	for _, c := range []struct {
		another bool
		count   int32
		want    string
	}{{false, 0, ""}, {true, 0, "made anew 5 s ago"}, {false, 1, "restarted 5 s ago"}, {true, 1, "restarted 5 s ago"}} {
		it := container("docker", "Docker", "loop", "loop", "docker", "/docker/loop", val{metric.CPUUsage, "", 1, .1}, val{metric.MemoryWorkingSet, "", 10, 0})
		it.Restarts, it.Counted, it.Another, it.Count, it.Start = int(c.count), true, c.another, c.count, noon.Add(-5*time.Second)
		if row := newPicture(snapshotOf(nil, []*live.Item{it}), newKills()).containers[0]; row.Why != c.want || or(row.Restarts, -1) != float64(c.count) {
			t.Errorf("another %v, %d restarts: got %q with %v", c.another, c.count, row.Why, or(row.Restarts, -1))
		}
	}
}

// A container of a pod was restarted when it was started last, as it and whoever runs it say, and not when its pod became ready or ceased to be.
func TestARestartIsWhenTheContainerStarted(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(-time.Duration(minutes) * time.Minute) }
	for _, c := range []struct {
		name                      string
		start, told, ended, ready time.Time
		want                      string
	}{
		{"ready later", at(8), at(8), time.Time{}, at(1), "restarted 8 min ago"},
		{"heard of before it is measured anew", at(30), at(3), time.Time{}, at(1), "restarted 3 min ago"},
		{"measured anew before it is heard of", at(3), at(30), time.Time{}, at(20), "restarted 3 min ago"},
		{"lives too short to be measured", at(30), time.Time{}, at(4), at(20), "restarted 4 min ago"},
		{"long ago", at(30), at(30), time.Time{}, at(1), ""},
		{"without a start", time.Time{}, time.Time{}, time.Time{}, at(2), "restarted 2 min ago"},
	} {
		it := container("shop", "Deployment", "web", "web", "containerd", "/kubepods/podu/web", val{metric.CPUUsage, "", 1, .1}, val{metric.MemoryWorkingSet, "", 10, 0})
		it.Start = c.start
		s := snapshotOf(nil, []*live.Item{it})
		know(s, &cluster.Pod{UID: "u", Namespace: "shop", Name: "web", Node: "n1", Phase: "Running", Status: cluster.Status{State: "Running", Since: c.ready},
			Containers: []cluster.Container{{Name: "web", ID: "1", Restarts: 1, Started: c.told, Began: c.ended}}})
		if row := newPicture(s, newKills()).containers[0]; row.Why != c.want {
			t.Errorf("%s: got %q, want %q", c.name, row.Why, c.want)
		}
	}
}

// What is late with its machine hurts nobody: the machine does.
func TestLateWithItsMachine(t *testing.T) {
	for _, unheard := range []bool{true, false} {
		it := container("docker", "Docker", "a", "a", "docker", "/docker/a")
		it.Gap, it.Unheard = &cluster.Gap{Since: noon.Add(-7 * time.Second), Reason: metric.GapStale, Detail: "no sample for 7s"}, unheard
		s := snapshotOf([]*live.Item{machineOf("n1")}, []*live.Item{it})
		if c := newPicture(s, newKills()).containers[0]; (c.Score == 0) != unheard || c.Gap == nil {
			t.Errorf("unheard %v: score %v, %q", unheard, c.Score, c.Why)
		}
		if n := len(missing(s)); n != 0 && unheard || n == 0 && !unheard {
			t.Errorf("unheard %v: %d entries of what is missing", unheard, n)
		}
	}
}
