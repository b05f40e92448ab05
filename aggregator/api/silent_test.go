package api

import (
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
		gap := &cluster.Gap{Since: noon.Add(-c.silent), Reason: "stale", Detail: "no sample"}
		n := item(metric.Entity{Level: metric.Node, Node: "n1"}, val{metric.CPUCapacity, "", 4, 0}, val{metric.LoadAverage1m, "", 2, 0}, val{metric.DiskWrite, "", 0, 100})
		web := container("demo", "ProcessService", "web", "web-1", "process", "/web-1", val{metric.DiskWrite, "", 0, 100}, val{metric.MemoryLimit, "", 100, 0})
		n.Gap, web.Gap = gap, gap
		pic := newPicture(snapshotOf([]*live.Item{n}, []*live.Item{web}), newKills(), nil)
		row, box := pic.nodes[0], pic.containers[0]
		if (row.Load1 != nil) != c.want || (row.DiskWrite != nil) != c.want || (box.DiskWrite != nil) != c.want {
			t.Errorf("silent for %s: load %v, disk %v and %v; want present %v", c.silent, row.Load1, row.DiskWrite, box.DiskWrite, c.want)
		}
		if row.Cores == nil || box.MemoryLimit == nil || row.Gap == nil {
			t.Errorf("silent for %s: what it is made of is gone: %+v", c.silent, row)
		}
	}
}
