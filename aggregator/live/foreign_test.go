package live

import (
	"maps"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// What another machine says of a pod, never counts for it, as a container of the pod's name or as one more in it: neither as load nor as
// the lack of it, with samples of the present or ahead of it.
func TestUsageIsOfThePodsOwnMachine(t *testing.T) {
	pod := &cluster.Pod{Namespace: "demo", Name: "web-1", Node: "n1"}
	for _, x := range [][2]string{{"", "/p/web-1"}, {"/kubepods/forged", "/p/web-1"}, {"/x", "/p/web-1"}, {"", "/kubepods/real"}, {"/kubepods/forged", "/kubepods/real"}, {"/x", "/kubepods/real"}} {
		id, mine := x[0], x[1]
		for _, name := range []string{"web", "sidecar"} {
			for _, ahead := range []time.Duration{0, 4 * time.Second} {
				p := newPicture(t, Options{})
				at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				own := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", Pod: "web-1", Container: "web", ID: mine}
				forged := &metric.Entity{Level: metric.Container, Node: "evil", Namespace: "demo", Pod: "web-1", Container: name, ID: id}
				for i := range 20 {
					now := at.Add(time.Duration(i) * time.Second)
					one := func(e *metric.Entity, at time.Time, v float64) {
						b := &metric.Batch{Node: e.Node, Time: now, Fast: true, Groups: []metric.Group{{Entity: e, Start: at.Add(-time.Second), Points: []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: v}}}}}
						if err := p.Apply(b); err != nil {
							t.Fatal(err)
						}
					}
					one(forged, now.Add(ahead), 50*float64(i))
					one(own, now, 0.1*float64(i))
					one(forged, now.Add(ahead+time.Millisecond), 50*float64(i)+1)
				}
				usage := p.Usage(at.Add(19*time.Second), []*cluster.Pod{pod}, "cpu", 5*time.Second)
				if len(usage) == 0 && mine == "/kubepods/real" {
					continue // of two that claim one name in the cluster neither may count: then the target is held
				}
				if len(usage) != 1 || len(usage[0].Containers) != 1 || usage[0].Containers[0].Usage[0].Milli != 100 {
					t.Errorf("id %q of %q, container %q, %v ahead: got %+v, want 100m of the pod's own", id, mine, name, ahead, usage)
				}
			}
		}
	}
}

// Where no cluster says which pods there are, another sender does not take over what is sent of a machine, whatever start it claims. A pod of Kubernetes is one
// thing wherever it is: another sender may have it once that machine is silent. What has no cgroup is a thing of its own on each machine.
func TestNobodyTakesWhatIsAnothers(t *testing.T) {
	for k := range 8 {
		start, o, id := time.Duration(k%2)*time.Hour, Options{}, ""
		if k&2 != 0 { // as of a process that runs replicas, whose inventory says nothing of what others send
			o.Inventory = inventory{}
		}
		if k&4 != 0 {
			id = "/kubepods/pod1/db"
		}
		p := newPicture(t, o)
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		send := func(sender, node string, now time.Time, v float64) {
			g := metric.Group{Entity: &metric.Entity{Level: metric.Container, Node: node, Namespace: "ns", Pod: "db", Container: "db", ID: id}, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: v}}}
			if start > 0 {
				g.Start = now.Add(-start)
				if sender == "evil" {
					g.Start = now.Add(-time.Second)
				}
			}
			if err := p.Apply(&metric.Batch{Node: node, Sender: sender, Time: now, Fast: true, Groups: []metric.Group{g}}); err != nil {
				t.Fatal(err)
			}
		}
		shown := func(now time.Time, want map[string]float64) {
			t.Helper()
			s := p.Snapshot(now)
			got := map[string]float64{}
			for _, it := range s.Containers {
				if v, ok := it.Get(metric.MemoryWorkingSet); ok {
					got[it.Entity.Node] += v.V
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("start %v, id %q: got %v, want %v", start, id, got, want)
			}
		}
		for i := range 5 {
			now := at.Add(time.Duration(i) * time.Second)
			send("ann", "nA", now, 100)
			send("evil", "nE", now, 900)
			if id == "" {
				shown(now, map[string]float64{"nA": 100, "nE": 900})
			} else {
				shown(now, map[string]float64{"nA": 100})
			}
		}
		if c := p.Conditions(at); id != "" && (len(c) != 1 || c[0].Reason != Claimed || !strings.Contains(c[0].Message, `machine "nE", sent by "evil", is said to have ns/db, which machine "nA" has`)) {
			t.Errorf("conditions %+v", c)
		}
		later := at.Add(time.Minute)
		send("evil", "nE", later, 900)
		shown(later, map[string]float64{"nE": 900})
	}
}
