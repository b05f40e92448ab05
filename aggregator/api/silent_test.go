package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// The slow lane's last values of a machine that is silent are not taken for present ones: neither its own nor its containers'.
// While the slow lane may still come, they are.
func TestSilentMachineHasNoPresentValues(t *testing.T) {
	for _, c := range []struct {
		silent time.Duration
		want   bool
	}{{5 * time.Second, true}, {20 * time.Second, false}} {
		gap := &cluster.Gap{Since: noon.Add(-c.silent), Reason: map[bool]string{true: metric.GapStale, false: metric.GapSilent}[c.want], Detail: "no sample"}
		n := item(metric.Entity{Level: metric.Node, Node: "n1"}, val{metric.CPUCapacity, "", 4, 0}, val{metric.LoadAverage1m, "", 2, 0}, val{metric.DiskWrite, "", 0, 100})
		web := container("demo", "ProcessService", "web", "web-1", "process", "/web-1", val{metric.DiskWrite, "", 0, 100}, val{metric.MemoryLimit, "", 100, 0})
		n.Gap, web.Gap = gap, gap
		pic := newPicture(snapshotOf([]*live.Item{n}, []*live.Item{web}), newKills())
		row, box := pic.nodes[0], pic.containers[0]
		if (row.Load1 != nil) != c.want || (row.DiskWrite != nil) != c.want || (box.DiskWrite != nil) != c.want {
			t.Errorf("silent for %s: load %v, disk %v and %v; want present %v", c.silent, row.Load1, row.DiskWrite, box.DiskWrite, c.want)
		}
		if row.Cores == nil || box.MemoryLimit == nil || row.Gap == nil {
			t.Errorf("silent for %s: what it is made of is gone: %+v", c.silent, row)
		}
	}
}

func machineOf(name string) *live.Item {
	return item(metric.Entity{Level: metric.Node, Node: name}, val{metric.CPUCapacity, "", 4, 0}, val{metric.CPUUsage, "", 0, 1})
}

// A machine that is silent is one condition and one entry of what is missing, however much is on it; what it had is in no sum, and nobody
// looks at its containers first.
func TestSilentMachineIsOneCondition(t *testing.T) {
	dead, alive := machineOf("dead"), machineOf("alive")
	dead.Gap = &cluster.Gap{Since: noon.Add(-time.Minute), Reason: metric.GapSilent, Detail: "no sample for 1m0s"}
	var all []*live.Item
	for _, name := range []string{"a", "b", "c"} {
		it := container("shop", "Docker", name, name, "docker", "/docker/"+name, val{metric.MemoryLimit, "", 100, 0}, val{metric.MemoryWorkingSet, "", 99, 0})
		it.Entity.Node, it.Gap = "dead", &cluster.Gap{Since: dead.Gap.Since, Reason: metric.GapSilent, Detail: "its machine is silent"}
		all = append(all, it)
	}
	s := snapshotOf([]*live.Item{alive, dead}, all)
	for _, w := range s.Workloads { // which are on the machine as a whole
		w.Gap = all[0].Gap
	}
	p := newPicture(s, newKills())
	if p.node.Cores == nil || *p.node.Cores != 4 || *p.node.CPU != 1 || p.node.Gap == nil || *p.node.Containers != 0 {
		t.Errorf("together they are %+v", p.node)
	}
	for _, c := range p.containers {
		if c.Score != 0 || c.Why != "" || c.Gap == nil || c.WorkingSet != nil {
			t.Errorf("%s: score %g, %q, gap %v, memory %v", c.Title, c.Score, c.Why, c.Gap, c.WorkingSet)
		}
	}
	want := "no sample for 1m0s; with it 3 containers"
	if got := missing(s); len(got) != 1 || got[0].Level != "node" || got[0].Title != "dead" || got[0].Detail != want || !got[0].Since.Equal(dead.Gap.Since) {
		t.Errorf("missing: %+v", got)
	}
	got := silent(s)
	if len(got) != 1 || got[0].Type != "MachineHeard/dead" || got[0].OK() || got[0].Message != `machine "dead" is silent: `+want || !got[0].Since.Equal(dead.Gap.Since) {
		t.Errorf("conditions: %+v", got)
	}
}

// Machines that somebody made up for a moment hide none that was there.
func TestManySilentMachines(t *testing.T) {
	var all []*live.Item
	for i := range 2000 {
		n := machineOf(fmt.Sprintf("k%04d", i))
		n.First, n.Gap = noon.Add(-2*time.Minute), &cluster.Gap{Since: noon.Add(-time.Minute), Reason: metric.GapSilent, Detail: "no sample for 1m0s"}
		all = append(all, n)
	}
	honest := machineOf("n2")
	honest.First, honest.Gap = noon.Add(-time.Hour), &cluster.Gap{Since: noon.Add(-20 * time.Second), Reason: metric.GapSilent, Detail: "no sample for 20s"}
	got := silent(snapshotOf(append(all, honest), nil))
	last := len(got) - 1
	if last != maxSilent || got[last-1].Type != "MachineHeard/n2" || got[last].Type != "MachinesHeard" || !strings.HasPrefix(got[last].Message, "1981 machines more are silent, ") {
		t.Errorf("got %d: %+v", len(got), got)
	}
}

// What was on a machine that is silent is forgotten after a while: how many containers it has is not known then. So it is of one that was never heard.
func TestContainersOfASilentMachine(t *testing.T) {
	dead, alive := machineOf("dead"), machineOf("alive")
	dead.Gap = &cluster.Gap{Since: noon.Add(-3 * time.Minute), Reason: metric.GapSilent, Detail: "no sample for 3m0s"}
	web := container("shop", "Docker", "a", "a", "docker", "/docker/a", val{metric.MemoryWorkingSet, "", 99, 0})
	web.Entity.Node = "alive"
	p := newPicture(snapshotOf([]*live.Item{alive, dead}, []*live.Item{web}), newKills(), &cluster.Node{Name: "never", Ready: "Unknown"})
	for i, want := range []*int{ptr(1), nil, nil} {
		if n := p.nodes[i]; (n.Containers == nil) != (want == nil) || want != nil && *n.Containers != *want {
			t.Errorf("%s: got %v containers, want %v", n.Name, n.Containers, want)
		}
	}
	if n := p.node.Containers; n == nil || *n != 1 {
		t.Errorf("together: %v containers, want 1", n)
	}
	if p = newPicture(snapshotOf([]*live.Item{dead}, nil), newKills()); p.node.Containers != nil {
		t.Errorf("alone: %d containers, want none known", *p.node.Containers)
	}
	if p = newPicture(snapshotOf([]*live.Item{alive}, nil), newKills()); p.node.Containers == nil || *p.node.Containers != 0 {
		t.Errorf("a machine without any: %v containers, want 0", p.node.Containers)
	}
}

// A sum of machines has the cores and the memory of those whose use is in it. A machine of which nobody has said yet what it has says so.
func TestSizesOfASumAreThoseOfItsUse(t *testing.T) {
	sized := func(name string, vals ...val) *live.Item {
		it := item(metric.Entity{Level: metric.Node, Node: name}, vals...)
		it.Own.Add(metric.CPUUsage)
		it.First = noon
		return it
	}
	cores, memory := val{metric.CPUCapacity, "", 2, 0}, val{metric.MemoryCapacity, "", 100, 0}
	cpu, used := val{metric.CPUUsage, "", 0, 1.9}, val{metric.MemoryWorkingSet, "", 90, 0}
	late, anew := sized("late", cores, memory), sized("new", cpu, used)
	late.Gap = &cluster.Gap{Since: noon.Add(-6 * time.Second), Reason: metric.GapStale, Detail: "no sample for 6s"}
	n := newPicture(snapshotOf([]*live.Item{late, sized("one", cores, memory, cpu, used)}, nil), newKills()).node
	if *n.Cores != 2 || *n.Memory != 100 || *n.CPU != 1.9 || *n.WorkingSet != 90 || strings.Join(n.Partial, " ") != "cpu workingSet" {
		t.Errorf("one is late: %v of %v cores, %v of %v, partial %q; want 1.9 of 2 and 90 of 100", *n.CPU, *n.Cores, *n.WorkingSet, *n.Memory, n.Partial)
	}
	p := newPicture(snapshotOf([]*live.Item{anew, sized("one", cores, memory, cpu, used)}, nil), newKills())
	if n := p.node; *n.Cores != 2 || *n.CPU != 3.8 || strings.Join(n.Partial, " ") != "cores memory" || n.Parts.String() != "1 of 2 machines" || n.Gap == nil || n.Gap.Detail != "new: "+unsized {
		t.Errorf("of one nobody has said what it has: partial %q, %v, gap %+v", n.Partial, n.Parts, n.Gap)
	}
	if n := p.nodes[0]; n.Cores != nil || n.Gap == nil || n.Gap.Reason != metric.GapStarting || !n.Gap.Since.Equal(noon) || *n.CPU != 1.9 {
		t.Errorf("got %+v with the gap %+v", n, n.Gap)
	}
}
