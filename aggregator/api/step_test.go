package api

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// A week of which there are forty minutes of data is asked for as forty minutes; a step that is given is kept.
func TestStepFollowsTheData(t *testing.T) {
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a := newAPI(t, func(o *Options) { o.History = db })
	end := time.Now().Truncate(time.Minute)
	e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "d", Pod: "p", Container: "c"}
	for at := end.Add(-40 * time.Minute); !at.After(end); at = at.Add(10 * time.Second) {
		if err := db.Append(t.Context(), &metric.Batch{Node: "n1", Time: at, Groups: []metric.Group{{Entity: e, Points: []metric.Point{
			{ID: metric.CPUUsage, T: at.UnixMilli(), V: at.Sub(end).Seconds() + 1e6}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	f := func(back time.Duration, more string, wantStep float64, wantAtLeast int) {
		t.Helper()
		var got SeriesList
		path := fmt.Sprintf("/plimsoll/v1/series?metric=container_cpu_usage_seconds_total&start=%d&end=%d&%s", end.Add(-back).Unix(), end.Unix(), more)
		if err := json.Unmarshal(get(served(a), path).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Series) != 1 || len(got.Series[0].Points) < wantAtLeast || got.Step != wantStep {
			t.Errorf("%s of %s: %d series, step %g, %+v; want a step of %g and %d points at least", more, back, len(got.Series), got.Step, got.Series, wantStep, wantAtLeast)
			return
		}
		for i, p := range got.Series[0].Points {
			if p[1] < 0.999 || p[1] > 1.001 || got.Step > 0 && i > 0 && p[0]-got.Series[0].Points[i-1][0] != got.Step {
				t.Errorf("%s of %s: point %v, want 1 each %g s", more, back, p, got.Step)
			}
		}
	}
	f(7*24*time.Hour, "points=360", 10, 239)
	f(24*time.Hour, "points=360", 10, 239)
	f(30*24*time.Hour, "points=100", 30, 79)
	f(365*24*time.Hour, "points=360", 10, 239)
	f(30*365*24*time.Hour, "points=100", 30, 79)
	f(time.Duration(end.Unix())*time.Second, "points=360", 10, 239) // since 1970
	f(time.Hour, "points=360", 10, 239)
	f(20*time.Minute, "points=360", 10, 119)
	f(7*24*time.Hour, "step=1800", 0, 2)
}

// A range whose ends are far from any data is cut to where data can be, and its step is as long as the points need.
func TestFarEndsOfTime(t *testing.T) {
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a := newAPI(t, func(o *Options) { o.History = db })
	last := time.Now().Truncate(time.Minute)
	e := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}
	for at := last.Add(-10 * time.Minute); !at.After(last); at = at.Add(10 * time.Second) {
		if err := db.Append(t.Context(), &metric.Batch{Node: "n1", Time: at, Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 5}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		query     string
		wantSteps float64
		atLeast   int
	}{
		{"start=1970-01-01T00:00:00Z&end=9999-12-31T23:59:59Z&points=100", 86400, 1},
		{"start=0001-01-01T00:00:00Z&end=9999-12-31T23:59:59Z&points=10000", 86400, 1},
		{fmt.Sprintf("start=%d&end=4000000000&points=100", last.Add(-20*time.Minute).Unix()), 20, 25},
		{"start=1970-01-01T00:00:00Z&end=9999-12-31T23:59:59Z", 0, 1},
		{fmt.Sprintf("start=%d&end=9999-12-31T23:59:59Z&step=60", last.Add(-20*time.Minute).Unix()), 0, 10},
	} {
		rec := get(served(a), "/plimsoll/v1/series?metric=node_memory_working_set_bytes&"+c.query)
		var got SeriesList
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 200 {
			t.Errorf("%s: got %d %s", c.query, rec.Code, rec.Body)
			continue
		}
		if len(got.Series) != 1 || len(got.Series[0].Points) < c.atLeast || got.Step > c.wantSteps {
			t.Errorf("%s: step %g, %v; want at most %g and %d points", c.query, got.Step, got.Series, c.wantSteps, c.atLeast)
		}
	}
	q, err := a.withStep(t.Context(), store.Query{Row: metric.CPUUsage, Level: metric.Node, Func: store.Rate, Start: time.Unix(0, 0), End: time.Now()}, 100)
	if n := q.End.Sub(q.Start) / q.Step; err != nil || n > 100 || q.Step%(24*time.Hour) != 0 {
		t.Errorf("without data: %d steps of %s, %v", n, q.Step, err)
	}
}
