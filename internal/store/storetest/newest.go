package storetest

import (
	"fmt"
	"math"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// newest tests that the newest value of a sum is that of those who are there at the newest moment of a window: of a pod and the one that came
// after it only one, whatever part of the window each had; of pods that have ended by then those that were there at last; and all that are there,
// whenever in the last ten seconds each was looked at.
func (s *suite) newest() {
	of := func(workload, pod string) *metric.Entity {
		e := container("d", pod, "c")
		e.Workload, e.WorkloadKind = workload, "Deployment"
		return e
	}
	same := func(float64) float64 { return 100 }
	const end, turn = newestEnd, newestTurn
	s.level(of("web", "web-a"), 0, turn-10, same)
	s.level(of("web", "web-b"), turn, end, same)
	s.level(of("web", "web-c"), 0, end, same)
	s.level(of("grown", "g1"), 4, end, same)
	s.level(of("grown", "g2"), 3527, end, same)
	s.level(of("grown", "g3"), 1, end, same)
	for i, phase := range []float64{0, 3, 7} {
		s.level(of("ended", fmt.Sprint("e", i)), phase, 1200+phase, same)
	}
	for i := range 20 { // a minute each, and two minutes between
		s.level(of("jobs", fmt.Sprint("j", i)), float64(i)*180, float64(i)*180+60, same)
	}
	one := func(name string, want map[string]float64, f func(*store.Query)) {
		s.Helper()
		got := s.newestOf(f)
		for w, v := range want {
			if ps := got[w]; len(ps) != 1 || math.Abs(ps[0].v-v) > 1e-9 {
				s.Errorf("%s of workload %s: got %v, want %g", name, w, ps, v)
			}
		}
		if len(got) != len(want) {
			s.Errorf("%s: got %v, want %d workloads", name, got, len(want))
		}
	}
	all := map[string]float64{"web": 200, "grown": 300, "ended": 300, "jobs": 100}
	for _, back := range []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} {
		one("newest of "+back.String(), all, func(q *store.Query) { q.Start = s.at(end).Add(-back) })
	}
	one("count", map[string]float64{"web": 2, "grown": 3, "ended": 3, "jobs": 1}, func(q *store.Query) { q.Join = store.Count })
	one("mean", map[string]float64{"web": 100, "grown": 100, "ended": 100, "jobs": 100}, func(q *store.Query) { q.Join = store.Avg })
	s.newestAround()
}

// newestTurn is when one follows another, and newestEnd when all end, in seconds.
const newestTurn, newestEnd = 1800, 3590

// newestOf are the points of each workload.
func (s *suite) newestOf(f func(*store.Query)) map[string][]point {
	s.Helper()
	got := map[string][]point{}
	for _, x := range s.query(func(q *store.Query) {
		q.By, q.End = []string{"workload"}, s.at(newestEnd)
		f(q)
	}) {
		for _, p := range x.Samples {
			got[x.Label("workload")] = append(got[x.Label("workload")], point{float64(p.T-s.base.UnixMilli()) / 1000, p.V})
		}
	}
	return got
}

// newestAround asks for windows that end at, after and long after the moment at which one follows another, one by one and in steps.
func (s *suite) newestAround() {
	bridged := func(at float64) bool { // an ended one may still count
		after := at - (newestTurn - 10)
		return after >= 0 && after <= s.o.Bridged.Seconds()
	}
	for _, to := range []float64{0, 5, 10, 20, 30, 60, 300, 590} {
		for _, back := range []float64{60, 600, 1790} {
			at := newestTurn + to
			got := s.newestOf(func(q *store.Query) { q.Start, q.End = s.at(at-back), s.at(at) })["web"]
			if len(got) != 1 || math.Abs(got[0].v-200) > 1e-9 && !bridged(at) {
				s.Errorf("newest of %g s, %g s after one follows another: got %v, want 200", back, to, got)
			}
		}
	}
	for name, f := range map[string]func(*store.Query){
		"every ten minutes":                 func(q *store.Query) { q.Step = 10 * time.Minute },
		"every ten minutes of half an hour": func(q *store.Query) { q.Step, q.Window = 10*time.Minute, 30*time.Minute },
		"every ten seconds of a minute":     func(q *store.Query) { q.Step, q.Window = 10*time.Second, time.Minute },
		"every 25 seconds":                  func(q *store.Query) { q.Step = 25 * time.Second },
	} {
		got := s.newestOf(func(q *store.Query) {
			q.Start = s.at(600)
			f(q)
		})
		if len(got["web"]) < 5 {
			s.Errorf("%s: got %v", name, got["web"])
		}
		for w, want := range map[string]float64{"web": 200, "jobs": 100} {
			for _, p := range got[w] {
				if p.v != want && !bridged(p.at) {
					s.Errorf("%s of workload %s, at %g s: got %g, want %g", name, w, p.at, p.v, want)
				}
			}
		}
	}
}
