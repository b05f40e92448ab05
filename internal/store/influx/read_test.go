package influx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// reader returns a reader of a server that answers /query with f.
func reader(t *testing.T, o ReaderOptions, f http.HandlerFunc) *Reader {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := req.ParseForm(); err != nil { // reads the body, without which the server does not see that the client has gone
			t.Error(err)
		}
		f(w, req)
	}))
	t.Cleanup(srv.Close)
	if o.Conn == nil {
		var err error
		if o.Conn, err = NewConn(ConnOptions{URL: srv.URL, Bucket: "d/p"}); err != nil {
			t.Fatal(err)
		}
	}
	if o.version.Major == 0 {
		o.version = Version{Major: 1}
	}
	r, err := NewReader(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readQuery() store.Query {
	end := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	return store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-time.Hour), End: end, Step: time.Minute, Func: store.Max}
}

// TestReadErrors says what becomes of every answer that has no data.
func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		is     error
		text   string
	}{
		{"error beside status 200", 200, `{"results":[{"statement_id":0,"error":"something broke"}]}`, nil, "something broke"},
		{"error on top beside status 200", 200, `{"error":"not implemented"}`, nil, "not implemented"},
		{"error in a later chunk", 200, `{"results":[{"statement_id":0,"series":[{"columns":["time","v"],"values":[[1767319440000,1]]}],"partial":true}]}` + "\n" +
			`{"results":[{"statement_id":0,"error":"shard is closed"}]}`, nil, "shard is closed"},
		{"bad query", 400, `{"error":"error parsing query: found FORM, expected FROM"}`, store.ErrBadQuery, "FORM"},
		{"no such database", 404, `{"error":"database not found: \"d\""}`, nil, "database not found"},
		{"no mapping on 2.x", 404, `{"code":"not found","message":"no dbrp mapping found"}`, nil, "no dbrp mapping"},
		{"wrong token", 401, `{"code":"unauthorized","message":"unauthorized access"}`, nil, "401"},
		{"no right", 403, `{"error":"error authorizing query"}`, nil, "403"},
		{"too many points", 200, `{"results":[{"statement_id":0,"error":"max-select-point limit exceeed: (10/5)"}]}`, store.ErrTooLarge, "max-select-point"},
		{"the server's own timeout", 200, `{"results":[{"statement_id":0,"error":"query-timeout limit exceeded: timeout reached"}]}`, context.DeadlineExceeded, "timeout"},
		{"not JSON", 200, `<html>`, nil, "cannot read the answer"},
		{"nothing", 200, ``, nil, "cannot read the answer"},
		{"cut", 200, `{"results":[{"statement_id":0,"series":[{"colu`, io.ErrUnexpectedEOF, "cannot read the answer"},
		{"a page of a proxy", 502, "<html>bad gateway</html>", nil, "bad gateway"},
		{"a redirect", 302, "", nil, "302"},
		{"another statement", 200, `{"results":[{"statement_id":7,"series":[{"columns":["time","v"],"values":[[1,1]]}]}]}`, nil, `"7"`},
		{"other columns", 200, `{"results":[{"statement_id":0,"series":[{"columns":["time","u"],"values":[[1,1]]}]}]}`, nil, "columns"},
	} {
		r := reader(t, ReaderOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		got, err := r.Query(t.Context(), readQuery())
		if err == nil || got != nil || !strings.Contains(err.Error(), c.text) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v and error %v, want %v with %q", c.name, got, err, c.is, c.text)
		}
		if c.is == nil && (errors.Is(err, store.ErrBadQuery) || errors.Is(err, store.ErrTooLarge)) {
			t.Errorf("%s: error %v is one of the contract's", c.name, err)
		}
		if _, err := r.Decisions(t.Context(), store.DecisionQuery{}); err == nil && !strings.Contains(c.name, "other columns") && !strings.Contains(c.name, "another statement") {
			t.Errorf("%s: decisions were read", c.name)
		}
	}
}

// TestReadNothing says which errors only mean that nothing was written yet.
func TestReadNothing(t *testing.T) {
	for _, text := range []string{"table 'container' not found", "measurement not found", "retention policy not found: plimsoll_1h"} {
		r := reader(t, ReaderOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"results":[{"statement_id":0,"error":%q}]}`, text)
		})
		if got, err := r.Query(t.Context(), readQuery()); err != nil || len(got) != 0 {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

// TestReadBounds: an answer without end is read no further than the limit, a server that says nothing costs the deadline.
func TestReadBounds(t *testing.T) {
	var wrote atomic.Int64
	r := reader(t, ReaderOptions{maxPoints: 1000}, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; ; i++ {
			n, err := fmt.Fprintf(w, `{"results":[{"statement_id":0,"series":[{"tags":{"pod":"p%d"},"columns":["time","v"],"values":[[1767319380000,1],[1767319440000,null]],"partial":true}]}]}`+"\n", i)
			wrote.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	if _, err := r.Query(t.Context(), readQuery()); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("got error %v, want ErrTooLarge", err)
	}
	if wrote.Load() > 16<<20 {
		t.Errorf("%d bytes were read", wrote.Load())
	}
	silent := reader(t, ReaderOptions{Timeout: 50 * time.Millisecond}, func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // the server sees that the client goes away only once the body is read
		<-req.Context().Done()
	})
	if _, err := silent.Query(t.Context(), readQuery()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want DeadlineExceeded", err)
	}
	slow := reader(t, ReaderOptions{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(w, `{"results":[`)
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	})
	if _, err := slow.Query(t.Context(), readQuery()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in the middle of an answer: got error %v, want DeadlineExceeded", err)
	}
}

// TestReadRequest says how a query is sent, and that a refused token is read again.
func TestReadRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := req.ParseForm(); err != nil {
			t.Error(err)
		}
		got = append(got, fmt.Sprint(req.Method, " ", req.URL, " db=", req.Form["db"], " rp=", req.Form["rp"], " epoch=", req.Form["epoch"], " chunked=", req.Form["chunked"], " ", req.Header.Get("Authorization")))
		if req.Header.Get("Authorization") != "Token new" {
			write("new")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"results":[]}`)
	}))
	defer srv.Close()
	c, err := NewConn(ConnOptions{URL: srv.URL + "/influx", Bucket: "b", TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(ReaderOptions{Conn: c, version: Version{Major: 2}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Query(t.Context(), readQuery()); err != nil {
		t.Fatal(err)
	}
	want := []string{"POST /influx/query db=[b] rp=[autogen] epoch=[ms] chunked=[true] Token old", "POST /influx/query db=[b] rp=[autogen] epoch=[ms] chunked=[true] Token new"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReadPieces: where a query may cover a limited time, as on InfluxDB 3 Core, no statement covers more, roll-ups are not asked for, and
// each statement is a request of its own.
func TestReadPieces(t *testing.T) {
	bounds := regexp.MustCompile(`time >=? (\d+) AND time <= (\d+)`)
	requests := 0
	r := reader(t, ReaderOptions{version: Version{Major: 3}}, func(w http.ResponseWriter, req *http.Request) {
		requests++
		q := req.FormValue("q")
		found := bounds.FindAllStringSubmatch(q, -1)
		if len(found) == 0 || strings.Contains(q, ";") || strings.Contains(q, "plimsoll_1h") || req.FormValue("rp") != "" {
			t.Errorf("query %q, policy %q", q, req.FormValue("rp"))
		}
		for _, m := range found {
			lo, _ := strconv.ParseInt(m[1], 10, 64)
			hi, _ := strconv.ParseInt(m[2], 10, 64)
			if d := time.Duration(hi - lo); d > 6*time.Hour || d <= 0 {
				t.Errorf("%q covers %s", q, d)
			}
		}
		_, _ = io.WriteString(w, `{"results":[{"statement_id":0}]}`)
	})
	for _, fn := range []store.Func{store.Avg, store.Quantile, store.Max, store.Last} {
		for _, step := range []time.Duration{0, time.Minute, time.Hour, 24 * time.Hour} {
			for _, window := range []time.Duration{0, 5 * time.Minute, 7 * time.Hour, 24 * time.Hour} {
				q := readQuery()
				q.Start, q.Step, q.Window, q.Func, q.Q, q.By = q.End.Add(-5*24*time.Hour), step, window, fn, 0.9, []string{"namespace"}
				if _, err := r.Query(t.Context(), q); err != nil {
					t.Errorf("%s, step %s, window %s: %v", fn, step, window, err)
				}
			}
		}
	}
	if requests < 500 {
		t.Errorf("%d requests", requests)
	}
	requests = 0
	if _, err := r.Decisions(t.Context(), store.DecisionQuery{Start: readQuery().Start, End: readQuery().End.Add(12 * time.Hour)}); err != nil || requests != 3 {
		t.Errorf("decisions of 13 hours: %d requests, %v; want 3", requests, err)
	}
}

func TestReaderOptions(t *testing.T) {
	c, err := NewConn(ConnOptions{URL: "http://127.0.0.1:1", Bucket: "d"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []ReaderOptions{{}, {Conn: c, Timeout: -1}, {Conn: c, Piece: -1}} {
		if _, err := NewReader(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	r, err := NewReader(ReaderOptions{Conn: c, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Query(t.Context(), readQuery()); err == nil {
		t.Error("a server that is not there answered")
	}
}

// FuzzAnswer reads any answer.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"results":[{"statement_id":0,"series":[{"name":"container","tags":{"pod":"a"},"columns":["time","v","w"],"values":[[1767319440000,1.5e3,null]],"partial":true}],"partial":true}]}`))
	f.Add([]byte(`{"results":[{"statement_id":0,"series":[{"columns":["time","action","from"],"values":[[1767319440000,"Up",1]]}]}]}`))
	f.Add([]byte(`{"error":"x"}`))
	f.Add([]byte(`{"results":[{"series":[{"columns":["time"],"values":[[]]}]}]}`))
	var body atomic.Pointer[[]byte]
	c, err := NewConn(ConnOptions{URL: "http://influx.invalid", Bucket: "d", transport: answers(func() []byte { return *body.Load() })})
	if err != nil {
		f.Fatal(err)
	}
	r, err := NewReader(ReaderOptions{Conn: c, version: Version{Major: 1}, maxPoints: 100})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		body.Store(&b)
		q := readQuery()
		got, err := r.Query(t.Context(), q)
		n := 0
		for i := range got {
			for _, x := range got[i].Samples {
				n++
				if x.T < q.Start.UnixMilli() || x.T > q.End.UnixMilli() || x.V != x.V {
					t.Errorf("sample %v", x)
				}
			}
		}
		if n > 100 || err != nil && got != nil {
			t.Errorf("%d points, %v", n, err)
		}
		_, _ = r.Decisions(t.Context(), store.DecisionQuery{})
	})
}

// answers is a transport that gives a body.
type answers func() []byte

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a())))}, nil
}
