package influx_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// grown are the times of a member's samples, and what its counter has at them.
type grown struct {
	workload, pod string
	at            []time.Time
	v             []float64
}

// within is by how much a counter grew between samples of which the later is in (lo, hi]: between those that are at most five minutes apart, and between any.
func (g *grown) within(lo, hi time.Time) (least, most float64) {
	for i := 1; i < len(g.at); i++ {
		if g.at[i].After(lo) && !g.at[i].After(hi) {
			if most += g.v[i] - g.v[i-1]; g.at[i].Sub(g.at[i-1]) <= store.MaxInterval {
				least += g.v[i] - g.v[i-1]
			}
		}
	}
	return least, most
}

// TestGrowth holds growth to what was written, over windows just over and far over what is read raw, that end within an hour and within ten seconds, of each
// member, of workloads and of all: of one that goes on, of one with holes of twenty minutes, and of jobs of half an hour. Growth over
// the holes is in what the server adds up raw, and not in what is made of samples or of roll-ups.
func TestGrowth(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		h := newHistory(t, s, "growth")
		now := time.Now().Add(-2 * time.Minute).Truncate(10 * time.Second)
		start := now.Add(-75 * time.Hour)
		var all []*grown
		live := func(workload, pod string, from, to time.Time, cores func(i int) float64, there func(i int) bool) {
			g, v := &grown{workload: workload, pod: pod}, 5.0
			for i := 0; !from.Add(time.Duration(i) * 10 * time.Second).After(to); i++ {
				v += cores(i) * 10
				if there(i) {
					g.at, g.v = append(g.at, from.Add(time.Duration(i)*10*time.Second)), append(g.v, v)
				}
			}
			all = append(all, g)
		}
		always := func(int) bool { return true }
		live("steps", "s", start, now, func(i int) float64 { return float64(i*37%100) / 100 }, always)
		live("holes", "h", start.Add(3*time.Second), now, func(int) float64 { return 1 }, func(i int) bool { return i%720 < 600 })
		for i := range 150 {
			from := start.Add(time.Duration(i)*30*time.Minute + 7*time.Second)
			live("jobs", fmt.Sprint("j", i), from, from.Add(30*time.Minute-11*time.Second), func(int) float64 { return 2 }, always)
		}
		var lines []byte
		for _, g := range all {
			for i, at := range g.at {
				lines = fmt.Appendf(lines, "container,container=c,namespace=d,node=n,pod=%s,workload=%s,workload_kind=Job memory_working_set_bytes=40,cpu_usage_seconds_total=%g", g.pod, g.workload, g.v[i])
				if i > 0 && at.Sub(g.at[i-1]) <= store.MaxInterval {
					lines = fmt.Appendf(lines, ",cpu_usage_cores=%g", (g.v[i]-g.v[i-1])/10)
				}
				lines = fmt.Appendf(lines, " %d\n", at.UnixMilli())
			}
		}
		if err := h.write(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
		if err := newSetup(t, influx.SetupOptions{Conn: h.conn}).Backfill(t.Context(), start, now); err != nil {
			t.Fatal(err)
		}
		pieces, err := influx.NewReader(influx.ReaderOptions{Conn: h.conn, Piece: 7 * time.Hour, Timeout: 5 * time.Minute, MaxSamples: -1})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ window, step time.Duration }{
			{4 * time.Minute, time.Minute}, {time.Hour, 0}, {6*time.Hour + 10*time.Minute, 0}, {24 * time.Hour, 7 * time.Hour}, {48 * time.Hour, 0},
			{48*time.Hour + 10*time.Minute, 0}, {49 * time.Hour, 0}, {60*time.Hour + time.Second, 0}, {72 * time.Hour, 0}, {72 * time.Hour, time.Hour}, {36 * time.Hour, 12 * time.Hour},
		} {
			for _, end := range []time.Time{now, now.Add(-7 * time.Second), now.Truncate(time.Hour), now.Add(-40 * time.Minute)} {
				for _, by := range [][]string{nil, {"workload"}, {}} {
					for name, r := range map[string]*influx.Reader{"samples": h.Reader, "whole": h.adds, "pieces": pieces} {
						q := store.Query{Row: metric.CPUUsage, Level: metric.Container, Func: store.Increase, Start: end, End: end, Window: c.window, Step: c.step, By: by}
						if c.step > 0 {
							q.Start = end.Add(-2 * c.step)
						}
						if by == nil {
							q.Matchers = []store.Matcher{{Name: "workload", Op: store.NotEqual, Value: "jobs"}}
						}
						got, err := r.Query(t.Context(), q)
						if want := map[string]int{"[]": 1, "[workload]": 3}[fmt.Sprint(by)]; err != nil || len(got) != want && by != nil {
							t.Fatalf("%s: %v each %v up to %v by %q: %d series, %v", name, c.window, c.step, end, by, len(got), err)
						}
						near := 1e-6
						if max(c.window, q.End.Sub(q.Start)) > 48*time.Hour { // half an hour at the window's beginning
							near = 0.5/c.window.Hours() + 0.002
						}
						for i := range got {
							for _, x := range got[i].Samples {
								least, most, to := 0.0, 0.0, time.UnixMilli(x.T)
								for _, g := range all {
									if by != nil && len(by) == 0 || g.workload == got[i].Label("workload") {
										l, m := g.within(to.Add(-c.window), to)
										least, most = least+l, most+m
									}
								}
								if name == "samples" && c.window <= 48*time.Hour {
									most = least
								}
								if x.V < least*(1-near)-1e-6 || x.V > most*(1+near)+1e-6 {
									t.Errorf("%s: %v each %v up to %v by %q, %s, %v ago: got %.6g, want %.6g to %.6g", name, c.window, c.step, end.Format(time.TimeOnly), by, got[i].Label("workload"), now.Sub(to), x.V, least, most)
								}
							}
						}
						if by == nil && !slices.ContainsFunc(got, func(s store.Series) bool { return s.Label("workload") == "steps" }) {
							t.Errorf("%s: %v each %v: %v", name, c.window, c.step, got)
						}
					}
				}
			}
		}
		from := now.Add(-60 * time.Hour).Truncate(time.Hour)
		for fn, want := range map[store.Func]float64{store.Count: 1, store.Sum: 40} { // a sample at the end of the hours is in none of them
			got, err := h.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Func: fn, Start: from, End: now, Matchers: []store.Matcher{{Name: "workload", Op: store.Equal, Value: "steps"}}})
			if want *= now.Sub(from).Seconds()/10 + 1; err != nil || len(got) != 1 || got[0].Samples[0].V != want {
				t.Errorf("%s: got %v, %v, want %g", fn, got, err, want)
			}
		}
	})
}
