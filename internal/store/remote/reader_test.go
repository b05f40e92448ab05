package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

func query() store.Query {
	end := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	return store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-time.Hour), End: end, Step: time.Minute, Func: store.Max}
}

func reader(t testing.TB, o ReaderOptions, f http.HandlerFunc) *Reader {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil { // reads the body, without which the server does not see that the client has gone
			t.Error(err)
		}
		f(w, r)
	}))
	t.Cleanup(srv.Close)
	o.Endpoint.QueryURL = srv.URL
	r, err := NewReader(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWindow: an engine whose range selectors are closed on the left is asked for a millisecond less.
func TestWindow(t *testing.T) {
	for answer, want := range map[string]string{"1": "[1m]", "2": "[59s999ms]"} {
		var asked []string
		r := reader(t, ReaderOptions{}, func(w http.ResponseWriter, req *http.Request) {
			asked = append(asked, req.URL.Path+" "+req.Form.Get("query")+" "+req.Form.Get("start")+" "+req.Form.Get("end")+" "+req.Form.Get("step"))
			if strings.HasPrefix(req.Form.Get("query"), "count") {
				_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"`+answer+`"]}]}}`)
				return
			}
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
		})
		for range 2 {
			if _, err := r.Query(t.Context(), query()); err != nil {
				t.Fatal(err)
			}
		}
		if last := asked[len(asked)-1]; len(asked) != 3 || last != "/api/v1/query_range max_over_time(container_memory_working_set_bytes"+want+") 1767319440.000 1767323040.000 60" {
			t.Errorf("%d questions, the last %q, want %q", len(asked), last, want)
		}
	}
}

// TestAnswers says what becomes of every answer that has no data.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		is     error
		text   string
	}{
		{"bad data", 400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, store.ErrBadQuery, "parse error"},
		{"too many samples", 422, `{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}`, store.ErrTooLarge, "too many"},
		{"timeout", 503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, context.DeadlineExceeded, "timed out"},
		{"error beside status 200", 200, `{"status":"error","errorType":"internal","error":"broken"}`, nil, "broken"},
		{"a proxy before it", 502, "no upstream", store.ErrUnavailable, "502"},
		{"it starts", 503, "starting", store.ErrUnavailable, "starting"},
		{"too many requests", 429, "rate limit", store.ErrUnavailable, "429"},
		{"broken off", 200, `{"status":"success","data":{"result":[{"metric":{},"values":[[1,"1"]`, store.ErrUnavailable, "cannot read"},
		{"wrong token", 401, "who?", nil, "401"},
		{"not JSON", 200, "<html>", nil, "cannot read"},
		{"cut", 200, `{"status":"success","data":{"result":[{"metric":{},"values":[[1,"1"]`, io.ErrUnexpectedEOF, "cannot read"},
		{"other samples", 200, `{"status":"success","data":{"result":[{"metric":{},"values":[["x","1"]]}]}}`, nil, "cannot read"},
		{"a string", 200, `{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`, nil, "cannot read"},
		{"a part", 200, `{"status":"success","isPartial":true,"data":{"result":[{"metric":{},"values":[[1,"1"]]}]}}`, store.ErrUnavailable, "storage nodes"},
		{"too many points", 200, `{"status":"success","data":{"result":[{"metric":{},"values":[[1,"1"],[2,"1"],[3,"1"]]}]}}`, store.ErrTooLarge, "more than 2"},
	} {
		r := reader(t, ReaderOptions{maxPoints: 2}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		r.ends.Store(endOpen)
		got, err := r.Query(t.Context(), query())
		if err == nil || got != nil || !strings.Contains(err.Error(), c.text) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v and error %v, want %v with %q", c.name, got, err, c.is, c.text)
		}
	}
	silent := reader(t, ReaderOptions{timeout: 50 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if _, err := silent.Query(t.Context(), query()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want DeadlineExceeded", err)
	}
}

// FuzzAnswer reads any answer.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"x","pod":"a"},"values":[[1767319440,"1.5"],[1767319500.123,"NaN"]]}]},"warnings":[]}`))
	f.Add([]byte(`{"data":{"result":[{"value":[1,"+Inf"]}]},"status":"success"}`))
	f.Add([]byte(`{"status":"error"}`))
	var body atomic.Pointer[[]byte]
	r, err := NewReader(ReaderOptions{maxPoints: 100, Endpoint: EndpointOptions{QueryURL: "http://engine.invalid", Transport: answers(func() []byte { return *body.Load() })}})
	if err != nil {
		f.Fatal(err)
	}
	r.ends.Store(endOpen)
	f.Fuzz(func(t *testing.T, b []byte) {
		body.Store(&b)
		got, err := r.Query(t.Context(), query())
		n := 0
		for i := range got {
			n += len(got[i].Samples)
		}
		if n > 100 || err != nil && got != nil {
			t.Errorf("%d points, %v", n, err)
		}
	})
}

// answers is a transport that gives a body.
type answers func() []byte

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a())))}, nil
}

// TestSamplesThatCannotBeRead: where the samples are too many, or one series of them is too long to be held, or the engine gives none, it adds up itself.
func TestSamplesThatCannotBeRead(t *testing.T) {
	const none, few, many = `[]`, `[{"metric":{},"value":[1700000000,"5000"]}]`, `[{"metric":{},"value":[1700000000,"500000"]}]`
	long := `[{"metric":{},"values":[[1700000000,"1"]` + strings.Repeat(`,[1700000000.123,"1"]`, 1<<19) + `]}]`
	for name, c := range map[string]struct {
		count, raw string
		status     int
		asked      int // questions
		want       float64
	}{
		"too many":       {many, none, 200, 2, 7},
		"a long series":  {few, long, 200, 3, 7},
		"an own limit":   {few, "", 422, 3, 7},
		"as they should": {few, `[{"metric":{},"values":[[1767322800,"10"],[1767323040,"70"]]}]`, 200, 2, 0.25},
	} {
		asked := 0
		r := reader(t, ReaderOptions{}, func(w http.ResponseWriter, req *http.Request) {
			var result string
			switch q := req.Form.Get("query"); {
			case strings.Contains(q, "vector(1)"):
				_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"1"]}]}}`)
				return
			case strings.HasPrefix(q, "sum(count_over_time"):
				result = c.count
			case strings.HasPrefix(q, "container_"):
				if result = c.raw; c.status != 200 {
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, `{"status":"error","errorType":"execution","error":"query processing would load too many samples"}`)
					return
				}
			default:
				result = `[{"metric":{},"value":[1767323040,"7"]}]`
			}
			asked++
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":`+result+`}}`)
		})
		q := query()
		q.Row, q.Func, q.Step = metric.CPUUsage, store.Rate, 0
		got, err := r.Query(t.Context(), q)
		if want := c.asked - map[bool]int{true: 1}[c.status != 200]; err != nil || len(got) != 1 || got[0].Samples[0].V != c.want || asked != want {
			t.Errorf("%s: got %v, %v after %d answers, want %v after %d", name, got, err, asked, c.want, want)
		}
	}
}
