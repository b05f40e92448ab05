package storetest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// core gives a container's counter that grows by one a second, with a sample every ten seconds from one moment to another, both included.
func (s *suite) core(e *metric.Entity, from, to float64) []float64 {
	var ps []point
	var at []float64
	for t := from; t <= to; t += 10 {
		ps = append(ps, point{t, 7 + t - from})
		at = append(at, t)
	}
	s.put(e, metric.CPUUsage, ps...)
	return at
}

// rateLives tests that one core is one core, wherever there are two samples, however much of a window they fill: at a birth, around a hole,
// at an end, and where another of the same name begins again; and that there is nothing where there are not two.
func (s *suite) rateLives() {
	type life struct{ from, to float64 }
	for name, lives := range map[string][]life{
		"born":      {{0, 600}},
		"dead":      {{-1200, 90}},
		"hole":      {{-600, 100}, {200, 600}},
		"long hole": {{-600, 100}, {410, 800}},
		"two only":  {{30, 40}},
		"one only":  {{30, 30}},
		"twice":     {{-600, 100}, {110, 400}},
	} {
		var at []float64
		e := container("d", "p", name)
		begins := map[float64]bool{} // samples that no interval ends in
		for i, l := range lives {
			if continued := i > 0 && name != "twice"; continued { // the counter went on
				var ps []point
				for t := l.from; t <= l.to; t += 10 {
					ps = append(ps, point{t, 7 + t - lives[0].from})
					at = append(at, t)
				}
				s.put(e, metric.CPUUsage, ps...)
				begins[l.from] = l.from-lives[i-1].to > store.MaxInterval.Seconds()
				continue
			}
			at = append(at, s.core(e, l.from, l.to)...)
			begins[l.from] = true
		}
		for _, window := range []float64{10, 40, 60, 300, 3600, 7 * 24 * 3600} {
			ends := func(from, to float64) bool { // whether an interval ends in (from, to]
				return slices.ContainsFunc(at, func(x float64) bool { return x > from && x <= to && !begins[x] })
			}
			got := s.query(func(q *store.Query) {
				q.Row, q.Func, q.Matchers = metric.CPUUsage, store.Rate, []store.Matcher{{Name: "container", Op: store.Equal, Value: name}}
				q.Start, q.End, q.Step, q.Window = s.at(0), s.at(840), 10*time.Second, time.Duration(window)*time.Second
			})
			have := map[float64]float64{}
			for i := range got {
				for _, x := range got[i].Samples {
					have[float64(x.T-s.base.UnixMilli())/1000] = x.V
				}
			}
			for t := 0.0; t <= 840; t += 10 {
				v, some := have[t]
				switch must := ends(t-window, t); {
				case must && !some, some && !must && !ends(t-window-s.o.Bridged.Seconds(), t):
					s.Errorf("%s over %g s, at %g s: got a rate %t, want %t", name, window, t, some, must)
				case some && math.Abs(v-1) > 1e-9:
					s.Errorf("%s over %g s, at %g s: got %g, want 1", name, window, t, v)
				}
			}
		}
	}
}

// rateYoung tests one point over 25 s, an hour and a week of which a container has lived 25 s, by itself, joined, and as a function of its rate.
func (s *suite) rateYoung() {
	s.core(container("d", "p", "c"), 0, 20)
	for _, back := range []time.Duration{25 * time.Second, time.Hour, 7 * 24 * time.Hour} {
		one := func(name string, f func(q *store.Query)) {
			s.Helper()
			got := s.query(func(q *store.Query) {
				q.Row, q.Func, q.End, q.Start = metric.CPUUsage, store.Rate, s.at(25), s.at(25).Add(-back)
				f(q)
			})
			if len(got) != 1 || len(got[0].Samples) != 1 || math.Abs(got[0].Samples[0].V-1) > 1e-9 {
				s.Errorf("%s over %s: got %v, want one point of 1", name, back, got)
			}
		}
		one("rate", func(*store.Query) {})
		one("rate by pod", func(q *store.Query) { q.By = []string{"pod"} })
		one("rate of all", func(q *store.Query) { q.By = []string{} })
		if s.o.NoRateOver || back < time.Minute {
			continue
		}
		for _, fn := range []store.Func{store.Avg, store.Max, store.Min, store.Last, store.Quantile} {
			one(fmt.Sprint(fn, " of the rate"), func(q *store.Query) {
				q.Func, q.Q, q.RateOver = fn, 0.5, time.Minute
				if s.o.Multiples {
					q.End = s.at(60)
				}
			})
		}
	}
}

// rateJoined tests that members of a sum count for as long as they were there: two at a time are two, and two one after the other are one.
func (s *suite) rateJoined() {
	of := func(workload, pod string) *metric.Entity {
		e := container("d", pod, "c")
		e.Workload, e.WorkloadKind = workload, "Deployment"
		return e
	}
	s.core(of("both", "a"), 0, 3300)
	s.core(of("both", "b"), 3, 3300)
	for i := range 5 {
		s.core(of("chain", fmt.Sprint("c", i)), float64(i)*660, float64(i)*660+650)
	}
	want := map[string]float64{"both": 2, "chain": 1}
	f := func(name string, f func(*store.Query)) {
		s.Helper()
		near := s.o.Rate
		if s.o.Multiples { // members that take turns within one part count as together
			near *= 2
		}
		got := s.query(func(q *store.Query) {
			q.Row, q.Func, q.By, q.End = metric.CPUUsage, store.Rate, []string{"workload"}, s.at(3300)
			f(q)
		})
		for i := range got {
			w := got[i].Label("workload")
			for _, x := range got[i].Samples {
				if math.Abs(x.V-want[w]) > want[w]*near {
					s.Errorf("%s of workload %s at %g s: got %g, want about %g", name, w, float64(x.T-s.base.UnixMilli())/1000, x.V, want[w])
				}
			}
		}
		if len(got) != 2 || len(got[0].Samples) == 0 || len(got[0].Samples) != len(got[1].Samples) {
			s.Errorf("%s: got %v, want two series", name, got)
		}
	}
	f("an hour", func(*store.Query) {})
	f("a week", func(q *store.Query) { q.Start = s.at(3300 - 7*24*3600) })
	f("every half hour", func(q *store.Query) { q.Start, q.Step = s.at(1500), 30*time.Minute })
	f("half an hour every ten minutes", func(q *store.Query) { q.Start, q.Step, q.Window = s.at(1500), 10*time.Minute, 30*time.Minute })
}

// increase tests that a counter's growth is what it grew by between samples, also over a window that it lived for a part of, and that windows
// that follow one another leave nothing out.
func (s *suite) increase() {
	e := container("d", "p", "c")
	s.put(e, metric.OOMKills, point{100, 0}, point{110, 0}, point{120, 2}, point{130, 2}, point{150, 5}, point{160, 0}, point{170, 1})
	f := func(want []point, f func(q *store.Query)) {
		s.Helper()
		got := s.query(func(q *store.Query) {
			q.Row, q.Func, q.Start, q.End = metric.OOMKills, store.Increase, s.at(0), s.at(180)
			f(q)
		})
		s.near(got, want)
	}
	f([]point{{180, 6}}, func(*store.Query) {})
	f([]point{{180, 6}}, func(q *store.Query) { q.Start = s.at(-24 * 3600) })
	f([]point{{120, 2}, {180, 4}}, func(q *store.Query) { q.Step, q.Start = time.Minute, s.at(60) })
}

// near compares the one series of an answer with points, within what rates may be off by.
func (s *suite) near(got []store.Series, want []point) {
	s.Helper()
	if len(got) != 1 || len(got[0].Samples) != len(want) {
		s.Errorf("got %v, want %v", got, want)
		return
	}
	for i, x := range got[0].Samples {
		if x.T != s.ms(want[i].at) || math.Abs(x.V-want[i].v) > s.o.Increase*want[i].v+1e-9 {
			s.Errorf("at %g s: got %g, want %g", want[i].at, x.V, want[i].v)
		}
	}
}
