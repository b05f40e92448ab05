package tsdb

import (
	"math"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// TestSumsOfRatesWeighIntervals: members of a sum of rates count for their intervals, of the time that is covered, and not for their samples: who takes over from
// another does not meet it.
func TestSumsOfRatesWeighIntervals(t *testing.T) {
	type life struct {
		node, pod string
		from, to  float64
	}
	for name, c := range map[string]struct {
		lives []life
		end   float64
		want  float64
		now   bool // it is asked at the end
	}{
		"moved":                                  {[]life{{"m1", "p", -40, -20}, {"m2", "p", -20, 0}}, 0, 1, false},
		"moved before":                           {[]life{{"m1", "p", -40, -20}, {"m2", "p", -20, 0}}, 60, 1, false},
		"one after another":                      {[]life{{"m1", "p", -600, -300}, {"m1", "q", -300, 0}}, 0, 1, false},
		"ended":                                  {[]life{{"m1", "p", -600, -300}, {"m1", "q", -300, 0}}, 15, 1, false},
		"overlapping":                            {[]life{{"m1", "p", -900, -300}, {"m2", "q", -600, 0}}, 0, 1210. / 900, false},
		"overlapping, with seconds of their own": {[]life{{"m1", "p", -900, -300}, {"m2", "q", -603, -3}}, 100, 1220. / 907, false},
		"together, with seconds of their own":    {[]life{{"m1", "p", -900, 0}, {"m2", "q", -907, -7}}, 0, 1807. / 907, false},
		"together, and the next is to come":      {[]life{{"m1", "p", -900, 0}, {"m2", "q", -907, -7}}, 0, 2 - 7./907, true},
	} {
		base := time.Now().Add(-time.Hour).Truncate(time.Minute)
		o := Options{}
		if c.now {
			o.Now = func() time.Time { return base }
		}
		db := mustOpen(t, o)
		at := func(s float64) time.Time { return base.Add(time.Duration(s * float64(time.Second))) }
		for _, l := range c.lives {
			e := &metric.Entity{Level: metric.Container, Node: l.node, Namespace: "d", Pod: l.pod, Container: "c", Workload: "w", WorkloadKind: "Deployment"}
			for s := l.from; s <= l.to; s += 10 {
				must(t, db.Append(t.Context(), &metric.Batch{Node: l.node, Time: at(s), Groups: []metric.Group{{Entity: e,
					Points: []metric.Point{{ID: metric.CPUUsage, T: at(s).UnixMilli(), V: 7 + s - l.from}}}}}))
			}
		}
		for _, back := range []time.Duration{3700 * time.Second, 24 * time.Hour, 7 * 24 * time.Hour} {
			got, err := db.Query(t.Context(), store.Query{Row: metric.CPUUsage, Level: metric.Container, Start: at(c.end).Add(-back), End: at(c.end), Func: store.Rate, By: []string{"workload"}})
			must(t, err)
			if len(got) != 1 || len(got[0].Samples) != 1 || math.Abs(got[0].Samples[0].V-c.want) > 1e-9 {
				t.Errorf("%s over %s: got %v, want %g", name, back, got, c.want)
			}
		}
	}
}
