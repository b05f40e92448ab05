package capacity

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx/influxql"
)

// limited is a history that answers a number of points at most: one series, whose value is the hour.
type limited struct {
	most  int
	asked int
	err   error
}

func (l *limited) Query(ctx context.Context, q store.Query) ([]store.Series, error) {
	l.asked++
	if _, err := q.Check(); err != nil {
		return nil, err
	}
	if q.Step == 0 {
		if n := int(q.Window / q.RateOver); n > l.most {
			return nil, fmt.Errorf("%d points: %w", n, l.err)
		}
		return []store.Series{{Samples: []store.Sample{{T: q.End.UnixMilli(), V: q.RateOver.Minutes()}}}}, nil
	}
	var s store.Series
	for t := q.Start; !t.After(q.End); t = t.Add(q.Step) {
		s.Samples = append(s.Samples, store.Sample{T: t.UnixMilli(), V: float64(t.Unix()) / 3600})
	}
	if len(s.Samples) > l.most {
		return nil, fmt.Errorf("%d points: %w", len(s.Samples), l.err)
	}
	return []store.Series{s}, nil
}

func TestAskingInHalves(t *testing.T) {
	g := fixtureGrid()
	q := store.Query{Row: metric.CPUUsage, Level: metric.Container, Func: store.Avg, RateOver: time.Minute}
	all, err := (&asker{&limited{most: 1000}, g}).ask(t.Context(), q, time.Hour)
	if err != nil || len(all[0].Samples) != 336 {
		t.Fatalf("%d points, %v; want 336", len(all[0].Samples), err)
	}
	for _, why := range []error{store.ErrTooLarge, context.DeadlineExceeded} {
		for _, most := range []int{335, 100, 7, 1} {
			got, err := (&asker{&limited{most: most, err: why}, g}).ask(t.Context(), q, time.Hour)
			if d := cmp.Diff(all, got); err != nil || d != "" {
				t.Errorf("at most %d points: %v\n%s", most, err, d)
			}
		}
	}
	if _, err := (&asker{&limited{most: 0, err: store.ErrTooLarge}, g}).ask(t.Context(), q, time.Hour); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a store that answers nothing: %v, want too large", err)
	}
	other := &limited{most: 1, err: store.ErrReadOnly}
	if _, err := (&asker{other, g}).ask(t.Context(), q, time.Hour); !errors.Is(err, store.ErrReadOnly) || other.asked != 1 {
		t.Errorf("asked %d times of a store that is out of order: %v", other.asked, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late := &limited{most: 1, err: context.DeadlineExceeded}
	if _, err := (&asker{late, g}).ask(ctx, q, time.Hour); err == nil || late.asked != 1 {
		t.Errorf("asked %d times for someone who has gone: %v", late.asked, err)
	}
	// One point over the whole window: the rates get coarser, 1 m to 4 to 16 to 60.
	coarse, err := (&asker{&limited{most: 14 * 24 * 60 / 16, err: store.ErrTooLarge}, g}).ask(t.Context(), q, 0)
	if err != nil || coarse[0].Samples[0].V != 16 {
		t.Errorf("%v, %v; want rates over 16 minutes", coarse, err)
	}
	if _, err := (&asker{&limited{most: 1, err: store.ErrTooLarge}, g}).ask(t.Context(), q, 0); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a store that answers nothing over the whole window: %v, want too large", err)
	}
}

// failing is a history that is out of order.
type failing struct{ err error }

func (f failing) Query(context.Context, store.Query) ([]store.Series, error) { return nil, f.err }

func TestHistoryOutOfOrder(t *testing.T) {
	s := emptySnapshot()
	if _, err := Capacity(t.Context(), failing{store.ErrReadOnly}, s, CapacityOptions{}); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("capacity: %v, want the store's error", err)
	}
	if _, err := Rightsize(t.Context(), failing{store.ErrClosed}, s, nil, RightsizeOptions{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("rightsize: %v, want the store's error", err)
	}
}

// counting counts the questions and answers nothing.
type counting struct{ asked chan store.Query }

func (c counting) Query(_ context.Context, q store.Query) ([]store.Series, error) {
	c.asked <- q
	_, err := q.Check()
	return nil, err
}

// TestFewQuestions holds the number of questions down, whatever runs.
func TestFewQuestions(t *testing.T) {
	c := counting{make(chan store.Query, 1000)}
	s := emptySnapshot()
	if _, err := Capacity(t.Context(), c, s, CapacityOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := len(c.asked); n != 35 {
		t.Errorf("capacity asks %d times, want 35", n)
	}
	for len(c.asked) > 0 {
		<-c.asked
	}
	if _, err := Rightsize(t.Context(), c, s, []cluster.Scaled{{Target: cluster.Target{Name: "w", Kind: "Deployment"}, Utilizations: []cluster.Utilization{{Resource: "cpu", Share: 0.5}, {Resource: "memory", Share: 0.5}}}}, RightsizeOptions{Namespace: "ns"}); err != nil {
		t.Fatal(err)
	}
	n := len(c.asked)
	if n != 11 {
		t.Errorf("rightsize asks %d times, want 11", n)
	}
	for range n {
		if q := <-c.asked; len(q.Matchers) == 0 || q.Matchers[0] != (store.Matcher{Name: "namespace", Op: store.Equal, Value: "ns"}) || len(q.By) != 4 && q.Level == metric.Container {
			t.Errorf("question %+v: want it narrowed to the namespace and joined by container", q)
		}
	}
}

// TestEveryStoreUnderstands renders every question for InfluxDB, with and without roll-ups; the embedded store has its own test.
func TestEveryStoreUnderstands(t *testing.T) {
	c := counting{make(chan store.Query, 1000)}
	s := emptySnapshot()
	for _, w := range []time.Duration{time.Hour, day, 3 * day, 14 * day, 400 * day} {
		if _, err := Capacity(t.Context(), c, s, CapacityOptions{Window: w}); err != nil {
			t.Fatal(err)
		}
		if _, err := Rightsize(t.Context(), c, s, []cluster.Scaled{{Target: cluster.Target{Name: "a.b*c", Kind: "Deployment"}, Utilizations: []cluster.Utilization{{Resource: "cpu", Share: 0.5}, {Resource: "memory", Share: 0.5}}}}, RightsizeOptions{Window: w}); err != nil {
			t.Fatal(err)
		}
	}
	hours := []influxql.Rollup{{Policy: "h", Suffix: "_1h", Every: time.Hour, Beyond: 48 * time.Hour, From: fixtureEnd.Add(-300 * day), Until: fixtureEnd.Add(-time.Hour)}}
	for range len(c.asked) {
		q, err := (<-c.asked).Check()
		if err != nil {
			t.Fatal(err)
		}
		for _, rollups := range [][]influxql.Rollup{nil, hours} {
			plan, err := influxql.Render(q, influxql.Options{Database: "d", Rollups: rollups})
			if err != nil || len(plan.Statements)+len(plan.List) == 0 {
				t.Errorf("%+v: %v", q, err)
			}
		}
	}
}
