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
	if p.node.Cores == nil || *p.node.Cores != 4 || *p.node.CPU != 1 || p.node.Gap == nil || p.node.Containers != 0 {
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
