package tsdb

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// longStore has so many series of six days each, which ended at the time that it returns.
func longStore(t *testing.T, series int) (*DB, time.Time) {
	const points = 51_840
	end := apiBase().Add(points * 10 * time.Second)
	db := mustOpen(t, Options{Now: func() time.Time { return end }})
	entities := make([]*metric.Entity, series)
	for i := range entities {
		entities[i] = &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "x", Pod: fmt.Sprint("p", i), Container: "c", ID: fmt.Sprint("/", i)}
	}
	const some = 180
	for from := 0; from < points; from += some {
		b := &metric.Batch{Node: "n1", Time: end}
		for _, e := range entities {
			g := metric.Group{Entity: e}
			for p := from; p < from+some; p++ {
				g.Points = append(g.Points, metric.Point{ID: metric.MemoryWorkingSet, T: apiBase().Add(time.Duration(p) * 10 * time.Second).UnixMilli(), V: float64(p * 7919 % points)})
			}
			b.Groups = append(b.Groups, g)
		}
		must(t, db.Append(t.Context(), b))
	}
	return db, end
}

const longRow = "container_memory_working_set_bytes"

// A range that is looked at for each of thousands of points, by one series or by many, is refused as a subquery is, and so is what the page could ask.
func TestHostileRanges(t *testing.T) {
	db, end := longStore(t, 12)
	db.opts.maxWork = 3e8
	for expr, want := range map[string]int{
		"quantile_over_time(0.5, " + longRow + "[30d])":                                422,
		"quantile_over_time(0.5, (" + longRow + "[30d] offset 1s))":                    422,
		"sum(max_over_time(" + longRow + "[1d]))":                                      422, // of which each of the twelve may be had
		"quantile_over_time(scalar(vector(time())), " + longRow + "[30d] @ end())":     422,
		"quantile_over_time(scalar(vector(time())), vector(1)[1d:1s] @ 0)":             422,
		"quantile_over_time(scalar(vector(time())), (vector(1)[1d:1s] @ 0))":           422,
		"max_over_time(quantile_over_time(0.5, " + longRow + "[30d])[1d:10s])":         422,
		"max_over_time(" + longRow + "{pod=\"p1\"}[1d])":                               200,
		"quantile_over_time(0.5, " + longRow + "[30d] @ end())":                        200,
		"max_over_time(" + longRow + "[5m]) + on(pod) rate(" + longRow + "[1m] @ 100)": 200,
	} {
		began := time.Now()
		w := httptest.NewRecorder()
		whole(db).ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("/api/v1/query_range?step=1&start=%d&end=%d&query=%s", end.Unix()-9_000, end.Unix(), url.QueryEscape(expr)), nil))
		if w.Code != want || want == 422 && !strings.Contains(w.Body.String(), "look at more") {
			t.Errorf("%s: got %d %.300s, want %d", expr, w.Code, w.Body, want)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %s", expr, took)
		}
	}
	began := time.Now()
	_, err := db.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Func: store.Quantile, Q: .5, Start: end.Add(-9000 * time.Second), End: end, Step: time.Second, Window: 30 * 24 * time.Hour})
	if took := time.Since(began); !errors.Is(err, store.ErrTooLarge) || took > 10*time.Second {
		t.Errorf("a structured query: %v in %s", err, took)
	}
}

// Who does not wait any more ends a query in the middle of a series.
func TestRangesEndWithTheirContext(t *testing.T) {
	db, end := longStore(t, 1)
	for _, x := range []struct {
		timeout time.Duration
		want    error
	}{{0, promql.ErrQueryTimeout("reading samples")}, {time.Hour, promql.ErrQueryCanceled("reading samples")}} {
		ctx, cancel := context.WithTimeout(t.Context(), x.timeout)
		if x.timeout > 0 {
			cancel()
		}
		w := &work{ctx: ctx, left: maxWork}
		q, err := w.over(db.gen.tsdb).Querier(0, end.UnixMilli())
		must(t, err)
		hints := &storage.SelectHints{End: end.UnixMilli(), Step: 1000, Range: (30 * 24 * time.Hour).Milliseconds(), Func: "quantile_over_time"}
		set := q.Select(t.Context(), false, hints, labels.MustNewMatcher(labels.MatchEqual, "__name__", longRow))
		read := 0
		var it chunkenc.Iterator
		for set.Next() {
			it = set.At().Iterator(it)
			for it.Next() != chunkenc.ValNone {
				read++
			}
		}
		if !errors.Is(it.Err(), x.want) || read > 100 {
			t.Errorf("read %d samples, error %v, want %v", read, it.Err(), x.want)
		}
		cancel()
		must(t, q.Close())
	}
}
