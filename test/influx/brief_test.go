package influx_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
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
				for way, r := range h.ways() {
					near := 0.05
					if way == "samples" && c.back < 48*time.Hour {
						near = 1e-6
					}
					got, err := r.Query(t.Context(), q)
					if err != nil || len(got) != 2 {
						t.Fatalf("%s: %s over %v each %v: %v, %v", way, fn, c.back, c.step, got, err)
					}
					for i := range got {
						want := map[string]float64{"jobs": 100, "burst": 300}[got[i].Label("workload")]
						for _, x := range got[i].Samples {
							if math.Abs(x.V-want) > near*want {
								t.Errorf("%s: %s of %s over %v each %v, %v ago: got %.1f, want %g", way, fn, got[i].Label("workload"), c.back, c.step, end.Sub(time.UnixMilli(x.T)), x.V, want)
							}
						}
					}
				}
			}
		}
	})
}

// TestPaces holds sums to what members that take turns, and members that are there at once, had together, who send more and less often than the server's interval says, in roll-ups too.
func TestPaces(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		h := newHistory(t, s, "paces")
		end := time.Now().Truncate(time.Hour)
		type members struct {
			every, life time.Duration // of which one comes after the other; zero: two are there all the time
			long        bool          // for days
		}
		all := map[string]members{}
		for _, m := range []members{
			{time.Second, 45 * time.Second, false}, {2 * time.Second, 30 * time.Second, false}, {3 * time.Second, 42 * time.Second, false}, {5 * time.Second, 290 * time.Second, false}, {10 * time.Second, 30 * time.Second, false},
			{15 * time.Second, 60 * time.Second, false}, {30 * time.Second, 60 * time.Second, false}, {time.Second, 0, false}, {3 * time.Second, 0, false}, {6 * time.Second, 0, false}, {7 * time.Second, 0, false}, {15 * time.Second, 0, false}, {30 * time.Second, 0, false},
			{5 * time.Second, 50 * time.Second, true}, {30 * time.Second, 0, true},
		} {
			all[fmt.Sprintf("every %v for %v %v", m.every, m.life, m.long)] = m
		}
		start := end.Add(-51 * time.Hour)
		var lines []byte
		for name, m := range all {
			from, pods := start, []int{0, 1}
			if !m.long {
				from = end.Add(-2 * time.Hour)
			}
			tag := strings.ReplaceAll(name, " ", `\ `)
			for at := from; at.Before(end); at = at.Add(m.every) {
				if m.life > 0 {
					pods = []int{int(at.Sub(from) / m.life)}
				}
				for _, pod := range pods {
					at := at.Add(time.Duration(500+rand.IntN(20)) * time.Millisecond)
					if m.life == 0 {
						at = at.Add(time.Duration(pod) * m.every / 3)
					}
					lines = fmt.Appendf(lines, "container,container=c,namespace=d,node=n,pod=%d,workload=%s,workload_kind=Job memory_working_set_bytes=100,cpu_usage_cores=100 %d\n", pod, tag, at.UnixMilli())
				}
			}
			for at := from; at.Before(end); at = at.Add(10 * time.Second) {
				lines = fmt.Appendf(lines, "workload,namespace=d,workload=%s,workload_kind=Job memory_working_set_bytes=%d,cpu_usage_cores=%[2]d %d\n", tag, 100*len(pods), at.UnixMilli())
			}
			for len(lines) > 0 {
				part := lines
				if len(part) > 4<<20 {
					part = part[:bytes.LastIndexByte(part[:4<<20], '\n')+1]
				}
				if err := h.write(t.Context(), part); err != nil {
					t.Fatal(err)
				}
				lines = lines[len(part):]
			}
		}
		if err := newSetup(t, influx.SetupOptions{Conn: h.conn}).Backfill(t.Context(), start, end); err != nil {
			t.Fatal(err)
		}
		for _, fn := range []store.Func{store.Avg, store.Min, store.Rate, store.Quantile} {
			for _, c := range []struct{ back, step, window time.Duration }{
				{10 * time.Minute, 0, 0}, {time.Hour, 0, 0}, {time.Hour, 5 * time.Minute, 5 * time.Minute}, {time.Hour, 4 * time.Minute, 6 * time.Minute}, {601 * time.Second, 0, 0}, {40 * time.Minute, 10 * time.Minute, 601 * time.Second}, {50 * time.Hour, 0, 0}, {50 * time.Hour, time.Hour, time.Hour},
			} {
				for _, off := range []time.Duration{0, 133 * time.Second} {
					q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-c.back - off), End: end.Add(-off), Step: c.step, Window: c.window, Func: fn, Q: 0.4, By: []string{"workload"}}
					if fn == store.Rate {
						q.Row = metric.CPUUsage
					}
					for way, r := range h.ways() {
						got, err := r.Query(t.Context(), q)
						if err != nil || len(got) != len(all) {
							t.Fatalf("%s: %s over %v each %v: %d series, %v", way, fn, c.back, c.step, len(got), err)
						}
						for i := range got {
							m := all[got[i].Label("workload")]
							if !m.long && c.back > 48*time.Hour {
								continue
							}
							want := 100.0
							if m.life == 0 {
								want = 200
							}
							near, low := 0.06, fn == store.Min && (m.life > 0 || m.every > 10*time.Second) // how far from it, and whether it may be below
							switch {
							case way == "samples" && c.back < 48*time.Hour:
								near, low = 1e-6, false
							case m.every == 3*time.Second && m.life > 0: // one in four moments has four samples, and three have three
								near = 0.15
							}
							for _, x := range got[i].Samples {
								if !low && math.Abs(x.V-want) > near*want || x.V > want*(1+near) {
									t.Errorf("%s: %s of %s over %v each %v, %v ago: got %.1f, want %g", way, fn, got[i].Label("workload"), c.back, c.step, end.Sub(time.UnixMilli(x.T)), x.V, want)
									break
								}
							}
						}
					}
				}
			}
		}
	})
}
