package collector

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Readers of batches rely on one group for each entity: what an extra measured joins what the reader found.
func TestMergeKeepsOneGroupForEachEntity(t *testing.T) {
	a, b := &metric.Entity{Container: "a"}, &metric.Entity{Container: "b"}
	began := time.Unix(100, 0)
	point := func(v float64) metric.Point { return metric.Point{ID: metric.CPUUsage, T: 1, V: v} }
	got := merge(
		[]metric.Group{{Entity: a, Points: []metric.Point{point(1)}}},
		[]metric.Group{{Entity: b, Points: []metric.Point{point(2)}}, {Entity: a, Start: began, Points: []metric.Point{point(3)}}, {Entity: b, Points: []metric.Point{point(4)}}},
	)
	want := []metric.Group{
		{Entity: a, Start: began, Points: []metric.Point{point(1), point(3)}},
		{Entity: b, Points: []metric.Point{point(2), point(4)}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("merge (-want +got):\n%s", d)
	}
}
