package storetest

import (
	"fmt"
	"math"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// functions tests every function over one window, both ends included.
func (s *suite) functions() {
	s.put(container("d", "p", "c"), metric.MemoryWorkingSet, point{0, 4}, point{10, 1}, point{20, 3}, point{30, 2}, point{40, 10})
	f := func(fn store.Func, q, want float64) {
		s.Helper()
		got := s.query(func(x *store.Query) { x.Func, x.Q, x.End = fn, q, s.at(40) })
		s.want(got, "container", map[string][]point{"c": {{40, want}}})
	}
	f(store.Last, 0, 10)
	f(store.Avg, 0, 4)
	f(store.Max, 0, 10)
	f(store.Min, 0, 1)
	f(store.Sum, 0, 20)
	f(store.Count, 0, 5)
	f(store.Quantile, 0, 1)
	f(store.Quantile, 0.5, 3)
	f(store.Quantile, 1, 10)
}

// steps tests where points are and how far each looks back.
func (s *suite) steps() {
	s.put(container("d", "p", "c"), metric.MemoryWorkingSet, point{5, 1}, point{15, 2}, point{25, 3}, point{35, 4})
	got := s.query(func(q *store.Query) { q.Step, q.End, q.Func = 10*time.Second, s.at(40), store.Sum })
	s.want(got, "container", map[string][]point{"c": {{10, 1}, {20, 2}, {30, 3}, {40, 4}}})
	got = s.query(func(q *store.Query) {
		q.Step, q.Window, q.End, q.Func = 20*time.Second, 30*time.Second, s.at(50), store.Count
	})
	s.want(got, "container", map[string][]point{"c": {{20, 2}, {40, 3}}})
	got = s.query(func(q *store.Query) { q.Window, q.End, q.Func = 22*time.Second, s.at(36), store.Sum })
	s.want(got, "container", map[string][]point{"c": {{36, 9}}})
}

// joins tests every way to join series.
func (s *suite) joins() {
	for i, v := range []float64{1, 2, 6} {
		s.put(container("d", "p", string(rune('a'+i))), metric.MemoryWorkingSet, point{10, v})
	}
	f := func(join store.Func, want float64) {
		s.Helper()
		got := s.query(func(q *store.Query) { q.By, q.Join = []string{}, join })
		s.want(got, "container", map[string][]point{"": {{60, want}}})
		if len(got) == 1 && len(got[0].Labels) != 0 {
			s.Errorf("joining all left labels %v", got[0].Labels)
		}
	}
	f("", 9)
	f(store.Sum, 9)
	f(store.Avg, 3)
	f(store.Max, 6)
	f(store.Min, 1)
	f(store.Count, 3)
}

// named asks of things of every level, by the label that names them and only of those with it.
func (s *suite) named() {
	for _, name := range []string{"blue", "green"} {
		for _, e := range []metric.Entity{{Level: metric.Namespace, Namespace: name}, {Level: metric.Node, Node: name}, {Level: metric.Pool, Pool: name}} {
			s.put(&e, metric.MemoryWorkingSet, point{10, float64(len(name)) + 10*float64(e.Level)})
		}
	}
	for _, l := range []metric.Level{metric.Namespace, metric.Node, metric.Pool} {
		blue, green := point{60, 4 + 10*float64(l)}, point{60, 5 + 10*float64(l)}
		label := l.String()
		got := s.query(func(q *store.Query) { q.Level, q.By = l, []string{label} })
		s.want(got, label, map[string][]point{"blue": {blue}, "green": {green}})
		got = s.query(func(q *store.Query) {
			q.Level, q.Matchers = l, []store.Matcher{{Name: label, Op: store.Equal, Value: "blue"}}
		})
		s.want(got, label, map[string][]point{"blue": {blue}})
	}
}

func (s *suite) groupBy() {
	s.put(container("d", "p1", "a"), metric.MemoryWorkingSet, point{10, 1})
	s.put(container("d", "p1", "b"), metric.MemoryWorkingSet, point{10, 2})
	s.put(container("d", "p2", "a"), metric.MemoryWorkingSet, point{10, 4})
	s.put(container("e", "p1", "a"), metric.MemoryWorkingSet, point{10, 8})
	by := func(labels ...string) []store.Series {
		s.Helper()
		return s.query(func(q *store.Query) { q.By = labels })
	}
	s.want(by("namespace"), "namespace", map[string][]point{"d": {{60, 7}}, "e": {{60, 8}}})
	s.want(by("container"), "container", map[string][]point{"a": {{60, 13}}, "b": {{60, 2}}})
	s.want(by("workload"), "workload", map[string][]point{"": {{60, 15}}})
	got := by("pod", "namespace")
	if len(got) != 3 {
		s.Errorf("by pod and namespace: got %d series, want 3", len(got))
	}
	for i := range got {
		if ls := got[i].Labels; len(ls) != 2 || ls[0].Name != "namespace" || ls[1].Name != "pod" {
			s.Errorf("labels %v: want namespace and pod, sorted", ls)
		}
	}
}

func (s *suite) matchers() {
	s.put(container("d", "web-1", "a"), metric.MemoryWorkingSet, point{10, 1})
	s.put(container("d", "web-2", "a"), metric.MemoryWorkingSet, point{10, 2})
	s.put(container("d", "db", "a"), metric.MemoryWorkingSet, point{10, 4})
	f := func(op store.MatchOp, name, value string, want float64) {
		s.Helper()
		got := s.query(func(q *store.Query) {
			q.By, q.Matchers = []string{}, []store.Matcher{{Name: name, Op: op, Value: value}}
		})
		if want == 0 {
			s.want(got, "", map[string][]point{})
			return
		}
		s.want(got, "", map[string][]point{"": {{60, want}}})
	}
	f(store.Equal, "pod", "web-1", 1)
	f(store.NotEqual, "pod", "web-1", 6)
	f(store.Regexp, "pod", "web-.*", 3)
	f(store.Regexp, "pod", "web", 0) // the whole value
	f(store.NotRegexp, "pod", "web-.*", 4)
	f(store.Regexp, "pod", "web-1|db", 5)
	f(store.Equal, "workload", "", 7) // a label that is not there is empty
	f(store.NotEqual, "workload", "", 0)
	f(store.Equal, "pod", `no"such\pod`, 0)
}

// fixedAndSub tests rows that share a name, and rows with a label of their own.
func (s *suite) fixedAndSub() {
	e := container("d", "p", "c")
	s.put(e, metric.MemoryPageFaults, point{10, 100})
	s.put(e, metric.MemoryMajorPageFaults, point{10, 7})
	s.batch(s.at(10), metric.Group{Entity: e, Points: []metric.Point{
		{ID: metric.NetworkReceive, Sub: "eth0", T: s.ms(10), V: 1}, {ID: metric.NetworkReceive, Sub: "eth1", T: s.ms(10), V: 2}}})
	s.settle()
	row := func(id metric.ID) []store.Series {
		s.Helper()
		return s.query(func(q *store.Query) { q.Row = id })
	}
	s.want(row(metric.MemoryPageFaults), "container", map[string][]point{"c": {{60, 100}}})
	s.want(row(metric.MemoryMajorPageFaults), "container", map[string][]point{"c": {{60, 7}}})
	if s.o.SubSummed {
		s.want(row(metric.NetworkReceive), "interface", map[string][]point{"": {{60, 3}}})
		return
	}
	s.want(row(metric.NetworkReceive), "interface", map[string][]point{"eth0": {{60, 1}}, "eth1": {{60, 2}}})
}

// levels tests that one row's values at two levels stay apart.
func (s *suite) levels() {
	s.put(container("d", "p", "c"), metric.MemoryPageFaults, point{10, 1})
	s.put(&metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "d", Pod: "p"}, metric.MemoryPageFaults, point{10, 2})
	s.put(&metric.Entity{Level: metric.Node, Node: "n1"}, metric.MemoryPageFaults, point{10, 3})
	for level, want := range map[metric.Level]float64{metric.Container: 1, metric.Pod: 2, metric.Node: 3} {
		got := s.query(func(q *store.Query) { q.Row, q.Level = metric.MemoryPageFaults, level })
		s.want(got, "node", map[string][]point{"n1": {{60, want}}})
	}
}

// gap tests that no point is made up where there are no samples.
func (s *suite) gap() {
	var ps []point
	for at := 10.0; at <= 300; at += 10 {
		if at <= 100 || at > 200 {
			ps = append(ps, point{at, at})
		}
	}
	s.put(container("d", "p", "c"), metric.MemoryWorkingSet, ps...)
	got := s.query(func(q *store.Query) { q.Start, q.End, q.Step = s.at(10), s.at(300), 10*time.Second })
	s.want(got, "container", map[string][]point{"c": ps})
}

// rate tests that a counter's rate is per second and that a reset is not a drop.
func (s *suite) rate() {
	var ps []point
	v := 1000.0
	for at := 0.0; at <= 300; at += 10 {
		if at == 150 {
			v = 0
		}
		ps = append(ps, point{at, v})
		v += 20
	}
	s.put(container("d", "p", "c"), metric.CPUUsage, ps...)
	got := s.query(func(q *store.Query) {
		q.Row, q.Func = metric.CPUUsage, store.Rate
		q.Start, q.End, q.Step, q.Window = s.at(60), s.at(300), 30*time.Second, time.Minute
	})
	if len(got) != 1 || len(got[0].Samples) != 9 {
		s.Fatalf("got %v, want one series of 9 points", got)
	}
	for _, x := range got[0].Samples {
		at := float64(x.T-s.base.UnixMilli()) / 1000
		if at >= 150 && at < 210 { // the reset is in the window: between the rate without the lost step and with it
			if x.V < 2*0.8 || x.V > 2*(1+s.o.Rate) {
				s.Errorf("rate at %gs across the reset: got %g, want about 2", at, x.V)
			}
			continue
		}
		if math.Abs(x.V-2) > 2*s.o.Rate {
			s.Errorf("rate at %gs: got %g, want 2", at, x.V)
		}
	}
}

// rateOver tests functions of a counter's rate: half the time at 1 per second, half at 3.
func (s *suite) rateOver() {
	var ps []point
	v := 0.0
	for at := 0.0; at <= 1200; at += 10 {
		ps = append(ps, point{at, v})
		if at < 600 {
			v += 10
		} else {
			v += 30
		}
	}
	s.put(container("d", "p", "c"), metric.CPUUsage, ps...)
	f := func(fn store.Func, quantile, want float64) {
		s.Helper()
		got := s.query(func(q *store.Query) {
			q.Row, q.Func, q.Q, q.RateOver, q.Start, q.End = metric.CPUUsage, fn, quantile, time.Minute, s.at(90), s.at(1200)
		})
		if len(got) != 1 || len(got[0].Samples) != 1 {
			s.Fatalf("%s: got %v, want one point", fn, got)
		}
		if v := got[0].Samples[0].V; math.Abs(v-want) > want*(s.o.Rate+0.05) {
			s.Errorf("%s of the rate: got %g, want %g", fn, v, want)
		}
	}
	f(store.Max, 0, 3)
	f(store.Min, 0, 1)
	f(store.Avg, 0, 2)
	f(store.Quantile, 0.95, 3)
	f(store.Quantile, 0.1, 1)
}

// anew tests containers made one after the other under one name, each with a cgroup and an image of its own, of 100 MB each: at no moment
// and over no window do they add up, and the counter of each successor begins again. A namespace's own value is its own.
func (s *suite) anew() {
	const lives, each = 6, 600.0
	for life := range lives {
		e := container("d", "p", "c")
		e.Workload, e.WorkloadKind = "w", "Docker"
		e.ID, e.Image = fmt.Sprint("/docker/", life), fmt.Sprint("img:", life)
		for at := 0.0; at < each; at += 10 {
			t := float64(life)*each + at
			s.batch(s.at(t), metric.Group{Entity: e, Start: s.at(float64(life) * each), Points: []metric.Point{
				{ID: metric.MemoryWorkingSet, T: s.ms(t), V: 1e8}, {ID: metric.CPUUsage, T: s.ms(t), V: 0.5 * at}}})
		}
	}
	s.settle()
	end := lives*each - 10
	hour := func(f func(q *store.Query)) []store.Series {
		s.Helper()
		return s.query(func(q *store.Query) {
			q.Start, q.End, q.Func = s.at(0), s.at(end), store.Avg
			f(q)
		})
	}
	for _, by := range []string{"container", "pod", "workload", "namespace"} {
		got := hour(func(q *store.Query) { q.By = []string{by} })
		s.want(got, "", map[string][]point{"": {{end, 1e8}}})
		for _, fn := range []store.Func{store.Avg, store.Max, store.Last, store.Min} {
			got = hour(func(q *store.Query) { q.By, q.Func, q.Step = []string{by}, fn, 1190*time.Second })
			for _, x := range got {
				for _, v := range x.Samples {
					if v.V != 1e8 {
						s.Errorf("%s by %s at %g s: got %g, want 1e8", fn, by, float64(v.T-s.base.UnixMilli())/1000, v.V)
					}
				}
			}
			if len(got) != 1 {
				s.Errorf("%s by %s: got %d series, want 1", fn, by, len(got))
			}
		}
	}
	got := hour(func(q *store.Query) {}) // not joined: one line
	s.want(got, "container", map[string][]point{"c": {{end, 1e8}}})
	for i := range got {
		if got[i].Label("id") != "" || got[i].Label("image") != "" {
			s.Errorf("labels %v: neither the cgroup nor the image are", got[i].Labels)
		}
	}
	got = hour(func(q *store.Query) {
		q.Row, q.Func, q.By, q.Step, q.Window, q.Start = metric.CPUUsage, store.Rate, []string{"pod"}, 100*time.Second, 200*time.Second, s.at(200)
	})
	if len(got) != 1 || len(got[0].Samples) < 30 {
		s.Fatalf("rate: got %v, want one line over the whole hour", got)
	}
	for _, x := range got[0].Samples {
		if math.Abs(x.V-0.5) > 0.5*s.o.Rate {
			s.Errorf("rate at %g s: got %g, want 0.5", float64(x.T-s.base.UnixMilli())/1000, x.V)
		}
	}
	// 25 s, an hour and a week that end with the last sample, and with the bucket in which that lies.
	for _, back := range []time.Duration{25 * time.Second, time.Hour, 7 * 24 * time.Hour} {
		for _, to := range []float64{end, end + 15} {
			for _, by := range [][]string{nil, {"pod"}, {"workload"}, {"namespace"}, {}} {
				for fn, want := range map[store.Func]float64{store.Avg: 1e8, store.Max: 1e8, store.Min: 1e8, store.Last: 1e8, store.Rate: 0.5} {
					got := s.query(func(q *store.Query) {
						q.Start, q.End, q.Func, q.By = s.at(to).Add(-back), s.at(to), fn, by
						if fn == store.Rate {
							q.Row = metric.CPUUsage
						}
					})
					if len(got) != 1 || len(got[0].Samples) != 1 || math.Abs(got[0].Samples[0].V-want) > want*s.o.Rate*1e-3 {
						s.Errorf("%s by %q over %s up to %g s: got %v, want one point of %g", fn, by, back, to, got, want)
					}
				}
			}
		}
	}
}

// late tests samples that come up to an hour after newer ones.
func (s *suite) late() {
	e := container("d", "p", "c")
	s.put(e, metric.MemoryWorkingSet, point{3600, 4})
	s.put(e, metric.MemoryWorkingSet, point{1800, 2}, point{60, 1}, point{1810, 3})
	s.put(container("d", "p", "other"), metric.MemoryWorkingSet, point{70, 9})
	got := s.query(func(q *store.Query) {
		q.End, q.Func, q.By = s.at(3600), store.Sum, []string{"container"}
	})
	s.want(got, "container", map[string][]point{"c": {{3600, 10}}, "other": {{3600, 9}}})
	got = s.query(func(q *store.Query) { q.Start, q.End, q.Step = s.at(1800), s.at(1830), 10*time.Second })
	s.want(got, "container", map[string][]point{"c": {{1800, 2}, {1810, 3}}})
}

// duplicates tests that a resend changes nothing.
func (s *suite) duplicates() {
	e := container("d", "p", "c")
	for range 3 {
		s.put(e, metric.MemoryWorkingSet, point{10, 1}, point{20, 2}, point{30, 3})
	}
	again := *e // an equal entity with another pointer is the same thing
	s.put(&again, metric.MemoryWorkingSet, point{30, 3}, point{40, 4})
	got := s.query(func(q *store.Query) { q.Func = store.Sum })
	s.want(got, "container", map[string][]point{"c": {{60, 10}}})
	got = s.query(func(q *store.Query) { q.Func = store.Count })
	s.want(got, "container", map[string][]point{"c": {{60, 4}}})
}

// nothing tests that nothing comes of nothing, without an error.
func (s *suite) nothing() {
	s.put(container("d", "p", "c"), metric.MemoryWorkingSet, point{10, 1})
	for name, f := range map[string]func(*store.Query){
		"another row":   func(q *store.Query) { q.Row = metric.MemoryRSS },
		"another level": func(q *store.Query) { q.Level = metric.Cluster },
		"before":        func(q *store.Query) { q.Start, q.End = s.at(-600), s.at(-300) },
		"joined":        func(q *store.Query) { q.Start, q.End, q.By = s.at(-600), s.at(-300), []string{} },
	} {
		if got := s.query(f); len(got) != 0 {
			s.Errorf("%s: got %v, want nothing", name, got)
		}
	}
	if d := cmp.Diff(1, len(s.query(nil))); d != "" {
		s.Errorf("the sample itself: %s", d)
	}
}
