package tsdb

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/metric"
)

// instant asks the API for a query at a time and returns the values by pod.
func instant(t *testing.T, db *DB, query string, at time.Time) map[string]string {
	t.Helper()
	v := url.Values{"query": {query}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}}
	w := httptest.NewRecorder()
	whole(db).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/query?"+v.Encode(), nil))
	var got struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	out := map[string]string{}
	for _, r := range got.Data.Result {
		out[r.Metric["pod"]], _ = r.Value[1].(string)
	}
	return out
}

func batchOf(at time.Time, v float64, es ...*metric.Entity) *metric.Batch {
	b := &metric.Batch{Node: "n1", Time: at}
	for _, e := range es {
		b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: v}}})
	}
	return b
}

func pod(name string) *metric.Entity {
	return &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "d", Pod: name, Container: "c"}
}

// TestGapOfAPredecessor: what is said of a container that another of its name has replaced does not end the other's series.
func TestGapOfAPredecessor(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	old, next := pod("a"), pod("a")
	old.ID, next.ID = "/docker/1", "/docker/2"
	for i, b := range []*metric.Batch{
		batchOf(base, 1, old), batchOf(base.Add(10*time.Second), 2, next),
		{Node: "n1", Time: base.Add(12 * time.Second), Gaps: []metric.Gap{{Entity: old, Reason: "gone"}}},
	} {
		if err := db.Append(context.Background(), b); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	if got := instant(t, db, anyMemory, base.Add(15*time.Second)); got["a"] != "2" {
		t.Errorf("got %v, want 2 of the successor", got)
	}
	end := &metric.Batch{Node: "n1", Time: base.Add(20 * time.Second), Gaps: []metric.Gap{{Entity: next, Reason: "gone"}}}
	if err := db.Append(context.Background(), end); err != nil {
		t.Fatal(err)
	}
	if got := instant(t, db, anyMemory, base.Add(25*time.Second)); len(got) != 0 {
		t.Errorf("got %v after the successor's end, want nothing", got)
	}
}

const anyMemory = "container_memory_working_set_bytes"

// TestGapMarker: an entity that could not be read is gone from that moment on, until it is read again.
func TestGapMarker(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	a, b := pod("a"), pod("b")
	at := func(s int) time.Time { return base.Add(time.Duration(s) * time.Second) }
	ctx := context.Background()
	must(t, db.Append(ctx, batchOf(at(0), 1, a, b)))
	gap := batchOf(at(10), 2, b)
	gap.Gaps = []metric.Gap{{Entity: a, Reason: "permission"}, {Entity: pod("never seen")}}
	must(t, db.Append(ctx, gap))
	must(t, db.Append(ctx, batchOf(at(20), 3, a, b)))
	f := func(s int, want string) {
		t.Helper()
		if got := instant(t, db, anyMemory, at(s))["a"]; got != want {
			t.Errorf("at %d s: got %q, want %q", s, got, want)
		}
		if got := instant(t, db, anyMemory, at(s))["b"]; got == "" {
			t.Errorf("at %d s: the other one is gone too", s)
		}
	}
	f(9, "1")
	f(10, "")
	f(19, "")
	f(20, "3")
	f(29, "3")
}

// TestLookback: without markers (the whole process was down) a gap is a gap after the lookback.
func TestLookback(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	must(t, db.Append(context.Background(), batchOf(base, 1, pod("a"))))
	for s, want := range map[int]string{29: "1", 31: ""} {
		if got := instant(t, db, anyMemory, base.Add(time.Duration(s)*time.Second))["a"]; got != want {
			t.Errorf("after %d s: got %q, want %q", s, got, want)
		}
	}
}

// TestVanished: an entity, and a series of one, that do not come any more end one interval after their last sample,
// and are forgotten.
func TestVanished(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	a, b := pod("a"), pod("b")
	at := func(s int) time.Time { return base.Add(time.Duration(s) * time.Second) }
	ctx := context.Background()
	for s := 0; s <= 100; s += 10 {
		batch := batchOf(at(s), 1, b)
		if s <= 50 {
			batch = batchOf(at(s), 1, a, b)
			for i := range batch.Groups {
				batch.Groups[i].Points = append(batch.Groups[i].Points, metric.Point{ID: metric.NetworkReceive, Sub: "eth0", T: at(s).UnixMilli(), V: 1})
			}
		}
		must(t, db.Append(ctx, batch))
	}
	entry := db.cache.find(a)
	entry.seen = entry.seen.Add(-24 * time.Second)
	db.tidy(ctx, true)
	if db.cache.find(a) == nil {
		t.Error("forgotten after 24 s, 2.4 intervals")
	}
	entry.seen = entry.seen.Add(-2 * time.Second)
	db.tidy(ctx, true)
	if db.cache.find(a) != nil || db.cache.find(b) == nil {
		t.Errorf("after 26 s: a is remembered: %v, b is: %v", db.cache.find(a) != nil, db.cache.find(b) != nil)
	}
	f := func(query string, s int, want map[string]string) {
		t.Helper()
		got := instant(t, db, query, at(s))
		if len(got) != len(want) || got["a"] != want["a"] || got["b"] != want["b"] {
			t.Errorf("%s at %d s: got %v, want %v", query, s, got, want)
		}
	}
	both, onlyB := map[string]string{"a": "1", "b": "1"}, map[string]string{"b": "1"}
	f(anyMemory, 60, both)
	f(anyMemory, 61, onlyB)
	f("container_network_receive_bytes_total", 60, both)
	f("container_network_receive_bytes_total", 61, map[string]string{})
	if got := testutil.ToFloat64(db.met.markers); got != 3 {
		t.Errorf("got %g markers, want 3", got)
	}
	must(t, db.Append(ctx, batchOf(at(110), 2, a, b))) // it is back
	f(anyMemory, 110, map[string]string{"a": "2", "b": "2"})
}

// TestCacheBound: many entities are forgotten in time, and their series found again.
func TestCacheBound(t *testing.T) {
	db := mustOpen(t, Options{maxEntities: 64})
	base := time.Now().Add(-time.Hour)
	var es []*metric.Entity
	for i := range 300 {
		es = append(es, pod(strconv.Itoa(i)))
	}
	for s := range 5 {
		must(t, db.Append(context.Background(), batchOf(base.Add(time.Duration(s)*time.Second), 1, es...)))
	}
	if n := len(db.cache.byLine); n > 64 {
		t.Errorf("%d entities are remembered, want at most 64", n)
	}
	if len(db.cache.byPtr) > 64 {
		t.Errorf("%d pointers are remembered, want at most 64", len(db.cache.byPtr))
	}
	if got := db.Stats().Series; got != 300 {
		t.Errorf("got %d series, want 300", got)
	}
	// New pointers to one thing, again and again.
	for s := range 50 {
		must(t, db.Append(context.Background(), batchOf(base.Add(time.Duration(10+s)*time.Second), 1, pod("0"))))
	}
	if got := db.Stats().Series; got != 300 || len(db.cache.byPtr) > 64+4 {
		t.Errorf("got %d series and %d pointers", got, len(db.cache.byPtr))
	}
}

// TestDropped counts what is left out, by reason, and bounds the number of series.
func TestDropped(t *testing.T) {
	db := mustOpen(t, Options{maxSeries: 10})
	now := time.Now()
	ctx := context.Background()
	must(t, db.Append(ctx, batchOf(now, 1, pod("a"))))
	must(t, db.Append(ctx, batchOf(now, 2, pod("a"))))                      // another value at the same time
	must(t, db.Append(ctx, batchOf(now.Add(time.Hour), 1, pod("a"))))       // from the future
	must(t, db.Append(ctx, batchOf(now.Add(-90*time.Minute), 1, pod("a")))) // later than an hour
	many := batchOf(now, 1)
	for i := range 20 {
		many.Groups = append(many.Groups, batchOf(now, 1, pod(strconv.Itoa(i))).Groups...)
	}
	must(t, db.Append(ctx, many))
	for reason, want := range map[string]float64{dropDuplicate: 1, dropFuture: 1, dropTooOld: 1, dropSeriesLimit: 11} {
		if got := testutil.ToFloat64(db.met.dropped.WithLabelValues(reason)); got != want {
			t.Errorf("%s: got %g, want %g", reason, got, want)
		}
	}
	if h := db.Health(); !h.OK() || h.Reason != ReasonSeriesLimit || db.Stats().Series != 10 {
		t.Errorf("Health: got %+v, want SeriesLimit and 10 series", h)
	}
}

// TestTwoWriters: a node comes from its collector and, a moment later, from the roll-ups with other rows. Neither's pace makes the
// other's series look ended.
func TestTwoWriters(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	a := pod("a")
	at := func(s float64) time.Time { return base.Add(time.Duration(s * float64(time.Second))) }
	for s := 0.0; s <= 60; s += 10 {
		must(t, db.Append(t.Context(), batchOf(at(s), 1, a)))
		other := &metric.Batch{Time: at(s + 0.4), Groups: []metric.Group{{Entity: a, Points: []metric.Point{{ID: metric.Processes, T: at(s + 0.4).UnixMilli(), V: 1}}}}}
		must(t, db.Append(t.Context(), other))
		entry := db.cache.find(a)
		entry.seen = entry.seen.Add(-9 * time.Second) // nine seconds pass
		db.tidy(t.Context(), true)
		if db.cache.find(a) == nil {
			t.Fatalf("forgotten nine seconds after the samples of %v s, which come every ten", s)
		}
	}
	if got := testutil.ToFloat64(db.met.markers); got != 0 {
		t.Errorf("got %g markers, want none", got)
	}
}

// A thing that ends is told of by whoever runs it in the same batch: how often it was started again, and what it asks for, goes on.
func TestGapOfWhatIsToldOf(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	e := pod("a")
	for i := range 3 {
		at := base.Add(time.Duration(i) * 10 * time.Second)
		b := batchOf(at, 1, e)
		if i == 2 { // it does not run
			b.Groups[0].Points, b.Gaps = nil, []metric.Gap{{Entity: e, Reason: metric.GapGone}}
		}
		b.Groups[0].Points = append(b.Groups[0].Points, metric.Point{ID: metric.Restarts, T: at.UnixMilli(), V: 3})
		b.Time = at.Add(time.Second)
		if err := db.Append(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	at := base.Add(25 * time.Second)
	if used, told := instant(t, db, anyMemory, at), instant(t, db, metric.Get(metric.Restarts).At(metric.Container), at); len(used) != 0 || told["a"] != "3" {
		t.Errorf("memory %v, restarts %v, want 3 of it alone", used, told)
	}
	if err := db.Append(context.Background(), &metric.Batch{Node: "n1", Time: base.Add(31 * time.Second), Gaps: []metric.Gap{{Entity: e, Reason: metric.GapGone}}}); err != nil {
		t.Fatal(err)
	}
	if told := instant(t, db, metric.Get(metric.Restarts).At(metric.Container), base.Add(35*time.Second)); len(told) != 0 {
		t.Errorf("restarts %v, of what nobody tells of any more", told)
	}
}

// A sum of which a row has ended goes on with the others.
func TestGapOfARow(t *testing.T) {
	db := mustOpen(t, Options{})
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	e := pod("a")
	for i := range 3 {
		b := batchOf(base.Add(time.Duration(i)*10*time.Second), 1, e)
		asks := metric.Point{ID: metric.MemoryRequest, T: b.Time.UnixMilli(), V: 7}
		if b.Groups[0].Points = append(b.Groups[0].Points, asks); i == 2 {
			b.Groups[0].Points = []metric.Point{asks}
			b.Gaps = []metric.Gap{{Entity: e, Reason: metric.GapMember}}
			b.Gaps[0].Rows.Add(metric.MemoryWorkingSet)
		}
		must(t, db.Append(t.Context(), b))
	}
	for s, used := range map[int]string{19: "1", 20: "", 25: ""} {
		at := base.Add(time.Duration(s) * time.Second)
		if got, asks := instant(t, db, anyMemory, at)["a"], instant(t, db, metric.Get(metric.MemoryRequest).At(metric.Container), at)["a"]; got != used || asks != "7" {
			t.Errorf("at %d s: %q is used, and %q asked for, want %q and 7", s, got, asks, used)
		}
	}
}

// What comes seldom has not ended between its samples, the first of them too.
func TestSlowSendersDoNotEnd(t *testing.T) {
	for _, every := range []int{10, 30, 60} {
		db := mustOpen(t, Options{})
		base := time.Now().Add(-time.Hour).Truncate(time.Second)
		a := pod("a")
		for i := range 8 {
			at := base.Add(time.Duration(i*every) * time.Second)
			must(t, db.Append(t.Context(), batchOf(at, 1, a)))
			for s := 5; s < every; s += 5 {
				db.cache.find(a).seen = time.Now().Add(-time.Duration(s) * time.Second)
				db.markVanished()
			}
			if got := instant(t, db, anyMemory, at.Add(time.Duration(min(every-1, 20))*time.Second))["a"]; got != "1" {
				t.Errorf("every %d s: after sample %d it has ended", every, i+1)
			}
		}
	}
}

// What has come once beside a counter of two points that lie close together has not ended before its own next point is due.
func TestFirstPointsOfARollUp(t *testing.T) {
	e := &entry{series: []series{{interval: 1200}, {}, {}}}
	if got := absence(e.longest()); got != 25*time.Second {
		t.Errorf("it has ended after %v", got)
	}
	e.series[1].interval, e.series[2].interval = 30_000, 30_000
	if got := absence(e.longest()); got != 75*time.Second {
		t.Errorf("every half a minute: it has ended after %v", got)
	}
}
