package capacity

import (
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// TestRightsizeOfWhatWaits: a workload whose only replica waits has its row, known from the inventory.
func TestRightsizeOfWhatWaits(t *testing.T) {
	s := emptySnapshot()
	pod := &cluster.Pod{Namespace: "shop", Name: "spin-1", Owner: cluster.Target{Kind: cluster.ProcessService, Namespace: "shop", Name: "spin"}, Phase: "Running",
		Gap: "it exited with status 3", Containers: []cluster.Container{{Name: "spin", Restarts: 4, Requests: cluster.Resources{{Name: "cpu", Milli: 250}, {Name: "memory", Milli: 64000}}}}}
	over := &cluster.Pod{Namespace: "shop", Name: "once-1", Owner: cluster.Target{Kind: "Job", Namespace: "shop", Name: "once"}, Phase: "Succeeded", Containers: pod.Containers}
	s.Known = []live.Known{{Pod: pod}, {Pod: over}}
	r, err := Rightsize(t.Context(), nil, s, nil, RightsizeOptions{Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 1 {
		t.Fatalf("got %d rows: %+v", len(r.Rows), r.Rows)
	}
	got := r.Rows[0]
	if got.Workload != "spin" || got.Container != "spin" || got.Replicas != 1 || got.CPU.Request == nil || *got.CPU.Request != .25 || *got.Memory.Request != 64 ||
		!strings.HasPrefix(got.Reason, "No advice: it takes an hour of data") {
		t.Errorf("got %+v", got)
	}
	if r, err = Rightsize(t.Context(), nil, s, nil, RightsizeOptions{Name: "else"}); err != nil || len(r.Rows) != 0 {
		t.Errorf("another name: got %v %+v", err, r.Rows)
	}
}

// What is too little is told as it is, in words that fit any number, and what began after the last full hour is not "none".
func TestTooLittle(t *testing.T) {
	g := fixtureGrid()
	f := func(ran, heard time.Duration, steps int, want string) { // before the end of the grid; steps are full hours of history
		t.Helper()
		u := newUsage()
		for i := range steps {
			at := g.end.Add(-time.Duration(i) * time.Hour).UnixMilli()
			u.busy[at], u.seen[at] = 0.1, true
		}
		now := &running{replicas: 1, since: g.end.Add(-ran), heard: g.end.Add(-heard)}
		if got := adviseOn(g, id{}, now, u, goal{}).Reason; got != "No advice: it takes an hour of data; "+want {
			t.Errorf("ran %v, heard %v, %d steps: got %q, want %q", ran, heard, steps, got, want)
		}
	}
	f(0, 0, 0, "it began after the last full hour, up to which the history is looked at.")
	f(-5*time.Minute, -5*time.Minute, 0, "it began after the last full hour, up to which the history is looked at.")
	f(24*time.Hour, -5*time.Minute, 0, "its data begins after the last full hour, up to which the history is looked at.")
	f(24*time.Hour, 2*time.Hour, 0, "so far there is none.")
	f(20*time.Second, 0, 1, "so far there is less than a minute.")
	f(time.Minute, 0, 1, "so far there is 1 minute.")
	f(89*time.Second, 0, 1, "so far there is 1 minute.")
	f(10*time.Minute, 0, 1, "so far there are 10 minutes.")
	f(59*time.Minute+50*time.Second, 0, 1, "so far there are 59 minutes.")
}

// TestNamespaceThatLacksAPod: what a namespace uses now is of the pods that have values, and says of how many where one is on a silent machine.
func TestNamespaceThatLacksAPod(t *testing.T) {
	p, err := live.New(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	send := func(node string, at time.Time) {
		e := &metric.Entity{Level: metric.Container, Node: node, Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: "web-" + node, Container: "app", ID: "/kubepods/" + node}
		points := []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: at.Sub(began).Seconds()}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 100}}
		own := metric.Group{Entity: &metric.Entity{Level: metric.Node, Node: node, ID: "/"}, Points: points}
		if err := p.Apply(&metric.Batch{Node: node, Time: at, Fast: true, Groups: []metric.Group{own, {Entity: e, Points: points}}}); err != nil {
			t.Fatal(err)
		}
	}
	var at time.Time
	report := func() (string, string) {
		r := capacityOf(grid{start: began, end: at, step: time.Hour, cover: time.Hour}, present(p.Snapshot(at), &CapacityOptions{}), &history{clusters: stories{}, pools: stories{}, nodes: stories{}, namespaces: stories{}}, false, false)
		return r.Scopes[len(r.Scopes)-1].Lacks, strings.Join(r.Notes, " ")
	}
	for i := range 30 {
		at = began.Add(time.Duration(i) * time.Second)
		send("n1", at)
		if i < 5 {
			send("n2", at)
		}
		if lacks, _ := report(); i == 4 && lacks != "" {
			t.Errorf("both are heard: %q", lacks)
		}
	}
	lacks, notes := report()
	if want := "What namespace shop uses now is of 1 of 2 pods"; lacks != "1 of 2 pods" || !strings.Contains(notes, want) {
		t.Errorf("got %q and %q, want %q", lacks, notes, want)
	}
}

// What a namespace uses now is of those of its pods, by the inventory, of which all is there: one that has no image, waits, or has a container that does so beside another, is not
// among them, and one that is done is no part.
func TestNamespaceLacksWhatDoesNotRun(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ran := func(pod, container string) *live.Item {
		e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", Pod: pod, Container: container}
		return &live.Item{Entity: e, Values: []live.Value{{ID: metric.CPUUsage, T: at, Rate: .1, Window: time.Second}, {ID: metric.MemoryWorkingSet, T: at, V: 1}}}
	}
	known := func(name string, waiting ...string) live.Known {
		p := &cluster.Pod{Namespace: "shop", Name: name, Node: "n1", Phase: "Running", Containers: []cluster.Container{{Name: "app", ID: "1"}}}
		if len(waiting) > 0 {
			p.Containers = append(p.Containers, cluster.Container{Name: "side", Waiting: waiting[0]})
		}
		it := ran(name, "app")
		pod := &live.Item{Entity: &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "shop", Pod: name}, Items: []*live.Item{it}, Values: it.Values, Pod: p}
		it.Parent = pod
		return live.Known{Pod: p, Item: pod}
	}
	none := func(k live.Known) live.Known { return live.Known{Pod: k.Pod} }
	done := func(k live.Known) live.Known { k.Pod.Phase = "Succeeded"; return none(k) }
	for want, pods := range map[string][]live.Known{
		"":            {known("a"), known("b"), done(known("c"))},
		"1 of 2 pods": {known("a"), none(known("b"))},
		"1 of 3 pods": {known("a"), known("b", "ErrImageNeverPull"), none(known("c"))},
		"0 of 2 pods": {known("a", "CrashLoopBackOff"), known("b", "ImagePullBackOff")},
	} {
		s := emptySnapshot()
		ns := &live.Item{Entity: &metric.Entity{Level: metric.Namespace, Namespace: "shop"}, Values: ran("", "").Values}
		s.Namespaces, s.Known = []*live.Item{ns}, pods
		for _, k := range pods {
			if k.Item != nil {
				s.Pods, ns.Items = append(s.Pods, k.Item), append(ns.Items, k.Item)
			}
		}
		if got := present(s, &CapacityOptions{}).namespaces[0].lacks; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A namespace runs on the nodes where something of it is: what has ended on another is remembered for a while, and is nowhere.
func TestNamespaceRunsWhereItsContainersAre(t *testing.T) {
	on := func(node string, ended bool) *live.Item {
		return &live.Item{Entity: &metric.Entity{Level: metric.Container, Node: node, Namespace: "shop", Pod: node, Container: "app"}, Ended: ended}
	}
	for want, containers := range [][]*live.Item{{on("n1", true)}, {on("n1", true), on("n2", false)}, {on("n1", false), on("n2", false)}} {
		s := emptySnapshot()
		s.Namespaces, s.Containers = []*live.Item{{Entity: &metric.Entity{Level: metric.Namespace, Namespace: "shop"}}}, containers
		if got := present(s, &CapacityOptions{}).namespaces[0].nodes; got != want {
			t.Errorf("got %d nodes, want %d", got, want)
		}
	}
}

// A replica that scaling makes anew under its name was not restarted; one that crashed was, as whoever runs it counts.
func TestRestartsAreThoseThatAreCounted(t *testing.T) {
	for crashed, want := range map[float64]int{0: 0, 2: 2} {
		p, err := live.New(live.Options{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "ProcessService", Workload: "web", Pod: "web-2", Container: "web", ID: "/plimsoll/shop/web-2", Runtime: "process"}
		for i := range 60 {
			at, told := began.Add(time.Duration(i)*time.Second), 5.0
			if i >= 40 {
				told += crashed
			}
			if i >= 10 && i < 40 {
				continue // it is scaled down
			}
			ms := at.UnixMilli()
			g := metric.Group{Entity: e, Start: began.Add(time.Duration(i/40*40) * time.Second), Points: []metric.Point{{ID: metric.CPUUsage, T: ms, V: float64(i % 40)}, {ID: metric.MemoryWorkingSet, T: ms, V: 1}, {ID: metric.Restarts, T: ms, V: told}}}
			if err := p.Apply(&metric.Batch{Node: "n1", Time: at, Fast: true, Groups: []metric.Group{g}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range run(p.Snapshot(began.Add(59*time.Second)), &RightsizeOptions{}, began) {
			if r.restarts == nil || *r.restarts != want {
				t.Errorf("crashed %v times: got %v restarts, want %d", crashed, *r.restarts, want)
			}
		}
	}
}

// What a pod was restarted before it was first read counts where the pod began within the window.
func TestRestartsBeforeTheFirstReading(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for began, want := range map[time.Time]int{start.Add(time.Minute): 6, start.Add(-time.Minute): 1} {
		s := emptySnapshot()
		pod := &live.Item{Pod: &cluster.Pod{StartTime: began}}
		s.Containers = []*live.Item{{Entity: &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", Pod: "web-1", Container: "web"}, Parent: pod, Restarts: 1,
			Values: []live.Value{{ID: metric.CPUUsage, V: 1}, {ID: metric.Restarts, V: 6}}}}
		all := run(s, &RightsizeOptions{}, start)
		if len(all) != 1 {
			t.Fatalf("got %d rows", len(all))
		}
		for _, r := range all {
			if r.restarts == nil || *r.restarts != want {
				t.Errorf("began %v: got %v restarts, want %d", began, r.restarts, want)
			}
		}
	}
}

// placed knows some pods.
type placed []*cluster.Pod

func (p placed) All() []*cluster.Pod                         { return p }
func (p placed) Pods(cluster.Target) ([]*cluster.Pod, error) { return p, nil }

// TestFitBesideWhatCannotRun: as much fits on a node as the scheduler places there: pods of which nothing ran yet have their requests, and containers that never ran.
func TestFitBesideWhatCannotRun(t *testing.T) {
	var pods placed
	pod := func(name string, millicores ...cluster.Milli) {
		p := &cluster.Pod{Node: "n1", Namespace: "shop", Name: name, Phase: "Pending"}
		for i, m := range millicores {
			p.Containers = append(p.Containers, cluster.Container{Name: string(rune('a' + i)), Requests: cluster.Resources{{Name: "cpu", Milli: m}}})
		}
		pods = append(pods, p)
	}
	pod("image", 70)
	pod("settings", 60)
	pod("volume", 20)
	pod("secret", 25)
	pod("half", 42, 1) // the first of them runs
	p, err := live.New(live.Options{Inventory: pods, Nodes: func() []*cluster.Node { return []*cluster.Node{{Name: "n1"}} }})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := now.UnixMilli()
	err = p.Apply(&metric.Batch{Node: "n1", Time: now, Groups: []metric.Group{
		{Entity: &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}, Points: []metric.Point{{ID: metric.CPUAllocatable, T: at, V: 1}, {ID: metric.MemoryAllocatable, T: at, V: 1 << 30}, {ID: metric.MemoryWorkingSet, T: at, V: 1}}},
		{Entity: &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", Pod: "half", Container: "a"}, Points: []metric.Point{{ID: metric.CPURequest, T: at, V: 0.042}, {ID: metric.Restarts, T: at}}}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Capacity(t.Context(), nil, p.Snapshot(now.Add(time.Second)), CapacityOptions{Window: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := func(cores float64, want int) {
		t.Helper()
		fit, err := Fit(r, Need{CPU: &cores})
		if err != nil || fit.Total != want {
			t.Errorf("%v cores fit %d times, want %d: %v", cores, fit.Total, want, err)
		}
	}
	f(0.782, 1)
	f(0.783, 0)
}
