package api

import (
	"fmt"
	"testing"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
)

// The rows of a large cluster: what nodes show of their containers is counted in one pass.
func BenchmarkPicture(b *testing.B) {
	const machines, containers = 1000, 30_000
	nodes, items := make([]*live.Item, machines), make([]*live.Item, containers)
	for i := range nodes {
		nodes[i] = &live.Item{Entity: &metric.Entity{Level: metric.Node, Node: fmt.Sprint("n", i), ID: "/"}}
	}
	for i := range items {
		name := fmt.Sprint("c", i)
		items[i] = &live.Item{Entity: &metric.Entity{Level: metric.Container, Node: fmt.Sprint("n", i%machines), Namespace: "demo", Workload: "web", Pod: name, Container: name, ID: "/" + name}}
	}
	s := snapshotOf(nodes, items)
	for b.Loop() {
		if p := newPicture(s, newKills()); *p.node.Containers != containers {
			b.Fatalf("%d containers, want %d", *p.node.Containers, containers)
		}
	}
}
