package influx_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// TestBriefMembers holds sums of jobs of half a minute, one each minute, to what one of them has, in roll-ups of hours too: there the sums that servers keep tell
// for how long any was there. Beside them are three pods that were together for twenty minutes of each hour, which are three.
func TestBriefMembers(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		h := newHistory(t, s, "brief")
		end := time.Now().Truncate(time.Hour)
		start := end.Add(-75 * time.Hour)
		var lines []byte
		for at := start; at.Before(end); at = at.Add(10 * time.Second) {
			second := int(at.Sub(start) / time.Second)
			add := func(workload, pod string) {
				lines = fmt.Appendf(lines, "container,container=c,namespace=d,node=n,pod=%s,workload=%s,workload_kind=Job memory_working_set_bytes=100,cpu_usage_cores=100 %d\n", pod, workload, at.UnixMilli())
			}
			sum := func(workload string, v int) {
				lines = fmt.Appendf(lines, "workload,namespace=d,workload=%s,workload_kind=Job memory_working_set_bytes=%d,cpu_usage_cores=%d %d\n", workload, v, v, at.UnixMilli())
			}
			if end.Sub(at) < 20*time.Minute { // a server that began late has sums of all for a part of an hour
				lines = fmt.Appendf(lines, "cluster memory_working_set_bytes=400,cpu_usage_cores=400 %d\n", at.UnixMilli())
			}
			if second%60 <= 30 {
				add("jobs", fmt.Sprint("j", second/60))
				sum("jobs", 100)
			}
			if second%3600 >= 1200 && second%3600 < 2400 {
				for _, pod := range []string{"a", "b", "c"} {
					add("burst", pod)
				}
				sum("burst", 300)
			}
		}
		if err := h.write(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
		if err := newSetup(t, influx.SetupOptions{Conn: h.conn}).Backfill(t.Context(), start, end); err != nil {
			t.Fatal(err)
		}
		for _, fn := range []store.Func{store.Avg, store.Max, store.Min, store.Rate, store.Quantile} {
			for _, c := range []struct{ back, step, window time.Duration }{
				{time.Hour, 0, 0},
				{7 * time.Hour, 0, 0},
				{72 * time.Hour, 0, 0},
				{7 * time.Hour, 10 * time.Minute, time.Hour},
				{72 * time.Hour, time.Hour, time.Hour},
				{72 * time.Hour, time.Hour, 2 * time.Hour},
			} {
				q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-c.back), End: end, Step: c.step, Window: c.window, Func: fn, Q: 0.95, By: []string{"workload"}}
				if fn == store.Rate {
					q.Row = metric.CPUUsage
				}
				if fn == store.Max { // chosen, and not joined, by their names
					one := q
					one.By, one.Matchers = []string{}, []store.Matcher{{Name: "workload", Op: store.Equal, Value: "jobs"}}
					got, err := h.Query(t.Context(), one)
					if err != nil || len(got) != 1 || math.Abs(got[0].Samples[len(got[0].Samples)-1].V-100) > 5 {
						t.Errorf("%s of jobs alone over %v each %v: %v, %v, want 100", fn, c.back, c.step, got, err)
					}
				}
				got, err := h.Query(t.Context(), q)
				if err != nil || len(got) != 2 {
					t.Fatalf("%s over %v each %v: %v, %v", fn, c.back, c.step, got, err)
				}
				for i := range got {
					want := map[string]float64{"jobs": 100, "burst": 300}[got[i].Label("workload")]
					for _, x := range got[i].Samples {
						if math.Abs(x.V-want) > 0.05*want {
							t.Errorf("%s of %s over %v each %v, %v ago: got %.1f, want %g", fn, got[i].Label("workload"), c.back, c.step, end.Sub(time.UnixMilli(x.T)), x.V, want)
						}
					}
				}
			}
		}
	})
}
