package tsdb

import (
	"fmt"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// TestSumsAreExact: pods that follow one another on machines whose samples come at other seconds, and that miss one now and then, are one, at
// every moment and as their mean; over an hour, over a week, in steps, and where windows overlap.
func TestSumsAreExact(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
	for life := range 6 {
		e := &metric.Entity{Level: metric.Container, Node: fmt.Sprint("n", life), Namespace: "d", Pod: fmt.Sprint("p", life), Container: "c", Workload: "w", WorkloadKind: "Deployment"}
		for i := range 60 {
			if i%17 == 5 {
				continue // missed
			}
			at := base.Add(time.Duration(life*600+i*10+life)*time.Second + time.Duration(i%3)*time.Millisecond)
			must(t, db.Append(t.Context(), &metric.Batch{Node: e.Node, Time: at, Groups: []metric.Group{{Entity: e,
				Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1e8}}}}}))
		}
	}
	end := base.Add(time.Hour)
	f := func(name string, points int, f func(*store.Query)) {
		t.Helper()
		for _, fn := range []store.Func{store.Max, store.Avg, store.Min} {
			q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: base, End: end, Func: fn, By: []string{"workload"}}
			f(&q)
			got, err := db.Query(t.Context(), q)
			must(t, err)
			if len(got) != 1 || len(got[0].Samples) != points {
				t.Fatalf("%s over %s: got %v, want one series of %d points", fn, name, got, points)
			}
			for _, x := range got[0].Samples {
				if x.V != 1e8 {
					t.Errorf("%s over %s: got %g, want 1e8", fn, name, x.V)
				}
			}
		}
	}
	f("an hour", 1, func(*store.Query) {})
	f("an odd hour", 1, func(q *store.Query) {
		q.Start, q.End = q.Start.Add(7003*time.Millisecond), q.End.Add(-4501*time.Millisecond)
	})
	f("a week", 1, func(q *store.Query) { q.Start = end.Add(-7 * 24 * time.Hour) })
	f("steps", 6, func(q *store.Query) { q.Start, q.Step = base.Add(10*time.Minute), 10*time.Minute })
	f("windows", 5, func(q *store.Query) {
		q.Start, q.Step, q.Window = base.Add(20*time.Minute), 10*time.Minute, 20*time.Minute
	})
}
