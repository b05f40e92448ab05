package influx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/metric"
)

func TestConnOptions(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := func(o ConnOptions, want string) {
		t.Helper()
		_, err := NewConn(o)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: got %v, want %q", o, err, want)
		}
	}
	f(ConnOptions{URL: "http://x:8086", Bucket: "b"}, "")
	f(ConnOptions{URL: "http://x:8086", Bucket: "b/p"}, "")
	f(ConnOptions{URL: "http://x:8086", Bucket: "b/"}, "want a bucket")
	f(ConnOptions{URL: "http://x:8086", Bucket: "/p"}, "want a bucket")
	f(ConnOptions{URL: "http://x:8086", Bucket: "_internal"}, "the server's own")
	f(ConnOptions{URL: "127.0.0.1:8086", Bucket: "b"}, "http://")
	f(ConnOptions{URL: "https://x/influx/", Bucket: "b"}, "")
	f(ConnOptions{Bucket: "b"}, "no InfluxDB URL")
	f(ConnOptions{URL: "x:8086", Bucket: "b"}, "http://")
	f(ConnOptions{URL: "http://", Bucket: "b"}, "no host")
	f(ConnOptions{URL: "http://a b", Bucket: "b"}, "invalid")
	f(ConnOptions{URL: "http://x/?db=y", Bucket: "b"}, "nothing after the path")
	f(ConnOptions{URL: "http://x"}, "no InfluxDB bucket")
	f(ConnOptions{URL: "http://x", Bucket: "b", Flags: dial.Flags{TokenFile: "--influx-token-file"}, TokenFile: dir + "/nowhere"}, "cannot read --influx-token-file")
	f(ConnOptions{URL: "http://x", Bucket: "b", TokenFile: file("empty", " \n")}, "in one line")
	f(ConnOptions{URL: "http://x", Bucket: "b", TokenFile: file("two", "a\nb\n")}, "in one line")
	_, err := NewConn(ConnOptions{URL: "http://user:hunter2@x", Bucket: "b"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password in the URL: got %v", err)
	}
}

func TestPlace(t *testing.T) {
	f := func(bucket string, major int, r RollUp, want string) {
		t.Helper()
		if got := PlaceOf(bucket, major).From(metric.Container, r); got != want {
			t.Errorf("%q on %d: got %s, want %s", bucket, major, got, want)
		}
	}
	f("d", 1, Raw, `"d".."container"`)
	f("d/p", 1, Raw, `"d"."p"."container"`)
	f("d/p", 1, Hour, `"d"."plimsoll_1h"."container_1h"`)
	f("b", 2, Raw, `"b"."autogen"."container"`)
	f("b/c", 2, Day, `"b/c"."plimsoll_1d"."container_1d"`)
	f(`q"uo\te`, 1, Raw, `"q\"uo\\te".."container"`)
	f("d", 3, Raw, `"container"`)
}

// server3 speaks as much of InfluxDB 3's documented dialect as set-up needs; the real one cannot be had here.
type server3 struct {
	mu       sync.Mutex
	dbs      map[string]string // retention
	tables   map[string][]any  // tags
	requests []string
}

func (s *server3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Token apiv3_x" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error": "the request was not authenticated"}`)
		return
	}
	body := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	switch r.Method + " " + r.URL.Path {
	case "GET /ping":
		w.Header().Set("X-Influxdb-Version", "3.9.2")
		_, _ = io.WriteString(w, `{"version":"3.9.2","revision":"x"}`)
	case "GET /api/v3/configure/database":
		list := []map[string]string{{"iox::database": "_internal"}}
		for db := range s.dbs {
			list = append(list, map[string]string{"iox::database": db})
		}
		_ = json.NewEncoder(w).Encode(list)
	case "POST /api/v3/configure/database":
		s.dbs[body["db"].(string)] = fmt.Sprint(body["retention_period"])
	case "POST /api/v3/configure/table":
		tags, _ := body["tags"].([]any)
		s.tables[body["table"].(string)] = tags
	case "GET /query":
		values := [][]string{}
		for t := range s.tables {
			values = append(values, []string{t})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"results": []any{map[string]any{"series": []any{map[string]any{"name": "measurements", "columns": []string{"name"}, "values": values}}}}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestSetup3(t *testing.T) {
	fake := &server3{dbs: map[string]string{}, tables: map[string][]any{}}
	srv := httptest.NewServer(fake)
	defer srv.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("apiv3_x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := NewConn(ConnOptions{URL: srv.URL, Bucket: "plimsoll", TokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewSetup(SetupOptions{Conn: conn, Retention: 30 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Plan(t.Context())
	if err != nil || p.Version.Major != 3 || len(p.Pending()) != 9 || len(p.Notes) != 2 || len(fake.tables) != 0 {
		t.Fatalf("%v, %+v", err, p)
	}
	for range 2 {
		if p, _, err = set.Apply(t.Context()); err != nil || len(p.Pending()) != 0 {
			t.Fatalf("%v, %+v", err, p)
		}
	}
	want := []any{"cluster", "container", "namespace", "node", "pod", "workload", "workload_kind"}
	if d := cmp.Diff(want, fake.tables["container"]); d != "" || fake.dbs["plimsoll"] != "720h" {
		t.Errorf("retention %q, tags want -, got +:\n%s", fake.dbs["plimsoll"], d)
	}
	none, err := NewConn(ConnOptions{URL: srv.URL, Bucket: "plimsoll"})
	if err != nil {
		t.Fatal(err)
	}
	set.conn = none
	if _, err := set.Plan(t.Context()); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("without a token: got %v", err)
	}
}

func TestDetect(t *testing.T) {
	f := func(h http.HandlerFunc, want int, wantErr error) {
		t.Helper()
		srv := httptest.NewServer(h)
		defer srv.Close()
		c, err := NewConn(ConnOptions{URL: srv.URL + "/behind/proxy", Bucket: "b"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Detect(t.Context())
		if got.Major != want || !errors.Is(err, wantErr) {
			t.Errorf("got %+v, %v; want %d, %v", got, err, want, wantErr)
		}
	}
	version := func(v string, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/behind/proxy/ping" {
				w.WriteHeader(404)
				return
			}
			if v != "" {
				w.Header().Set("X-Influxdb-Version", v)
			}
			if body == "" {
				w.WriteHeader(204)
			}
			_, _ = io.WriteString(w, body)
		}
	}
	f(version("1.8.10", ""), 1, nil)
	f(version("1.11.7-c1.2", ""), 1, nil)
	f(version("v2.7.12", ""), 2, nil)
	f(version("", `{"version":"3.0.1"}`), 3, nil)
	f(version("unknown", ""), 1, nil)
	f(version("", "<html>"), 0, ErrNotInflux)
	f(version("", ""), 0, ErrNotInflux)
	f(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, 0, ErrUnauthorized)
	c, err := NewConn(ConnOptions{URL: "http://127.0.0.1:1", Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Detect(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing listens there") {
		t.Errorf("got %v", err)
	}
}

func TestSetupOptions(t *testing.T) {
	c, err := NewConn(ConnOptions{URL: "http://x", Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]SetupOptions{"no connection": {}, "negative": {Conn: c, Retention: -1}, "short": {Conn: c, Retention: time.Minute}, "fraction": {Conn: c, Retention: time.Hour + 1}} {
		if _, err := NewSetup(o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// TestOneByteASecond: a server that answers a byte a second, for ever, is given up after the deadline. It takes a real connection,
// which virtual time cannot wait for; the deadline is short.
func TestOneByteASecond(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		for {
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}))
	defer srv.Close()
	c, err := NewConn(ConnOptions{URL: srv.URL, Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(WriterOptions{Conn: c, Lanes: []Lane{{"only", &batches{}}}, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{w: w, lane: "only", lines: 5000, log: w.opts.Logger}
	start := time.Now()
	a := s.post(context.Background(), []byte("m v=1 1\n"))
	if d := time.Since(start); d > 30*time.Second || a.class == stored {
		t.Errorf("got %v after %v", a, d)
	}
}
