package heapster

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/aggregator/live"
	words "plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// moved is a rig over a store that the test fills itself.
func moved(t *testing.T, now time.Time, fill func(add func(e *metric.Entity, at time.Time, id metric.ID, v float64))) *rig {
	t.Helper()
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	fill(func(e *metric.Entity, at time.Time, id metric.ID, v float64) {
		b := &metric.Batch{Node: e.Node, Time: at, Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: id, T: at.UnixMilli(), V: v}}}}}
		if err := db.Append(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	})
	a, err := New(Options{Pictures: fixed{}, History: db})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{mount(a), a, db, now}
}

func ask1[T any](t *testing.T, r *rig, path string) T {
	t.Helper()
	var out T
	rec := get(r, path)
	if rec.Code != 200 {
		t.Fatalf("%s: got %d %s", path, rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func web(container, id string) *metric.Entity {
	return &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "ProcessService", Workload: "web", Pod: "web-1", Container: container, ID: id}
}

// A pod of two containers that peak at different times: the pod's most is not the sum of theirs.
func TestAggregatesOfASum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		one, two := web("a", "/a"), web("b", "/b")
		r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
			for i := range 61 { // one value for each 10 s up to now
				at := now.Add(time.Duration(i-60) * 10 * time.Second)
				a, b := 100.0, 1000.0
				if i > 30 {
					a, b = 900, 300
				}
				add(one, at, metric.MemoryUsage, a+float64(i%10))
				add(two, at, metric.MemoryUsage, b)
			}
		})
		defer r.close(t)
		base := historyBase + "namespaces/demo/pods/web-1/metrics-aggregated/average,max,min,median,count,95-perc,99-perc/memory/usage?start=1999-12-31T23:50:00Z&end=2000-01-01T00:00:00Z"
		got := ask1[Aggregate](t, r, base)
		// Values 1..30 are 1100 + i%10, values 31..60 1200 + i%10.
		want := "n 60 avg 1154.5 max 1209 min 1100 median 1154.5 p95 1208.05 p99 1209"
		b := got.Buckets[0]
		if s := fmt.Sprintf("n %d avg %v max %v min %v median %v p95 %v p99 %v", *b.Count, num(*b.Average), num(*b.Maximum), num(*b.Minimum), num(*b.Median), num(b.Percentiles["95"]), num(b.Percentiles["99"])); s != want {
			t.Errorf("got  %s\nwant %s", s, want)
		}
		got = ask1[Aggregate](t, r, base+"&bucket=5m")
		if len(got.Buckets) != 2 || num(*got.Buckets[0].Maximum) != 1109 || num(*got.Buckets[1].Minimum) != 1200 || *got.Buckets[1].Count != 30 || got.BucketSize != int64(5*time.Minute) {
			t.Errorf("in halves: got %+v", got)
		}
	})
}

func num(n Number) float64 {
	if n.IntValue != nil {
		return float64(*n.IntValue)
	}
	return *n.FloatValue
}

// A container made anew under the same names is not counted twice, and its counter's reset gives no negative rate.
func TestMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		old, fresh := web("web", "/old"), web("web", "/new")
		r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
			for i := range 61 {
				at := now.Add(time.Duration(i-60) * 10 * time.Second)
				e, since := old, 1000+i
				if i > 30 {
					e, since = fresh, i-30
				}
				add(e, at, metric.MemoryUsage, 1000)
				add(e, at, metric.CPUUsage, float64(since)*5)
			}
		})
		defer r.close(t)
		const span = "?start=1999-12-31T23:51:00Z&end=2000-01-01T00:00:00Z"
		for _, path := range []string{"namespaces/demo/pods/web-1/metrics/", "namespaces/demo/pods/web-1/containers/web/metrics/"} {
			for _, p := range ask1[Series](t, r, historyBase+path+"memory/usage"+span).Metrics {
				if p.Value != 1000 {
					t.Errorf("%s: memory is %d at %v, want 1000", path, p.Value, p.Timestamp)
				}
			}
			for _, p := range ask1[Series](t, r, historyBase+path+"cpu/usage_rate"+span).Metrics {
				if p.FloatValue != nil && *p.FloatValue < 0 || p.Value > 501 {
					t.Errorf("%s: CPU is %d (%v) at %v, want at most 500", path, p.Value, p.FloatValue, p.Timestamp)
				}
			}
		}
	})
}

// A long range comes in longer steps.
func TestLongRange(t *testing.T) {
	h := history{resolution: 10 * time.Second}
	start := time.Date(2026, 1, 1, 0, 0, 3, 0, time.UTC)
	for _, d := range []time.Duration{0, time.Second, time.Minute, 24 * time.Hour, 30 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		g, some := h.grid(start, start.Add(d))
		if n := g.end.Sub(g.start) / g.step; some && n > maxSteps || g.step%h.resolution != 0 {
			t.Errorf("%v: %d steps of %v", d, n, g.step)
		}
	}
}

func TestBucketsHoldEveryPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		width := time.Duration(rapid.IntRange(1, 100000).Draw(t, "width")) * time.Millisecond
		var points []point
		var values []float64
		at := start
		for range rapid.IntRange(0, 50).Draw(t, "n") {
			at = at.Add(time.Duration(rapid.IntRange(0, 200000).Draw(t, "gap")) * time.Millisecond)
			v := rapid.Float64Range(-1e6, 1e6).Draw(t, "v")
			points, values = append(points, point{at, v}), append(values, v)
		}
		n := 0
		got := buckets(points, start, width)
		for i := range got {
			b := &got[i]
			n += len(b.values)
			if i > 0 && !b.start.After(got[i-1].start) || b.start.Sub(start)%width != 0 || len(b.values) == 0 {
				t.Fatalf("bucket %d begins at %v with %d points", i, b.start, len(b.values))
			}
			last := math.Inf(-1)
			for _, q := range []float64{0, .25, .5, .75, .95, .99, 1} {
				v := b.quantile(q)
				if v < last-1e-6 || v < b.min-1e-6 || v > b.max+1e-6 {
					t.Fatalf("quantile %v is %v after %v, in %v to %v", q, v, last, b.min, b.max)
				}
				last = v
			}
			if b.avg < b.min-1e-6 || b.avg > b.max+1e-6 {
				t.Fatalf("average %v of %v to %v", b.avg, b.min, b.max)
			}
		}
		if n != len(points) {
			t.Fatalf("%d of %d points are in buckets", n, len(points))
		}
		if len(got) == 1 && (got[0].max != slices.Max(values) || got[0].min != slices.Min(values)) {
			t.Fatalf("max %v, min %v", got[0].max, got[0].min)
		}
	})
}

// TestSilentMachineIsNotExported: a machine that nothing is heard of is not among the newest values, nor is what is on it.
func TestSilentMachineIsNotExported(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &live.Snapshot{Time: at}
	for _, name := range []string{"alive", "dead"} {
		n := &live.Item{Entity: &metric.Entity{Level: metric.Node, Node: name}, Start: at.Add(-time.Hour), Own: metric.At(metric.Node), Values: []live.Value{{ID: metric.MemoryWorkingSet, T: at, V: 1}}}
		c := &live.Item{Entity: &metric.Entity{Level: metric.Container, Node: name, Namespace: "shop", WorkloadKind: "Docker", Workload: name, Pod: name, Container: name}, Values: n.Values}
		if name == "dead" {
			n.Gap = &words.Gap{Since: at.Add(-time.Minute), Reason: metric.GapSilent}
			c.Gap = n.Gap
		}
		s.Nodes, s.Containers = append(s.Nodes, n), append(s.Containers, c)
	}
	p := newPicture(s)
	if len(p.nodes) != 1 || len(p.containers) != 1 || p.nodes[0].Entity.Node != "alive" || len(s.Nodes) != 2 {
		t.Errorf("got %d nodes and %d containers of %v", len(p.nodes), len(p.containers), p.keys())
	}
}

// A rate is there where there are samples, and ends with them: of what was killed there is none after its last sample, and what has an average has a count.
func TestRatesEndWithTheSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		last := now.Add(-116 * time.Second) // 23:58:04
		r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
			for i := range 31 {
				at := last.Add(time.Duration(i-30) * 10 * time.Second)
				add(web("web", "/a"), at, metric.MemoryWorkingSet, 40)
				add(web("web", "/a"), at, metric.CPUUsage, float64(i)*5)
			}
		})
		defer r.close(t)
		want := time.Date(1999, 12, 31, 23, 58, 10, 0, time.UTC)
		for _, base := range []string{modelBase, historyBase} {
			for _, name := range []string{"memory/working_set", "cpu/usage", "cpu/usage_rate"} {
				s := ask1[Series](t, r, base+"namespaces/demo/pods/web-1/metrics/"+name+"?start=1999-12-31T23:57:00Z")
				if !s.LatestTimestamp.Equal(want) || len(s.Metrics) != 8 {
					t.Errorf("%s: %s has %d points up to %s, want 8 up to %s", base, name, len(s.Metrics), s.LatestTimestamp, want)
				}
			}
		}
		for _, bucket := range []string{"10s", "30s", "1m", "2m"} {
			got := ask1[Aggregate](t, r, historyBase+"namespaces/demo/pods/web-1/metrics-aggregated/average,max,count/cpu/usage_rate?start=1999-12-31T23:57:00Z&bucket="+bucket)
			for _, b := range got.Buckets {
				if b.Count == nil || b.Average == nil || b.Maximum == nil || num(*b.Average) != 500 {
					t.Errorf("by %s: %+v is not whole", bucket, b)
				}
			}
		}
	})
}

// strict answers one to what a store would answer.
type strict struct{}

func (strict) Query(_ context.Context, q store.Query) ([]store.Series, error) {
	_, err := q.Check()
	return []store.Series{{Samples: []store.Sample{{T: q.End.UnixMilli(), V: 1}}}}, err
}

// A share of what a node has is told over a range of an odd number of milliseconds too.
func TestShareOverAnOddRange(t *testing.T) {
	all := model.New()
	h := history{strict{}, 10 * time.Second, all}
	end := time.UnixMilli(1_700_000_000_123).UTC()
	for _, whole := range []time.Duration{time.Millisecond, 7 * time.Second, 7001 * time.Millisecond} {
		got, err := h.aggregate(t.Context(), all.Find("cpu/node_utilization"), target{level: model.Node, node: "n1"}, params{start: end.Add(-whole), end: end}, []string{"average"}, whole)
		if err != nil || len(got) != 1 || num(*got[0].Average) != 1 {
			t.Errorf("over %v: got %v and error %v, want one bucket of 1", whole, got, err)
		}
	}
}
