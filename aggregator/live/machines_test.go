package live

import (
	"fmt"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// sentOf is a container as one of two machines sends it, both under the same names; id is what it says of its cgroup.
func sentOf(node, id string) *metric.Entity {
	return &metric.Entity{Level: metric.Container, Node: node, Namespace: "dock", WorkloadKind: "Docker", Workload: "web", Pod: "web", Container: "c", ID: id}
}

// Machines that call their containers alike have one each, whether or not senders say in which cgroup it is: each with its own values, and the sums of both, in the
// picture and in what is kept of it.
func TestSameNamesOnTwoMachines(t *testing.T) {
	for _, ids := range [][2]string{{"", ""}, {"", "/docker/1"}, {"/docker/1", ""}, {"/docker/1", "/docker/1"}, {"/kubepods/pod1/1", ""}, {"", "/kubepods/pod1/1"}} {
		for _, pods := range []bool{false, true} { // of the pod as a whole something is said as well
			for _, every := range []float64{1, 15} {
				t.Run(fmt.Sprint(ids, pods, every), func(t *testing.T) {
					p := newPicture(t, Options{})
					machines := [2]struct {
						node        string
						cores, size float64
					}{{"q1", 0.5, 25e6}, {"q2", 0.25, 75e6}}
					sums, from := map[metric.Level]float64{}, 0.0
					for k := range 20 {
						s := float64(k) * every
						for i, m := range machines {
							at := sec(s + 0.3*float64(i))
							e := sentOf(m.node, ids[i])
							b := &metric.Batch{Node: m.node, Sender: "ann", Time: at, Fast: every == 1, Groups: []metric.Group{
								cpu(node(m.node), at, 1000+s, 4e9), cpu(e, at, 1e6*float64(2-i)+m.cores*s, m.size)}}
							if pods {
								pod := clone(e, func(e *metric.Entity) { e.Level, e.Container, e.ID = metric.Pod, "", "" })
								b.Groups = append(b.Groups, metric.Group{Entity: pod, Points: []metric.Point{{ID: metric.CPURequest, T: at.UnixMilli(), V: 1}}})
							}
							apply(t, p, b)
						}
						for _, g := range p.RollUp(sec(s + 0.5)).Groups {
							for _, pt := range g.Points {
								if pt.ID == metric.CPUUsage && g.Entity.Level > metric.Pod && g.Entity.Level != metric.Node {
									sums[g.Entity.Level] = pt.V
								}
							}
						}
						if k == 3 {
							from = s
							clear(sums)
						}
					}
					s := p.Snapshot(sec(19*every + 0.5))
					checkSnapshot(t, s)
					checkIndexes(t, p)
					if len(s.Containers) != 2 || len(s.Pods) != 2 || len(s.Nodes) != 2 {
						t.Fatalf("%d containers, %d pods, %d machines, want 2 of each", len(s.Containers), len(s.Pods), len(s.Nodes))
					}
					for i, m := range machines {
						for _, it := range []*Item{s.Containers[i], s.Pods[i]} {
							wantRate(t, it, metric.CPUUsage, m.cores)
							wantGap(t, it, "")
							if v, _ := it.Gauge(metric.MemoryWorkingSet); it.Entity.Node != m.node || v != m.size || it.Restarts != 0 {
								t.Errorf("got %v of %q: %v, %d restarts; want %v of %q", it.Entity, it.Entity.Node, v, it.Restarts, m.size, m.node)
							}
						}
						if len(s.Nodes[i].Items) != 1 {
							t.Errorf("machine %q has %d members", m.node, len(s.Nodes[i].Items))
						}
					}
					for _, it := range []*Item{only(t, s.Workloads), only(t, s.Namespaces)} {
						wantRate(t, it, metric.CPUUsage, 0.75)
						if v, _ := it.Gauge(metric.MemoryWorkingSet); v != 100e6 {
							t.Errorf("%v: %v, want 100e6", it.Entity, v)
						}
					}
					for _, l := range []metric.Level{metric.Workload, metric.Namespace} {
						if got, want := sums[l], 0.75*(19*every); got < want-0.75*from-0.75*every || got > want+0.01 {
							t.Errorf("%v: the history has %v core-seconds, want %v or somewhat less", l, got, want)
						}
					}
				})
			}
		}
	}
}

// In a cluster a pod is one thing, wherever it is: one that moves is not two for a while, whoever tells of it, with its cgroup or without.
func TestAPodThatMovesIsOne(t *testing.T) {
	for _, ids := range [][2]string{{"", ""}, {"", "/kubepods/pod2/c"}, {"/kubepods/pod1/c", ""}, {"/kubepods/pod1/c", "/kubepods/pod2/c"}} {
		t.Run(fmt.Sprint(ids), func(t *testing.T) {
			p := newPicture(t, Options{Pods: func(namespace, pod string) (time.Time, bool) { return time.Time{}, namespace == "dock" && pod == "web" }})
			for k := range 12 {
				s := float64(15 * k)
				i := k / 6
				e := sentOf(fmt.Sprint("n", i), ids[i])
				pod := clone(e, func(e *metric.Entity) { e.Level, e.Container, e.ID = metric.Pod, "", "" })
				began := sec(-100)
				if i == 1 {
					began = sec(85)
				}
				apply(t, p, &metric.Batch{Node: e.Node, Time: sec(s), Groups: []metric.Group{cpu(node("n0"), sec(s), s, 1e9), cpu(node("n1"), sec(s), s, 1e9),
					started(cpu(e, sec(s), float64(1000*(1-i))+s, 100), began), {Entity: pod, Points: []metric.Point{{ID: metric.CPURequest, T: sec(s).UnixMilli(), V: 1}}}}})
				snap := p.Snapshot(sec(s + 1))
				checkSnapshot(t, snap)
				checkIndexes(t, p)
				it := only(t, snap.Containers)
				only(t, snap.Pods)
				if it.Entity.Node != e.Node || snap.Pods[0].Entity.Node != e.Node {
					t.Fatalf("second %v: it is on %q, its pod on %q, want %q", s, it.Entity.Node, snap.Pods[0].Entity.Node, e.Node)
				}
				if v, _ := only(t, snap.Workloads).Gauge(metric.MemoryWorkingSet); v != 100 {
					t.Fatalf("second %v: the workload has %v, want 100", s, v)
				}
			}
		})
	}
}

// A counter that grows by more than the machine could have used is another thing's: there is no rate of the two, neither now nor in the history, and the sums say that they lack
// it. What a machine can do, with samples that are late, is believed.
func TestACounterDoesNotLeap(t *testing.T) {
	for _, c := range []struct {
		every, cores, leap float64
		want               bool
	}{
		{1, 2, 400, true}, {10, 2, 1000, true}, {1, 0, 1e6, true}, {10, 0, 1e6, true}, // of how many cores is not known
		{1, 2, 8, false}, {10, 2, 60, false}, {1, 0, 400, false},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			p := newPicture(t, Options{})
			e, grown, prev := sentOf("q1", "/docker/1"), 0.0, 0.0
			for k := range 10 {
				at, used := sec(float64(k)*c.every), float64(k)*c.every/2
				if k >= 6 {
					used += c.leap
				}
				n := cpu(node("q1"), at, float64(k)*c.every, 1e9)
				if c.cores > 0 {
					n.Points = append(n.Points, metric.Point{ID: metric.CPUCapacity, T: at.UnixMilli(), V: c.cores})
				}
				apply(t, p, &metric.Batch{Node: "q1", Time: at, Fast: c.every == 1, Groups: []metric.Group{n, cpu(e, at, 100+used, 100)}})
				s := p.Snapshot(at)
				rate, ok := only(t, s.Containers).Rate(metric.CPUUsage)
				switch w := only(t, s.Workloads); {
				case c.want && k == 6 && (ok || !w.Lacks.Has(metric.CPUUsage) || w.Missing != 1):
					t.Errorf("got %v cores, the workload lacks %v", rate, w.Lacks.Has(metric.CPUUsage))
				case k > 0 && (k != 6 || !c.want) && !ok, c.want && rate > 1:
					t.Errorf("look %d: got %v cores, %v", k, rate, ok)
				}
				for _, g := range p.RollUp(at).Groups {
					for _, pt := range g.Points {
						if pt.ID == metric.CPUUsage && g.Entity.Level == metric.Workload {
							if pt.V > prev {
								grown += pt.V - prev
							}
							prev = pt.V
						}
					}
				}
				if it := s.Containers[0]; it.Restarts != 0 {
					t.Errorf("look %d: %d restarts", k, it.Restarts)
				}
			}
			if most := 4.5 * c.every; c.want && (grown > most || grown < most-2*c.every) {
				t.Errorf("the history has %v core-seconds, want nearly %v", grown, most)
			}
		})
	}
}
