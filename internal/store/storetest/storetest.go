// Package storetest is the acceptance test of package store's contract. Every backend passes it.
package storetest

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Options say how a backend differs where the contract lets it.
type Options struct {
	// Settle waits until what was appended can be read, for backends that are eventually consistent. Nil: at once.
	Settle func(t *testing.T)
	// Rate is the relative error that rates may have: engines differ in how they treat a window's ends. Zero: 0.05.
	Rate float64
	// Increase is the relative error that a growth may have. Zero: none.
	Increase float64
	// NoLate, NoDecisions and NoRateOver leave out what a backend cannot do.
	NoLate, NoDecisions, NoRateOver bool
	// Bridged is how long an interval of a counter may count as the newest after its end. Zero: it counts where it ends.
	Bridged time.Duration
	// Multiples says that RateOver's rates end on whole multiples of it in Unix time, and not of the query's grid.
	Multiples bool
	// SubSummed says that a backend keeps of a row with a label of its own (interface, device) the sum over it, without the label.
	SubSummed bool
	// Base is the time of the first sample. Zero: three hours ago, in whole minutes. A backend with a retention of its
	// own must keep it.
	Base time.Time
}

// Run tests a backend. open opens an empty one for each test and closes it with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) store.Store, o Options) {
	if o.Rate == 0 {
		o.Rate = 0.05
	}
	if o.Base.IsZero() {
		o.Base = time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
	}
	tests := []struct {
		name string
		skip bool
		run  func(*suite)
	}{
		{"functions", false, (*suite).functions},
		{"steps", false, (*suite).steps},
		{"joins", false, (*suite).joins},
		{"group by", false, (*suite).groupBy},
		{"names of levels", false, (*suite).named},
		{"matchers", false, (*suite).matchers},
		{"fixed labels and sub", false, (*suite).fixedAndSub},
		{"levels", false, (*suite).levels},
		{"gap", false, (*suite).gap},
		{"rate and reset", false, (*suite).rate},
		{"function of a rate", o.NoRateOver, (*suite).rateOver},
		{"rate of lives", false, (*suite).rateLives},
		{"rate of the young", false, (*suite).rateYoung},
		{"rate joined", false, (*suite).rateJoined},
		{"gauge joined", false, (*suite).gaugeJoined},
		{"sum of brief members", false, (*suite).brief},
		{"newest of a sum", false, (*suite).newest},
		{"increase", false, (*suite).increase},
		{"made anew", false, (*suite).anew},
		{"late", o.NoLate, (*suite).late},
		{"duplicates", false, (*suite).duplicates},
		{"not finite", false, (*suite).notFinite},
		{"strange samples", false, (*suite).strange},
		{"label values", false, (*suite).labelValues},
		{"nothing there", false, (*suite).nothing},
		{"bad queries", false, (*suite).badQueries},
		{"limits", false, (*suite).limits},
		{"cancelled", false, (*suite).cancelled},
		{"concurrent", false, (*suite).concurrent},
		{"decisions", o.NoDecisions, (*suite).decisions},
		{"decisions filtered", o.NoDecisions, (*suite).decisionsFiltered},
		{"closed", false, (*suite).closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.skip {
				t.Skip("the backend does not do this")
			}
			tt.run(&suite{T: t, Store: open(t), o: o, base: o.Base})
		})
	}
}

// suite is one test with its own store.
type suite struct {
	*testing.T
	store.Store
	o    Options
	base time.Time
}

// at returns the time so many seconds after the base.
func (s *suite) at(seconds float64) time.Time {
	return s.base.Add(time.Duration(seconds * float64(time.Second)))
}

// ms is at in Unix milliseconds.
func (s *suite) ms(seconds float64) int64 { return s.at(seconds).UnixMilli() }

// point is one sample at so many seconds after the base.
type point struct{ at, v float64 }

// put appends points of one row of an entity, each in a batch of its own, and settles.
func (s *suite) put(e *metric.Entity, id metric.ID, points ...point) {
	s.Helper()
	for _, p := range points {
		s.batch(s.at(p.at), metric.Group{Entity: e, Points: []metric.Point{{ID: id, T: s.ms(p.at), V: p.v}}})
	}
	s.settle()
}

func (s *suite) batch(at time.Time, groups ...metric.Group) {
	s.Helper()
	if err := s.Append(context.Background(), &metric.Batch{Node: "n1", Time: at, Groups: groups}); err != nil {
		s.Fatalf("Append: %v", err)
	}
}

func (s *suite) settle() {
	if s.o.Settle != nil {
		s.o.Settle(s.T)
	}
}

// query runs a query over the working set of containers; f changes it.
func (s *suite) query(f func(q *store.Query)) []store.Series {
	s.Helper()
	q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: s.base, End: s.at(60), Func: store.Last}
	if f != nil {
		f(&q)
	}
	got, err := s.Query(context.Background(), q)
	if err != nil {
		s.Fatalf("Query(%+v): %v", q, err)
	}
	return got
}

// want compares an answer with points, by the value of one label of each series ("" where it has none).
func (s *suite) want(got []store.Series, label string, want map[string][]point) {
	s.Helper()
	have := map[string][]point{}
	for i := range got {
		var ps []point
		for _, x := range got[i].Samples {
			ps = append(ps, point{float64(x.T-s.base.UnixMilli()) / 1000, x.V})
		}
		name := got[i].Label(label)
		if _, twice := have[name]; twice {
			s.Errorf("two series with %s=%q", label, name)
		}
		have[name] = ps
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) })
	if d := cmp.Diff(want, have, near, cmp.AllowUnexported(point{})); d != "" {
		s.Errorf("by %q, want -, got +:\n%s", label, d)
	}
}

// container makes a container's entity.
func container(namespace, pod, name string) *metric.Entity {
	return &metric.Entity{Level: metric.Container, Node: "n1", Namespace: namespace, Pod: pod, Container: name,
		ID: "/" + namespace + "/" + pod + "/" + name, Runtime: "docker", Image: "img:1"}
}
