package api

import (
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Machines are shown as the cluster says they are; one of which nothing was ever heard is there with the reason, which is told once and not for
// each of its pods.
func TestNodesOfACluster(t *testing.T) {
	now := time.Now()
	heard := &live.Item{Entity: &metric.Entity{Level: metric.Node, Node: "b", ID: "/"}, Values: []live.Value{{ID: metric.CPUUsage, Rate: 1, Window: time.Second}}}
	s := snapshotOf([]*live.Item{heard}, nil)
	s.Time = now
	for _, node := range []string{"a", "b", "d"} {
		s.Known = append(s.Known, live.Known{Pod: &cluster.Pod{Namespace: "shop", Name: "web-" + node, Node: node, Phase: "Running"}})
	}
	p := newPicture(s, newKills(),
		&cluster.Node{Name: "a", Pool: "big", Ready: "True", Since: now.Add(-time.Hour)},
		&cluster.Node{Name: "b", Ready: "True", Unschedulable: true, Pressure: []string{"MemoryPressure"}},
		&cluster.Node{Name: "c", Ready: "Unknown"})
	got := map[string]string{}
	for _, n := range p.nodes {
		reason := ""
		if n.Gap != nil {
			reason = n.Gap.Reason
		}
		got[n.Name] = n.Pool + " " + n.Status + " " + reason
	}
	for name, want := range map[string]string{"a": "big Ready unread", "b": " Ready,SchedulingDisabled,MemoryPressure ", "c": " NotReady unread"} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	if p.node.Gap == nil || p.node.Gap.Detail != "a: no collector on it was ever heard" || *p.node.CPU != 1 || len(p.node.Partial) != 1 {
		t.Errorf("together: %+v with gap %+v", p.node, p.node.Gap)
	}
	var told []string
	for _, m := range missing(s, p.unread()...) {
		told = append(told, m.Level+" "+m.Title+" "+m.Reason)
	}
	want := []string{"node a unread", "node c unread", "pod shop/web-b starting", "pod shop/web-d unread"} // of d the cluster has no machine
	for i := range max(len(told), len(want)) {
		if i >= len(told) || i >= len(want) || told[i] != want[i] && i > 1 {
			t.Fatalf("missing: got %q, want %q", told, want)
		}
	}
}
