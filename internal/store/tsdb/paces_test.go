package tsdb

import (
	"fmt"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// TestSumsOfTwoPaces: members of one sum that are read at different intervals, every second and every thirty, are together what they are, wherever a window begins
// and ends between two samples of the slow one.
func TestSumsOfTwoPaces(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
	put := func(pod string, every time.Duration, v float64) {
		e := &metric.Entity{Level: metric.Container, Node: pod, Namespace: "d", Pod: pod, Container: "c", Workload: "w", WorkloadKind: "Deployment"}
		for at := base; at.Before(base.Add(time.Hour)); at = at.Add(every) {
			must(t, db.Append(t.Context(), &metric.Batch{Node: e.Node, Time: at, Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: v}}}}}))
		}
	}
	put("fast", time.Second, 200)
	put("slow", 30*time.Second, 100)
	for _, window := range []time.Duration{time.Minute, 20 * time.Minute} {
		for shift := range 31 {
			for _, fn := range []store.Func{store.Min, store.Avg, store.Max} {
				start := base.Add(10*time.Minute + time.Duration(shift)*time.Second)
				got, err := db.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: start, End: start.Add(window), Func: fn, By: []string{"workload"}})
				must(t, err)
				if len(got) != 1 || len(got[0].Samples) != 1 || got[0].Samples[0].V != 300 {
					t.Errorf("%s over %v, %d s after the slow one's sample: got %v, want 300", fn, window, shift, got)
				}
			}
		}
	}
}

// TestSumsWhoseNewestIsToCome: the samples of four members come some seconds after their time; up to now their sum is what they are, and one that came after
// another is not beside it.
func TestSumsWhoseNewestIsToCome(t *testing.T) {
	base := time.Now().Add(-time.Hour).Truncate(time.Minute)
	for delay := range 5 {
		for now := range 10 {
			end := base.Add(time.Duration(300+now) * time.Second)
			db := mustOpen(t, Options{Now: func() time.Time { return end }})
			put := func(workload, pod string, from, to time.Time) {
				e := &metric.Entity{Level: metric.Container, Node: pod, Namespace: "d", Pod: pod, Container: "c", Workload: workload, WorkloadKind: "Deployment"}
				for at := from; !at.After(to); at = at.Add(10 * time.Second) {
					must(t, db.Append(t.Context(), &metric.Batch{Node: e.Node, Time: at, Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 100}}}}}))
				}
			}
			come := end.Add(-time.Duration(delay) * time.Second)
			for _, phase := range []int{0, 3, 5, 8} {
				put("four", fmt.Sprint("p", phase), base.Add(time.Duration(phase)*time.Second), come)
			}
			turn := come.Add(-12 * time.Second)
			put("chain", "first", base, turn)
			put("chain", "second", turn.Add(6*time.Second), come)
			for _, window := range []time.Duration{time.Minute, 4 * time.Minute} {
				for _, fn := range []store.Func{store.Min, store.Avg, store.Max} {
					got, err := db.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-window), End: end, Func: fn, By: []string{"workload"}})
					must(t, err)
					if len(got) != 2 || got[0].Samples[0].V != 100 || got[1].Samples[0].V != 400 {
						t.Errorf("%s over %v, samples come after %d s, %d s after the first one's: got %v, want 100 and 400", fn, window, delay, now, got)
					}
				}
			}
		}
	}
}
