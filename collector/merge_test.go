package collector

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Readers of batches rely on one group for each entity and one point for each row: what an extra measured joins what the reader found, and goes before it.
func TestMergeKeepsOneGroupForEachEntity(t *testing.T) {
	a, b := &metric.Entity{Container: "a"}, &metric.Entity{Container: "b"}
	began := time.Unix(100, 0)
	point := func(v float64) metric.Point { return metric.Point{ID: metric.ID(v), T: 1, V: v} }
	limit := func(sub string, v float64) metric.Point {
		return metric.Point{ID: metric.DiskRead, Sub: sub, T: 1, V: v}
	}
	got := merge(
		[]metric.Group{{Entity: a, Points: []metric.Point{point(1), limit("sda", 1), limit("sdb", 2)}}},
		[]metric.Group{{Entity: b, Points: []metric.Point{point(2)}}, {Entity: a, Start: began, Points: []metric.Point{point(3), limit("sda", 5)}}, {Entity: b, Points: []metric.Point{point(4)}}},
	)
	want := []metric.Group{
		{Entity: a, Start: began, Points: []metric.Point{point(1), limit("sdb", 2), point(3), limit("sda", 5)}},
		{Entity: b, Points: []metric.Point{point(2), point(4)}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("merge (-want +got):\n%s", d)
	}
}
