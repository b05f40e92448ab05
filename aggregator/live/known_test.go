package live

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// inventory knows some pods.
type inventory []*cluster.Pod

func (i inventory) All() []*cluster.Pod                         { return i }
func (i inventory) Pods(cluster.Target) ([]*cluster.Pod, error) { return i, nil }

// TestKnown: a snapshot has the inventory's pods in its order, with what was heard of them, and no other's: not of a pod of that name on
// another machine.
func TestKnown(t *testing.T) {
	pod := func(node, name string) *cluster.Pod { return &cluster.Pod{Node: node, Namespace: "demo", Name: name} }
	pods := inventory{pod("n1", "web-1"), pod("n1", "web-2"), pod("n1", "web-10"), pod("n2", "web-1"), pod("", "web-3"), pod("n9", "web-2")}
	p := newPicture(t, Options{Inventory: pods})
	far := clone(web(1), func(e *metric.Entity) { e.Node = "n2" })
	for i := range 2 {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(web(1), at, 1, 1), cpu(web(2), at, 1, 1), cpu(web(10), at, 1, 1)))
		apply(t, p, &metric.Batch{Node: "n2", Time: at, Fast: true, Groups: []metric.Group{cpu(far, at, 1, 1)}})
	}
	s := p.Snapshot(sec(1.5))
	got := ""
	for i, k := range s.Known {
		if k.Pod != pods[i] || k.Item != nil && k.Item.Pod != k.Pod {
			t.Errorf("%d is %+v, want %+v", i, k.Pod, pods[i])
		}
		if k.Item != nil {
			got += k.Item.Entity.Node + "/" + k.Item.Entity.Pod
		}
		got += " "
	}
	if want := "n1/web-1 n1/web-2 n1/web-10 n2/web-1   "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if s := newPicture(t, Options{}).Snapshot(sec(0)); s.Known != nil {
		t.Errorf("without an inventory %d pods are known", len(s.Known))
	}
}

// BenchmarkKnown finds 30,000 pods, in the picture's order and in none.
func BenchmarkKnown(b *testing.B) {
	p, _ := cluster1000(b)
	items := p.Snapshot(sec(3)).Pods
	var sorted inventory
	for _, it := range items {
		sorted = append(sorted, &cluster.Pod{Node: it.Entity.Node, Namespace: it.Entity.Namespace, Name: it.Entity.Pod})
	}
	mixed := append(inventory{}, sorted...)
	rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	for name, pods := range map[string]inventory{"sorted": sorted, "mixed": mixed} {
		b.Run(fmt.Sprintf("%s-%d", name, len(pods)), func(b *testing.B) {
			for b.Loop() {
				knownPods(pods, items)
			}
		})
	}
}

// A pod that is made anew under its name has nothing of the one before, which may run on where it was deleted by force: not for the autoscaler, nor in the snapshot.
func TestMadeAnewHasNothingOfTheOneBefore(t *testing.T) {
	uid := [2]string{"11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"}
	pod := func(i int, start float64) *cluster.Pod {
		return &cluster.Pod{UID: uid[i], Namespace: "shop", Name: "db-0", Node: "n1", Phase: "Running", StartTime: sec(start), Containers: []cluster.Container{{Name: "app"}}}
	}
	first, second := pod(0, 0), pod(1, 10)
	p := newPicture(t, Options{Inventory: inventory{second}, Nodes: func() []*cluster.Node { return nil }, Pods: func(string, string) (time.Time, bool) { return second.StartTime, true }})
	of := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "StatefulSet", Workload: "db", Pod: "db-0", Container: "app", ID: "/kubepods/pod" + uid[0] + "/x"}
	for i := range 20 {
		g := cpu(of, sec(float64(i)), 2*float64(i), 100)
		apply(t, p, &metric.Batch{Node: "n1", Fast: true, Time: sec(float64(i)), Groups: []metric.Group{g}})
	}
	now := sec(19.5)
	if used := p.Usage(now, []*cluster.Pod{first}, "cpu", time.Second); len(used) != 1 {
		t.Errorf("the first used %+v", used)
	}
	if used := p.Usage(now, []*cluster.Pod{second}, "cpu", time.Second); len(used) > 0 {
		t.Errorf("the second used %+v", used)
	}
	if it := p.Snapshot(now).Known[0].Item; it != nil {
		t.Errorf("the second has %+v", it.Row(metric.CPUUsage))
	}
}
