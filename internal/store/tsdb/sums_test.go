package tsdb

import (
	"fmt"
	"math"
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

// TestSumsOfLives: a member that was away, of which an end was said or that merely has no samples, is not counted meanwhile: a sum of one alone has the
// mean of its samples, however far a window reaches back, and what comes and goes beside others counts for as long as it was there.
func TestSumsOfLives(t *testing.T) {
	for _, said := range []bool{true, false} {
		db := mustOpen(t, Options{})
		base := time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
		put := func(pod string, at float64, v float64, gap bool) {
			e := &metric.Entity{Level: metric.Container, Node: "n", Namespace: "d", Pod: pod, Container: "c", Workload: "w", WorkloadKind: "Deployment"}
			when := base.Add(time.Duration(at * float64(time.Second)))
			b := &metric.Batch{Node: "n", Time: when}
			if gap {
				b.Gaps = []metric.Gap{{Entity: e, Reason: "gone"}}
			} else {
				b.Groups = []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: when.UnixMilli(), V: v}}}}
			}
			must(t, db.Append(t.Context(), b))
		}
		ask := func(back time.Duration, matchers []store.Matcher, by ...string) float64 {
			got, err := db.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: base.Add(20*time.Minute - back), End: base.Add(20 * time.Minute),
				Func: store.Avg, By: by, Matchers: matchers})
			must(t, err)
			if len(got) != 1 || len(got[0].Samples) != 1 {
				t.Fatalf("got %v, want one point", got)
			}
			return got[0].Samples[0].V
		}
		// One that lived for 45 s, was taken as it ended, came back after 13 s and lived for 60 s.
		for _, at := range []float64{1003, 1013, 1023, 1033} {
			put("one", at, 64, false)
		}
		put("one", 1043, 2, false)
		if said {
			put("one", 1053, 0, true)
		}
		for _, at := range []float64{1063, 1073, 1083, 1093, 1103, 1113} {
			put("one", at, 64, false)
		}
		want := (64.*10 + 2) / 11
		for _, back := range []time.Duration{5 * time.Minute, 9 * time.Minute, 10 * time.Minute, time.Hour, 7 * 24 * time.Hour} {
			only := []store.Matcher{{Name: "pod", Op: store.Equal, Value: "one"}}
			if got := ask(back, only, "pod"); math.Abs(got-want) > 1e-9 {
				t.Errorf("one alone over %s, its end said %v: got %g, want %g", back, said, got, want)
			}
			if got := ask(back, only); math.Abs(got-want) > 1e-9 {
				t.Errorf("one alone over %s without by, its end said %v: got %g, want %g", back, said, got, want)
			}
		}
		if !said {
			continue
		}
		// One of 100 for the whole time; beside it one of 60 that comes for 20 s and is away for 100 s, ten times.
		for at := 0.0; at < 1200; at += 10 {
			put("whole", at+5, 100, false)
		}
		for life := range 10 {
			at := float64(life * 120)
			put("often", at+8, 60, false)
			put("often", at+18, 60, false)
			put("often", at+28, 0, true)
		}
		pods := []store.Matcher{{Name: "pod", Op: store.Regexp, Value: "whole|often"}}
		for _, back := range []time.Duration{20 * time.Minute, time.Hour, 7 * 24 * time.Hour} {
			if got := ask(back, pods, "workload"); math.Abs(got-110) > 0.6 {
				t.Errorf("lives over %s: got %g, want 110", back, got)
			}
		}
	}
}

// TestNewestOfThePresent: at the present edge nobody knows yet who has ended. Who has missed a sample counts while that may still come, but not beside
// one that has begun since, nor when its end was said.
func TestNewestOfThePresent(t *testing.T) {
	now := time.Now().Truncate(time.Minute)
	put := func(db *DB, pod string, from, to float64, gap bool) {
		e := &metric.Entity{Level: metric.Container, Node: "n", Namespace: "d", Pod: pod, Container: "c", Workload: "w", WorkloadKind: "Deployment"}
		for s := from; s <= to; s += 10 {
			at := now.Add(time.Duration(s * float64(time.Second)))
			must(t, db.Append(t.Context(), &metric.Batch{Node: "n", Time: at, Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 100}}}}}))
		}
		if gap {
			must(t, db.Append(t.Context(), &metric.Batch{Node: "n", Time: now, Gaps: []metric.Gap{{Entity: e, Reason: "gone"}}}))
		}
	}
	for _, f := range []struct {
		name     string
		last     float64 // of the pod that may have ended, seconds before now
		gap      bool
		follower float64 // first sample of another; 0: there is none
		want     float64
	}{
		{"goes on", 4, false, 0, 200},
		{"is late", 13, false, 0, 200},
		{"is too late", 17, false, 0, 100},
		{"has ended", 4, true, 0, 100},
		{"has a follower", 12, false, 1, 200},
		{"has ended, and a follower", 4, true, 1, 200},
	} {
		db := mustOpen(t, Options{Now: func() time.Time { return now }})
		put(db, "always", -303, -3, false)
		put(db, "one", -f.last-300, -f.last, f.gap)
		if f.follower > 0 {
			put(db, "other", -f.follower, -f.follower, false)
		}
		got, err := db.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: now.Add(-time.Hour), End: now, Func: store.Last, By: []string{"workload"}})
		must(t, err)
		if len(got) != 1 || len(got[0].Samples) != 1 || got[0].Samples[0].V != f.want {
			t.Errorf("%s: got %v, want %g", f.name, got, f.want)
		}
	}
}

// TestSumsOfTheWindowAlone: the greatest and the least of a sum are of what was in the window, and of nothing before it, however the window lies to the moments and at whatever pace
// the member is read.
func TestSumsOfTheWindowAlone(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
	paces := []int{10, 15, 20, 30}
	for _, every := range paces {
		e := &metric.Entity{Level: metric.Container, Node: "n", Namespace: fmt.Sprint("d", every), Pod: "p", Container: "c"}
		for s := 0; s < 3600; s += every {
			at, v := base.Add(time.Duration(s)*time.Second), 100.0
			if s < 600 {
				v = 900
			}
			must(t, db.Append(t.Context(), &metric.Batch{Node: "n", Time: at, Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: v}}}}}))
		}
	}
	for _, window := range []int{60, 61, 300, 307, 421, 600, 1003} {
		for from := 600; from < 900; from += 7 {
			for _, fn := range []store.Func{store.Max, store.Min} {
				end := base.Add(time.Duration(from+window) * time.Second)
				got, err := db.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end, End: end, Window: time.Duration(window) * time.Second, Func: fn, By: []string{"namespace"}})
				must(t, err)
				if len(got) != len(paces) {
					t.Fatalf("%d series, want %d", len(got), len(paces))
				}
				for _, s := range got {
					if s.Samples[0].V != 100 {
						t.Errorf("%s of %v over %d s from %d s on: got %g, want 100", fn, s.Labels, window, from, s.Samples[0].V)
					}
				}
			}
		}
	}
}
