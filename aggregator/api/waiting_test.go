package api

import (
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
