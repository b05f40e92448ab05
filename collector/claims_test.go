package collector

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// fakeNode is a Node whose containers are measured under the entities that are there.
type fakeNode struct {
	pods  []*cluster.Pod
	nodes []*cluster.Node
	named map[string]*metric.Entity
	last  *metric.Entity
}

func (n *fakeNode) All() []*cluster.Pod                                  { return n.pods }
func (n *fakeNode) Nodes() []*cluster.Node                               { return n.nodes }
func (n *fakeNode) Container(id string) *metric.Entity                   { return n.named[id] }
func (n *fakeNode) Last(*cluster.Pod, *cluster.Container) *metric.Entity { return n.last }
func (n *fakeNode) Absent(p *cluster.Pod, c *cluster.Container) *metric.Entity {
	return &metric.Entity{Level: metric.Container, Node: "n1", Namespace: p.Namespace, Pod: p.Name, Container: c.Name}
}

func amounts(cpu, memory cluster.Milli) cluster.Resources {
	return cluster.Resources{{Name: "cpu", Milli: cpu}, {Name: "ephemeral-storage", Milli: 5e12}, {Name: "memory", Milli: memory * 1000}}
}

// claimed are the rows of a reading, in words.
func claimed(c *Claims) []string {
	groups, _ := c.Read(time.Unix(1000, 0))
	var out []string
	for _, g := range groups {
		s := g.Entity.String()
		for _, p := range g.Points {
			word := map[metric.ID]string{metric.Restarts: "restarts", metric.CPURequest: "cpu", metric.MemoryRequest: "memory", metric.CPULimit: "cpu<", metric.MemoryLimit: "memory<",
				metric.CPUCapacity: "has cpu", metric.MemoryCapacity: "has memory", metric.CPUAllocatable: "gives cpu", metric.MemoryAllocatable: "gives memory"}[p.ID]
			s += fmt.Sprintf(" %s %v", word, p.V)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestClaims(t *testing.T) {
	n1 := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}
	measured := func(pod, container string) *metric.Entity {
		return &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: pod, Container: container, ID: "/kubepods/x/" + pod + container}
	}
	web := cluster.Target{Kind: "Deployment", Name: "web"}
	f := func(what string, n *fakeNode, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, claimed(NewClaims(n1, n, n))); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
	of := func(p cluster.Pod) *fakeNode {
		p.UID, p.Namespace, p.Name, p.Owner = "u", "shop", "web-1", web
		return &fakeNode{pods: []*cluster.Pod{&p}, named: map[string]*metric.Entity{"1": measured("web-1", "app"), "2": measured("web-1", "log"), "3": measured("web-1", "init")}}
	}
	app := cluster.Container{Name: "app", ID: "1", Restarts: 2, Requests: amounts(250, 64), Limits: amounts(500, 128)}
	log := cluster.Container{Name: "log", ID: "2", Requests: cluster.Resources{{Name: "cpu", Milli: 100}}}
	rests := cluster.Container{Name: "app", ID: "9", Restarts: 7, Ended: "Error", Requests: amounts(250, 64)}
	waits := cluster.Container{Name: "app", ID: "9", Restarts: 7, Waiting: "CrashLoopBackOff", Requests: amounts(250, 64)}
	started, ended := cluster.Container{Name: "app"}, cluster.Container{Name: "app", ID: "9", Requests: amounts(250, 64)}
	mesh := cluster.Container{Name: "mesh", ID: "2", Always: true, Requests: amounts(10, 1)}

	f("the node", &fakeNode{nodes: []*cluster.Node{{Name: "n1", Capacity: amounts(4000, 1000), Allocatable: amounts(3900, 900)}}},
		"node n1 has cpu 4 has memory 1000 gives cpu 3.9 gives memory 900")
	f("nothing is known of it", &fakeNode{nodes: []*cluster.Node{{Name: "n1"}}})
	f("two containers", of(cluster.Pod{Containers: []cluster.Container{app, log}}),
		"container shop/web-1/app restarts 2 cpu 0.25 memory 64 cpu< 0.5 memory< 128", "container shop/web-1/log restarts 0 cpu 0.1")
	once := cluster.Container{Name: "init", ID: "3", Requests: amounts(1000, 5), Limits: amounts(1000, 5)}
	f("an init container runs, with a sidecar before it", of(cluster.Pod{InitContainers: []cluster.Container{mesh, once}}),
		"container shop/web-1/init restarts 0 cpu< 1 memory< 5", "container shop/web-1/log restarts 0 cpu 0.01 memory 1", "pod shop/web-1 cpu 1.01 memory 6")
	once.ID, once.Done = "8", true
	f("it has ended: what it asked for is set aside all the same, where the others ask for less", of(cluster.Pod{InitContainers: []cluster.Container{mesh, once}, Containers: []cluster.Container{app}}),
		"container shop/web-1/app restarts 2 cpu 0.25 memory 64 cpu< 0.5 memory< 128", "container shop/web-1/log restarts 0 cpu 0.01 memory 1", "pod shop/web-1 cpu 1.01 memory 65")
	f("it asks for nothing", of(cluster.Pod{InitContainers: []cluster.Container{{Name: "init", ID: "8", Done: true, Requests: amounts(0, 0)}}, Containers: []cluster.Container{log}}),
		"container shop/web-1/log restarts 0 cpu 0.1")
	f("one waits to be started again", of(cluster.Pod{Containers: []cluster.Container{waits, log}}),
		"container shop/web-1/app restarts 7 cpu 0.25 memory 64", "container shop/web-1/log restarts 0 cpu 0.1")
	f("one has ended and will be started again", of(cluster.Pod{Containers: []cluster.Container{rests, log}}),
		"container shop/web-1/app restarts 7 cpu 0.25 memory 64", "container shop/web-1/log restarts 0 cpu 0.1")
	f("and does not any more", of(cluster.Pod{Containers: []cluster.Container{waits}, Deleting: true}))
	f("one has not begun, one has ended", of(cluster.Pod{Containers: []cluster.Container{started, ended}}))
	f("all have ended", of(cluster.Pod{Phase: "Succeeded", Containers: []cluster.Container{app}}))
	f("the pod has a request and a limit of its own", of(cluster.Pod{Requests: amounts(1000, 300), Limits: cluster.Resources{{Name: "cpu", Milli: 2000}}, Containers: []cluster.Container{log}}),
		"container shop/web-1/log restarts 0 cpu 0.1", "pod shop/web-1 cpu 1 memory 300 cpu< 2")
	f("and costs something", of(cluster.Pod{Requests: cluster.Resources{{Name: "cpu", Milli: 1000}}, Overhead: amounts(50, 20), Containers: []cluster.Container{app, log}, InitContainers: []cluster.Container{{Name: "x", Always: true, Requests: amounts(0, 3)}}}),
		"container shop/web-1/app restarts 2 cpu 0.25 memory 64 cpu< 0.5 memory< 128", "container shop/web-1/log restarts 0 cpu 0.1", "pod shop/web-1 cpu 1.05 memory 87")
	f("of a pod that is not measured nothing is said", of(cluster.Pod{Requests: amounts(1, 1), Containers: []cluster.Container{{Name: "app", ID: "7"}}}))
}

// A container that waits keeps the names under which it was measured, so that it is one thing; after a start of this process it has them all the same.
func TestClaimsBetweenTwoLives(t *testing.T) {
	path := "/kubepods/pod" + strings.Repeat("0", 36) + "/1"
	e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", Pod: "web-1", Container: "app", ID: path, Runtime: "containerd"}
	pod := func(c cluster.Container) []*cluster.Pod {
		return []*cluster.Pod{{UID: "u", Namespace: "shop", Name: "web-1", Requests: amounts(1, 1), Containers: []cluster.Container{c}}}
	}
	n := &fakeNode{pods: pod(cluster.Container{Name: "app", ID: "1"}), named: map[string]*metric.Entity{"1": e}}
	c := NewClaims(&metric.Entity{Level: metric.Node, Node: "n1"}, n, n)
	spoken := func(c *Claims) (container, pod *metric.Entity) {
		t.Helper()
		groups, _ := c.Read(time.Now())
		if len(groups) != 2 {
			t.Fatalf("got %+v", groups)
		}
		return groups[0].Entity, groups[1].Entity
	}
	first, whole := spoken(c)
	n.named, n.pods = nil, pod(cluster.Container{Name: "app", ID: "1", Waiting: "CrashLoopBackOff", Restarts: 1})
	if again, same := spoken(c); first != e || again != e || same != whole {
		t.Errorf("got %+v, then %+v", first, again)
	}
	n.pods = pod(cluster.Container{Name: "app", ID: "2", Restarts: 2}) // it runs, or has for a moment, and nobody has found its cgroup
	if groups, _ := c.Read(time.Now()); len(groups) != 0 {
		t.Errorf("got %+v", groups)
	}
	n.pods = pod(cluster.Container{Name: "app", ID: "2", Waiting: "CrashLoopBackOff", Restarts: 2, Kills: []cluster.Kill{{Life: "2"}}})
	if again, _ := spoken(c); again != e {
		t.Errorf("after a life that nobody has seen it is %+v", again)
	}
	for of, kill := range c.Killed() {
		if of != e || kill.Life != "2" {
			t.Errorf("%v was killed in %v", of, kill)
		}
	}
	next := *e
	next.ID = strings.Replace(path, "/1", "/2", 1)
	n.last = &next
	if again, _ := spoken(c); again != n.last {
		t.Errorf("after a life that was measured between two readings it is %+v", again)
	}
	n.last = nil
	anew, _ := spoken(NewClaims(&metric.Entity{Level: metric.Node, Node: "n1"}, n, n))
	if identity.KeyOf(anew).InCluster() != identity.KeyOf(e) || !identity.Same(anew, e) {
		t.Errorf("after a start it is %+v, not %+v", anew, e)
	}
	if identity.KeyOf(whole).InCluster() != identity.PodKey("", "shop", "web-1") {
		t.Errorf("the pod is %+v", whole)
	}
	n.pods = pod(cluster.Container{Name: "app", Restarts: 1})
	n.pods[0].UID = "another"
	if groups, gaps := c.Read(time.Now()); len(groups) != 0 || len(gaps) != 0 {
		t.Errorf("another pod has the name: got %v and %v", groups, gaps)
	}
	n.pods = pod(cluster.Container{Name: "app", ID: "1", Waiting: "CrashLoopBackOff", Restarts: 1})
	_, whole = spoken(c)
	n.pods = nil
	groups, gaps := c.Read(time.Now())
	if len(groups) != 0 || len(c.last) != 0 || len(gaps) != 2 {
		t.Errorf("of nothing there is left: %v, %v", c.last, gaps)
	}
	for _, g := range gaps { // the pod as a whole, and a container that nobody may have found a cgroup of
		if g.Reason != metric.GapGone || g.Entity != whole && g.Entity.Level != metric.Container {
			t.Errorf("got %+v", g)
		}
	}
}
