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

// TestWhatGoesOn holds sums of members that were not all there at once to their truth in the newest window, of which a part has not been yet.
// One member of 100 is always there, two of 200 take turns, and in the last five minutes there is one of 1000: 300 at any moment, and 1300.
func TestWhatGoesOn(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		h := newHistory(t, s, "going")
		now := time.Now().Truncate(10 * time.Second)
		start, turn, late := now.Add(-75*time.Hour), now.Add(-20*time.Minute), now.Add(-5*time.Minute)
		const every = 10 * time.Second
		var lines []byte
		for at := start; !at.After(now); at = at.Add(every) {
			add := func(name string, v int) {
				lines = fmt.Appendf(lines, "container,container=%s,namespace=d,node=n,pod=p memory_working_set_bytes=%d,cpu_usage_cores=%d %d\n", name, v, v, at.UnixMilli())
			}
			add("always", 100)
			if at.After(turn) {
				add("second", 200)
			} else {
				add("first", 200)
			}
			if at.After(late) {
				add("late", 1000)
			}
		}
		if err := h.write(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
		if err := newSetup(t, influx.SetupOptions{Conn: h.conn}).Backfill(t.Context(), start, now); err != nil {
			t.Fatal(err)
		}
		const minute = time.Minute
		end := now.Add(150 * time.Second)
		hour := now.Truncate(time.Hour).Add(time.Hour) // roll-ups are of whole ones
		for _, f := range []store.Func{store.Avg, store.Min, store.Rate} {
			for _, c := range []struct {
				back, step, window time.Duration
				end                time.Time
			}{
				{2 * time.Hour, 10 * minute, 10 * minute, end},
				{2 * time.Hour, 10 * minute, 10 * minute, now},
				{7 * time.Hour, 10 * minute, 10 * minute, end},
				{7 * time.Hour, 30 * minute, time.Hour, end},
				{72 * time.Hour, time.Hour, time.Hour, hour},
				{72 * time.Hour, time.Hour, 2 * time.Hour, hour},
				{15 * minute, 0, 0, end},
				{7 * time.Hour, 0, 0, end},
				{72 * time.Hour, 0, 0, end},
			} {
				q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: c.end.Add(-c.back), End: c.end, Step: c.step, Window: c.window, Func: f, By: []string{"pod"}}
				if f == store.Rate {
					q.Row = metric.CPUUsage
				}
				window := max(c.window, c.step)
				if c.step == 0 {
					window = c.back
				}
				there := (window - c.end.Sub(now)).Minutes() // for how long there was anything
				if there < 7 {
					continue // the hour has just begun
				}
				want := 300.0
				if f != store.Min {
					want += 1000 * 5 / there
				}
				if f == store.Min && window == time.Hour && c.end.Equal(hour) && there < 10 {
					want += 1000 * (10 - there) / 5 // the mean of the hour's first five minutes, in which the late one came
				}
				for way, r := range h.ways() {
					got, err := r.Query(t.Context(), q)
					if err != nil || len(got) != 1 || len(got[0].Samples) == 0 {
						t.Fatalf("%s: %s over %v each %v: %v, %v", way, f, c.window, c.step, got, err)
					}
					want := want
					if way == "server" && f == store.Min && window == 10*minute && c.end.Equal(end) {
						want = 800 // the mean of five minutes, of which the late one was there for a half
					}
					last := got[0].Samples[len(got[0].Samples)-1]
					if last.T != c.end.UnixMilli() || math.Abs(last.V-want) > 0.04*want {
						t.Errorf("%s: %s over %v each %v to %v from now: got %.1f, want %.1f", way, f, window, c.step, c.end.Sub(now), last.V, want)
					}
					for _, x := range got[0].Samples[:max(len(got[0].Samples)-2, 0)] {
						if math.Abs(x.V-300) > 9 {
							t.Errorf("%s: %s over %v each %v, %v ago: got %.1f, want 300", way, f, window, c.step, now.Sub(time.UnixMilli(x.T)), x.V)
						}
					}
				}
			}
		}
	})
}

// TestYoungMember asks for a member that has just begun, whose first two samples are closer together than others: over each window it is what it is.
func TestYoungMember(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		h := newHistory(t, s, "young")
		now := time.Now().Truncate(10 * time.Second)
		start := now.Add(-207 * time.Second)
		var lines []byte
		for i, at := 0, start; !at.After(now); i++ {
			lines = fmt.Appendf(lines, "container,container=c,namespace=d,node=n,pod=young memory_working_set_bytes=100,cpu_usage_cores=100 %d\n", at.UnixMilli())
			if at = at.Add(10 * time.Second); i == 0 {
				at = start.Add(4 * time.Second)
			}
		}
		if err := h.write(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
		for _, f := range []store.Func{store.Avg, store.Min, store.Max, store.Rate} {
			for _, back := range []time.Duration{5 * time.Minute, 10 * time.Minute, time.Hour, 7 * 24 * time.Hour} {
				for age := 15 * time.Second; age < 220*time.Second; age += 7 * time.Second {
					end := start.Add(age)
					q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-back), End: end, Func: f, By: []string{"pod"}}
					if f == store.Rate {
						q.Row = metric.CPUUsage
					}
					for way, r := range h.ways() {
						got, err := r.Query(t.Context(), q)
						if err != nil || len(got) != 1 || len(got[0].Samples) != 1 || math.Abs(got[0].Samples[0].V-100) > 0.01 {
							t.Errorf("%s: %s over %v at the age of %v: %v, %v; want 100", way, f, back, age, got, err)
						}
					}
				}
			}
		}
	})
}
