package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// notFinite tests that NaN and the infinities are left out and cost their neighbours nothing.
func (s *suite) notFinite() {
	e := container("d", "p", "c")
	g := metric.Group{Entity: e}
	for i, v := range []float64{1, math.NaN(), math.Inf(1), math.Inf(-1), math.Float64frombits(0x7ff0000000000002), 2} {
		g.Points = append(g.Points, metric.Point{ID: metric.MemoryWorkingSet, T: s.ms(float64(10 + i)), V: v})
	}
	s.batch(s.at(20), g)
	s.settle()
	s.want(s.query(func(q *store.Query) { q.Func = store.Count }), "container", map[string][]point{"c": {{60, 2}}})
	s.want(s.query(func(q *store.Query) { q.Func = store.Sum }), "container", map[string][]point{"c": {{60, 3}}})
}

// strange tests that what can never be stored is left out, is no error, and spoils nothing.
func (s *suite) strange() {
	e := container("d", "p", "c")
	at := s.ms(10)
	s.batch(s.at(10),
		metric.Group{}, // no entity
		metric.Group{Entity: e},
		metric.Group{Entity: e, Points: []metric.Point{
			{ID: 60000, T: at, V: 1},            // no such row
			{ID: metric.Replicas, T: at, V: 1},  // not at this level
			{ID: metric.MemoryWorkingSet, V: 1}, // 1970
			{ID: metric.MemoryWorkingSet, T: math.MaxInt64, V: 1},
			{ID: metric.MemoryWorkingSet, T: math.MinInt64, V: 1},
			{ID: metric.MemoryWorkingSet, T: at, V: 5},
		}},
		metric.Group{Entity: &metric.Entity{Level: 77}, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at, V: 1}}},
	)
	if err := s.Append(context.Background(), &metric.Batch{Gaps: []metric.Gap{{}, {Entity: e}}}); err != nil {
		s.Errorf("gap without a time: %v", err)
	}
	if err := s.Append(context.Background(), &metric.Batch{}); err != nil {
		s.Errorf("empty batch: %v", err)
	}
	s.put(e, metric.MemoryWorkingSet, point{20, 6})
	got := s.query(func(q *store.Query) { q.Func = store.Sum })
	s.want(got, "container", map[string][]point{"c": {{60, 11}}})
}

// labelValues tests values that need quoting, are not ASCII, are long, or are not even UTF-8.
func (s *suite) labelValues() {
	values := []string{`quote " and \ backslash`, "line\nbreak\ttab", "größe 漢字 🚢", strings.Repeat("long/", 800), "{},=~", "'`$(", "bad\ufffd~88cefa6086ed62ba"}
	for i, v := range values {
		s.put(container("d", v, "c"), metric.MemoryWorkingSet, point{10, float64(i + 1)})
	}
	for i, v := range values {
		got := s.query(func(q *store.Query) { q.Matchers = []store.Matcher{{Name: "pod", Op: store.Equal, Value: v}} })
		s.want(got, "pod", map[string][]point{v: {{60, float64(i + 1)}}})
	}
	s.put(container("broken\xff\xfeutf8", "p", ""), metric.MemoryWorkingSet, point{10, 50})
	if got := s.query(func(q *store.Query) { q.By = []string{"pod"} }); len(got) != len(values)+1 {
		s.Errorf("got %d pods, want %d", len(got), len(values)+1)
	}
}

func (s *suite) badQueries() {
	good := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: s.base, End: s.at(60), Func: store.Last}
	for name, f := range map[string]func(*store.Query){
		"unknown row":          func(q *store.Query) { q.Row = 60000 },
		"no such level":        func(q *store.Query) { q.Level = 99 },
		"row not at level":     func(q *store.Query) { q.Row = metric.Replicas },
		"end before start":     func(q *store.Query) { q.End = s.at(-1) },
		"no times":             func(q *store.Query) { q.Start, q.End = time.Time{}, time.Time{} },
		"negative step":        func(q *store.Query) { q.Step = -time.Second },
		"negative window":      func(q *store.Query) { q.Window = -time.Second },
		"step under 1 ms":      func(q *store.Query) { q.Step = time.Microsecond },
		"no function":          func(q *store.Query) { q.Func = "" },
		"unknown function":     func(q *store.Query) { q.Func = "median" },
		"rate of a gauge":      func(q *store.Query) { q.Func = store.Rate },
		"rate over of a gauge": func(q *store.Query) { q.RateOver = time.Minute },
		"rate of a rate":       func(q *store.Query) { q.Row, q.Func, q.RateOver = metric.CPUUsage, store.Rate, time.Minute },
		"quantile over 1":      func(q *store.Query) { q.Func, q.Q = store.Quantile, 1.5 },
		"quantile NaN":         func(q *store.Query) { q.Func, q.Q = store.Quantile, math.NaN() },
		"join with rate":       func(q *store.Query) { q.By, q.Join = []string{}, store.Rate },
		"not a label":          func(q *store.Query) { q.By = []string{"a b"} },
		"the metric name":      func(q *store.Query) { q.Matchers = []store.Matcher{{Name: "__name__", Op: store.Equal, Value: "up"}} },
		"not a matcher":        func(q *store.Query) { q.Matchers = []store.Matcher{{Name: "pod", Op: "<", Value: "1"}} },
		"not a regexp":         func(q *store.Query) { q.Matchers = []store.Matcher{{Name: "pod", Op: store.Regexp, Value: "("}} },
		"label injection":      func(q *store.Query) { q.By = []string{"pod) or (up"} },
		"negative limit":       func(q *store.Query) { q.Limit = -1 },
	} {
		q := good
		f(&q)
		if got, err := s.Query(context.Background(), q); !errors.Is(err, store.ErrBadQuery) {
			s.Errorf("%s: got %v and error %v, want ErrBadQuery", name, got, err)
		}
	}
}

func (s *suite) limits() {
	for i := range 5 {
		s.put(container("d", "p", fmt.Sprint(i)), metric.MemoryWorkingSet, point{10, 1}, point{20, 1})
	}
	q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: s.base, End: s.at(20), Step: 10 * time.Second, Func: store.Last}
	q.Limit = 9
	if _, err := s.Query(context.Background(), q); !errors.Is(err, store.ErrTooLarge) {
		s.Errorf("10 points, limit 9: got error %v, want ErrTooLarge", err)
	}
	q.Limit = 10
	if _, err := s.Query(context.Background(), q); err != nil {
		s.Errorf("10 points, limit 10: %v", err)
	}
	q.Limit, q.Start, q.Step = 0, s.at(-30*24*3600), time.Second
	if _, err := s.Query(context.Background(), q); !errors.Is(err, store.ErrTooLarge) {
		s.Errorf("2.6 million steps: got error %v, want ErrTooLarge", err)
	}
}

func (s *suite) cancelled() {
	e := container("d", "p", "c")
	s.put(e, metric.MemoryWorkingSet, point{10, 1})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: s.base, End: s.at(60), Func: store.Last}
	if _, err := s.Query(ctx, q); !errors.Is(err, context.Canceled) {
		s.Errorf("Query: got error %v, want context.Canceled", err)
	}
	b := &metric.Batch{Node: "n1", Time: s.at(20), Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: s.ms(20), V: 7}}}}}
	if err := s.Append(ctx, b); !errors.Is(err, context.Canceled) {
		s.Errorf("Append: got error %v, want context.Canceled", err)
	}
	s.settle()
	s.want(s.query(nil), "container", map[string][]point{"c": {{60, 1}}})
}

// concurrent tests appends of several nodes at once with queries between them: every acknowledged sample is
// there in the end, and no query sees a value that was never written.
func (s *suite) concurrent() {
	const nodes, ticks = 4, 50
	var wg sync.WaitGroup
	done := make(chan struct{})
	for n := range nodes {
		e := container("d", fmt.Sprint("p", n), "c")
		wg.Go(func() {
			for i := range ticks {
				b := &metric.Batch{Node: fmt.Sprint("n", n), Time: s.at(float64(i)), Groups: []metric.Group{{Entity: e, Points: []metric.Point{
					{ID: metric.MemoryWorkingSet, T: s.ms(float64(i)), V: 1}}}}}
				if err := s.Append(context.Background(), b); err != nil {
					s.Errorf("Append: %v", err)
				}
			}
		})
	}
	var readers sync.WaitGroup
	q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: s.base, End: s.at(ticks), Func: store.Max}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := s.Query(context.Background(), q)
				if err != nil {
					s.Errorf("Query: %v", err)
					return
				}
				for i := range got {
					if v := got[i].Samples[0].V; v != 1 {
						s.Errorf("got value %g, want 1", v)
					}
				}
			}
		})
	}
	wg.Wait()
	close(done)
	readers.Wait()
	s.settle()
	got := s.query(func(x *store.Query) { x.Func, x.By = store.Count, []string{} })
	s.want(got, "", map[string][]point{"": {{60, nodes * ticks}}})
}

// closed tests that a closed store says so, and that closing twice is no error.
func (s *suite) closed() {
	e := container("d", "p", "c")
	s.put(e, metric.MemoryWorkingSet, point{10, 1})
	if err := s.Close(); err != nil {
		s.Fatalf("Close: %v", err)
	}
	if err := s.Close(); err != nil {
		s.Errorf("second Close: %v", err)
	}
	ctx := context.Background()
	q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: s.base, End: s.at(60), Func: store.Last}
	_, qerr := s.Query(ctx, q)
	for name, err := range map[string]error{
		"Append": s.Append(ctx, &metric.Batch{}), "Query": qerr, "AppendDecision": s.AppendDecision(ctx, cluster.Decision{Time: s.base}),
	} {
		if !errors.Is(err, store.ErrClosed) {
			s.Errorf("%s after Close: got error %v, want ErrClosed", name, err)
		}
	}
}
