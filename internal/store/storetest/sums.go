package storetest

import (
	"fmt"
	"math"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// level gives a container's working set, with a sample every ten seconds from one moment to another, both included.
func (s *suite) level(e *metric.Entity, from, to float64, v func(t float64) float64) {
	var ps []point
	for t := from; t <= to; t += 10 {
		ps = append(ps, point{t, v(t)})
	}
	s.put(e, metric.MemoryWorkingSet, ps...)
}

// gaugeJoined tests that the greatest, the mean, the least and a high quantile of a sum are those of the sum over time, and not the sum of what each member had
// at some time: pods that came one after the other, pods that were there together, and two of which one was high while the other was low.
func (s *suite) gaugeJoined() {
	of := func(workload, pod string) *metric.Entity {
		e := container("d", pod, "c")
		e.Workload, e.WorkloadKind = workload, "Deployment"
		return e
	}
	same := func(v float64) func(float64) float64 { return func(float64) float64 { return v } }
	const end = 3590
	for i := range 6 {
		s.level(of("chain", fmt.Sprint("c", i)), float64(i)*600, float64(i)*600+590, same(100))
	}
	s.level(of("peak", "p1"), 0, 1790, func(t float64) float64 { return 100 + t/10 }) // killed at its highest
	s.level(of("peak", "p2"), 1800, end, same(100))
	s.level(of("both", "a"), 0, end, same(100))
	s.level(of("both", "b"), 0, end, same(50))
	high := func(from, to float64) func(float64) float64 {
		return func(t float64) float64 {
			if t >= from && t < to {
				return 100
			}
			return 10
		}
	}
	s.level(of("turns", "a"), 0, end, high(0, 1200))
	s.level(of("turns", "b"), 0, end, high(2400, 3600))
	s.level(of("half", "a"), 0, end, same(100))
	s.level(of("half", "b"), 1800, end, same(100))
	wants := map[store.Func]map[string]float64{
		store.Max: {"chain": 100, "peak": 279, "both": 150, "turns": 110, "half": 200},
		store.Avg: {"chain": 100, "peak": 144.75, "both": 150, "turns": 80, "half": 150},
		store.Min: {"chain": 100, "peak": 100, "both": 150, "turns": 20, "half": 100},
	}
	p95 := map[store.Func]map[string]float64{store.Quantile: {"chain": 100, "peak": 261, "both": 150, "turns": 110, "half": 200}}
	f := func(name string, near float64, wants map[store.Func]map[string]float64, f func(*store.Query)) {
		s.Helper()
		for fn, want := range wants {
			got := s.query(func(q *store.Query) {
				q.Func, q.By, q.End = fn, []string{"workload"}, s.at(end)
				f(q)
			})
			if len(got) != len(want) {
				s.Errorf("%s over %s: got %d series, want %d", fn, name, len(got), len(want))
			}
			for i := range got {
				w := got[i].Label("workload")
				if n := len(got[i].Samples); n != 1 {
					s.Errorf("%s over %s of workload %s: got %d points, want one", fn, name, w, n)
					continue
				}
				if v := got[i].Samples[0].V; math.Abs(v-want[w]) > want[w]*near {
					s.Errorf("%s over %s of workload %s: got %g, want about %g", fn, name, w, v, want[w])
				}
			}
		}
	}
	f("an hour", s.o.Rate, wants, func(*store.Query) {})
	f("an hour", s.o.Rate, p95, func(q *store.Query) { q.Q = 0.95 })
	f("a day", 2*s.o.Rate, wants, func(q *store.Query) { q.Start = s.at(end - 24*3600) })
	f("a week", 2*s.o.Rate, wants, func(q *store.Query) { q.Start = s.at(end - 7*24*3600) })
	for _, c := range []struct {
		start        float64
		step, window time.Duration
	}{{1790, 10 * time.Minute, 30 * time.Minute}, {575, time.Minute, time.Minute}, {1185, 5 * time.Minute, 5 * time.Minute}, {1187, 45 * time.Second, 45 * time.Second}} {
		s.chain(c.start, end, c.step, c.window)
	}
}

// chain tests that pods that come one after the other are one in every window.
func (s *suite) chain(start, end float64, step, window time.Duration) {
	s.Helper()
	for _, fn := range []store.Func{store.Max, store.Avg, store.Min} {
		got := s.query(func(q *store.Query) {
			q.Func, q.By, q.Start, q.End, q.Step, q.Window = fn, []string{"workload"}, s.at(start), s.at(end), step, window
			q.Matchers = []store.Matcher{{Name: "workload", Op: store.Equal, Value: "chain"}}
		})
		if n := int((end-start)/step.Seconds()) + 1; len(got) != 1 || len(got[0].Samples) != n {
			s.Fatalf("%s over %v every %v: got %v, want one series of %d points", fn, window, step, got, n)
		}
		near := s.o.Rate + 3*s.o.Bridged.Seconds()/window.Seconds() + 1e-9 // three of the chain end in half an hour
		for _, x := range got[0].Samples {
			if math.Abs(x.V-100) > 100*near {
				s.Errorf("%s over %v up to %g s: got %g, want about 100", fn, window, float64(x.T-s.base.UnixMilli())/1000, x.V)
			}
		}
	}
}

// brief tests sums of members none of which is there for long: jobs of half a minute, one each minute, are one at a time, and pods that were together for some
// minutes are all of them together, whatever the time that is asked for.
func (s *suite) brief() {
	of := func(workload, pod string) *metric.Entity {
		e := container("d", pod, "c")
		e.Workload, e.WorkloadKind = workload, "Job"
		return e
	}
	same := func(float64) float64 { return 100 }
	const end = 3595
	for i := range 60 {
		from := float64(i)*60 + 3
		s.level(of("jobs", fmt.Sprint("j", i)), from, from+30, same)
		s.core(of("jobs", fmt.Sprint("j", i)), from, from+30)
	}
	for _, p := range []string{"a", "b", "c"} {
		s.level(of("burst", p), 1203, 1403, same)
		s.core(of("burst", p), 1203, 1403)
	}
	for i, phase := range []float64{0, 3, 5, 8} { // four pods of machines that read at other seconds, each of them replaced once
		turn := 1200 + float64(i)*60 + phase
		for j, life := range [][2]float64{{phase + 20, turn - 10}, {turn, end + 10 + phase}} {
			pod := fmt.Sprint("r", i, "-", j)
			s.level(of("rolled", pod), life[0], life[1], same)
			s.core(of("rolled", pod), life[0], life[1])
		}
	}
	f := func(name string, wants map[string]float64, f func(*store.Query)) {
		s.Helper()
		q := func(q *store.Query) {
			q.By, q.End = []string{"workload"}, s.at(end)
			f(q)
		}
		got := s.query(q)
		if len(got) != 3 {
			s.Errorf("%s: got %d series, want three", name, len(got))
		}
		for i := range got {
			w := got[i].Label("workload")
			if wants[w] == 0 {
				continue
			}
			for _, x := range got[i].Samples {
				near := 2 * s.o.Rate * wants[w]
				if s.o.Bridged > 0 && w == "rolled" { // for some seconds the ended counts beside the begun
					near = 100 / 400. * wants[w]
				}
				if math.Abs(x.V-wants[w]) > near {
					s.Errorf("%s of workload %s up to %g s: got %g, want about %g", name, w, float64(x.T-s.base.UnixMilli())/1000, x.V, wants[w])
				}
			}
		}
	}
	f("last of every two minutes", map[string]float64{"jobs": 100, "burst": 300, "rolled": 400}, func(q *store.Query) { q.Func, q.Start, q.Step = store.Last, s.at(115), 2*time.Minute })
	for _, fn := range []store.Func{store.Avg, store.Max, store.Min, store.Quantile, store.Rate} {
		wants := map[string]float64{"jobs": 100, "burst": 300, "rolled": 400}
		as := func(q *store.Query) { q.Func, q.Q = fn, 0.95 }
		if fn == store.Rate {
			wants = map[string]float64{"jobs": 1, "burst": 3, "rolled": 4}
			as = func(q *store.Query) { q.Row, q.Func = metric.CPUUsage, fn }
		}
		f(fmt.Sprint(fn, " over an hour"), wants, func(q *store.Query) { as(q); q.Start = s.at(60) })
		if fn == store.Min { // of which the least is when they begin
			delete(wants, "rolled")
		}
		f(fmt.Sprint(fn, " over a day"), wants, func(q *store.Query) { as(q); q.Start = s.at(end - 24*3600) })
		f(fmt.Sprint(fn, " over ten minutes"), wants, func(q *store.Query) { as(q); q.Start, q.Step = s.at(end-3000), 10*time.Minute })
	}
}
