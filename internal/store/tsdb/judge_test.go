package tsdb

import (
	"context"
	"errors"
	"fmt"

	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/places"
	"plimsoll.dev/plimsoll/internal/store"
)

// hostile are expressions that cost more than any answer is worth, with a part of the error that each gets.
func hostile() map[string]string {
	n := func(s string, times int) string { return strings.Repeat(s, times) }
	long := "label_join(vector(1),\"a\",\"\",\"a\",\"a\")"
	for range 40 {
		long = strings.Replace(long, "vector(1)", `label_join(vector(1),"a","","a","a")`, 1)
	}
	return map[string]string{
		"sum_over_time(vector(1)[1y:1ms])":                               "the subqueries have more than",
		"sum_over_time(vector(1)[1d:1ms])":                               "the subqueries have more than",
		"sum_over_time(sum_over_time(vector(1)[2w:2s])[2w:2s])":          "the subqueries have more than",
		"sum_over_time(vector(1)[1d:1ms] @ 0)":                           "the subqueries have more than",
		"sum_over_time(sum_over_time(vector(1)[1d:1s])[1d:1s])":          "the subqueries look at more than",
		"sum_over_time(quantile_over_time(0.5,vector(1)[1d:1s])[1d:1s])": "the subqueries look at more than",
		"sum_over_time((sum_over_time(vector(1)[1d:1s]))[1d:5s] offset 1m)+sum_over_time((sum_over_time(vector(1)[1d:1s]))[1d:5s])": "the subqueries look at more than",
		"sum_over_time((vector(1) + (vector(1)))[290y:])":               "the subqueries have more than",
		n("sum_over_time(vector(1)[2w:2s])+", 10) + "1":                 "the subqueries have more than",
		n("1^", 30_000) + "1":                                           "more than 500 operators",
		n("(", 30_000) + "1" + n(")", 30_000):                           "more than 500 operators",
		n("-", 60_000) + "1":                                            "more than 500 operators",
		n("a or ", 600) + "b":                                           "more than 500 operators",
		n("abs(", 10_000) + "a" + n(")", 10_000):                        "more than 500 operators",
		"{a=~\"" + n("(.{0,50}x){0,20}", 200) + "\"}":                   "regular expression",
		"{" + n("a=~\".{1000}\",", 200) + "}":                           "regular expressions are too large together",
		long:                                                            "makes labels too long",
		`label_replace(vector(1),"a","` + n("x", 5000) + `","a","")`:    "makes labels too long",
		`label_replace(vector(1),"a","` + n("$1", 40) + `","a","(.*)")`: "makes labels too long",
		`label_replace(vector(1),"a",` + n("(", 3) + `"$1$1$1$1"` + n(")", 3) + `,"a","(.*)")`: "",
	}
}

// What is too much is refused before it costs anything, and what people ask is not.
func TestHostileExpressions(t *testing.T) {
	db := apiStore(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for expr, want := range hostile() {
		began := time.Now()
		r := httptest.NewRequest("POST", "/api/v1/query", strings.NewReader("query="+url.QueryEscape(expr)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		whole(db).ServeHTTP(w, r)
		if got := w.Body.String(); (w.Code == 200) != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%.60s: got %d %.300s, want %q", expr, w.Code, got, want)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%.60s: took %v", expr, took)
		}
	}
	runtime.ReadMemStats(&after)
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 100 {
		t.Errorf("allocated %d MiB", mb)
	}
	for _, expr := range []string{
		`histogram_quantile(0.9, sum by (le, pod) (rate(x[5m])))`,
		`max_over_time(sum(rate(container_cpu_usage_seconds_total[5m]))[30d:1m])`,
		`{pod=~"` + strings.Repeat("a-pod-with-quite-a-long-name|", 400) + `b"}`,
		strings.Repeat("container_cpu_usage_seconds_total or ", 60) + "b",
		"sum({" + strings.Repeat(`pod!="x",`, 700) + `node="n1"})`,
		`label_replace(label_replace(vector(1),"a","$1","b","(.*)"),"c","$1-$2","a","(.*)-(.*)")`,
	} {
		parsed, err := db.parse(expr, maxNesting)
		if err == nil {
			_, err = judge(parsed, 30*24*time.Hour)
		}
		if err != nil {
			t.Errorf("%.60s: %v", expr, err)
		}
	}
}

// A structured query is bounded too: a rate over windows of weeks since 1901 has a hundred million steps where it is a subquery.
func TestHostileStructuredQuery(t *testing.T) {
	db := apiStore(t)
	for _, f := range []store.Func{store.Max, store.Avg, store.Quantile} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		_, err := db.Query(t.Context(), store.Query{Row: metric.CPUUsage, Level: metric.Container, Start: time.Date(1901, 1, 1, 0, 0, 0, 0, time.UTC), End: apiBase(),
			Step: 25 * 24 * time.Hour, Window: 25 * 24 * time.Hour, Func: f, Q: .9, RateOver: 40 * time.Second, By: []string{}, Join: store.Sum})
		runtime.ReadMemStats(&after)
		if err != nil && !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: %v", f, err)
		}
		if mb, took := (after.TotalAlloc-before.TotalAlloc)>>20, time.Since(began); mb > 64 || took > 2*time.Second {
			t.Errorf("%s: allocated %d MiB in %v", f, mb, took)
		}
	}
}

// Prettily written expressions have a place too, and are short: two dozen at once delay a structured query little.
func TestHostileFormatDelaysNobody(t *testing.T) {
	db := apiStore(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for i := range 24 {
		expr := strings.Repeat("1^", 99) + "1"
		if i%2 == 1 {
			expr = strings.Repeat("1^", 1000) + "1"
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/format_query?query="+url.QueryEscape(expr), nil)
				whole(db).ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
	q := store.Query{Row: metric.CPUUsage, Level: metric.Container, Start: apiBase(), End: apiBase().Add(10 * time.Minute), Func: store.Last, By: []string{"node"}, Join: store.Sum}
	worst := time.Duration(0)
	for range 20 {
		began := time.Now()
		if _, err := db.Query(ctx, q); err != nil {
			t.Fatal(err)
		}
		worst = max(worst, time.Since(began))
	}
	if worst > 2*time.Second {
		t.Errorf("a structured query took %v beside them", worst)
	}
}

// The API never has all places, so that the page's own questions are answered beside it.
func TestAPIHasHalfOfThePlaces(t *testing.T) {
	db := apiStore(t)
	for range maxAsked() {
		if _, err := db.asked.Take(t.Context(), "one", nil); err != nil {
			t.Fatal(err)
		}
	}
	if free := cap(db.slots) - maxAsked(); free < 2 {
		t.Errorf("%d places are left to the page", free)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	whole(db).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/v1/query?query=1", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), fmt.Sprintf("waited for %d other requests", maxAsked())) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// placeless is a writer for whose answers there is no place in memory yet.
type placeless struct {
	*httptest.ResponseRecorder
	waits chan<- struct{}
	place <-chan struct{}
}

func (w placeless) Reserve(int) (release func(), err error) {
	w.waits <- struct{}{}
	<-w.place
	return func() {}, nil
}

// Answers that wait for a place in memory are no more than those that are made at a time; one that is an error leaves its turn to the next.
func TestAnswersWithoutAPlace(t *testing.T) {
	store := apiStore(t)
	synctest.Test(t, func(t *testing.T) {
		db := &DB{opts: store.opts, parser: store.parser, asked: places.New(places.Options{Most: maxAsked()})}
		const all = 20
		waits, place := make(chan struct{}, all), make(chan struct{})
		var wg sync.WaitGroup
		ask := func(query string, code int) {
			wg.Go(func() {
				w := placeless{httptest.NewRecorder(), waits, place}
				if whole(db).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/format_query?query="+query, nil)); w.Code != code {
					t.Errorf("got %d %s, want %d", w.Code, w.Body, code)
				}
			})
		}
		for range all {
			ask("1", http.StatusOK)
			ask("(", http.StatusBadRequest)
		}
		for n := range all {
			synctest.Wait()
			if got, most := len(waits), min(n+maxAsked(), all); got != most {
				t.Errorf("%d answers were made while %d of them had a place; want %d", got, n, most)
			}
			place <- struct{}{}
		}
		wg.Wait()
		if n := db.asked.Used(); n != 0 {
			t.Errorf("%d turns are left", n)
		}
	})
}

func FuzzJudge(f *testing.F) {
	for expr := range hostile() {
		f.Add(expr)
	}
	f.Add(`label_join(a,"b","c","d")`)
	f.Add(`a{b=~"c{2,}"}[1m:1s] @ end() offset -1h`)
	db := &DB{parser: parser.NewParser(parser.Options{})}
	f.Fuzz(func(t *testing.T, expr string) {
		if len(expr) > 64<<10 {
			return
		}
		began := time.Now()
		if parsed, err := db.parse(expr, maxNesting); err == nil {
			_, _ = judge(parsed, time.Hour)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q took %v", expr, took)
		}
	})
}
