package serve

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// many is more rows than a small answer has.
func many(*http.Request) int { return 1 << 20 }

// Clients that do not read large answers neither fill the memory nor keep others waiting: small answers come at once, a large one as soon as
// one that is not read has had its time.
func TestAnswersThatAreNotRead(t *testing.T) {
	const size = 12 << 20 // more than the kernel takes for a client that does not read
	var made atomic.Int64
	addr, _ := running(t, Options{maxWaiting: 3 * size, readTime: 200 * time.Millisecond, Routes: []Route{
		{Pattern: "/large", Rows: many, Handle: func(w http.ResponseWriter, _ *http.Request) error {
			made.Add(1)
			return WriteJSON(w, strings.Repeat("x", size))
		}},
		{Pattern: "/small", Handle: func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, "small") }},
	}})
	for range 60 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := io.WriteString(c, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	for made.Load() < 2 {
		runtime.Gosched()
	}
	get := func(path string, want int, within time.Duration) {
		t.Helper()
		for began := time.Now(); ; {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if err == nil && int(n) >= want {
				return
			}
			if took := time.Since(began); took > within {
				t.Fatalf("%s: got %d bytes after %v and %v, want %d within %v (status %d)", path, n, took, err, want, within, resp.StatusCode)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	peak := uint64(0)
	for range 10 {
		get("/small", 5, time.Second)
		var m runtime.MemStats
		runtime.GC() // what is left is held
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	// Three wait, two are made, each in several pieces, and encoding/json keeps its own buffers for a while.
	if most := uint64(24) * size; peak > most {
		t.Errorf("%d MiB in use, want at most %d", peak>>20, most>>20)
	}
	get("/large", size, 20*time.Second) // as its Retry-After asks
}

// A page of another site may show what a person follows a link to, and nothing else, by any method.
func TestOtherSites(t *testing.T) {
	h, err := Handler(Options{Listen: "127.0.0.1:0", Routes: []Route{{Pattern: "/{path...}", Handle: func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, "ok") }}}})
	if err != nil {
		t.Fatal(err)
	}
	f := func(method, path, site, mode, dest string, want int) {
		t.Helper()
		r := httptest.NewRequest(method, "http://localhost"+path, nil)
		for k, v := range map[string]string{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest} {
			if v != "" {
				r.Header.Set(k, v)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s %s from %q by %q: got %d, want %d", method, path, site, mode, w.Code, want)
		}
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT"} {
		for _, site := range []string{"cross-site", "same-site"} {
			f(method, "/api/v1/query", site, "no-cors", "image", 403)
			f(method, "/", site, "cors", "empty", 403)
			f(method, "/api/v1/query", site, "navigate", "document", 403)
		}
		f(method, "/api/v1/query", "same-origin", "cors", "empty", 200)
		f(method, "/api/v1/query", "none", "navigate", "document", 200)
		f(method, "/api/v1/query", "", "", "", 200) // no browser
	}
	f("GET", "/", "cross-site", "navigate", "document", 200)
	f("GET", "/", "cross-site", "navigate", "iframe", 403)
	f("POST", "/", "cross-site", "navigate", "document", 403)
}

// An answer finds its place when another gives its own back, and one that is larger than all places when it is alone.
func TestPlacesOfAnswers(t *testing.T) {
	a := newRoom(100, time.Hour)
	first, second := &place{bytes: 100_000}, &place{bytes: 10_000}
	if err := a.take(first); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- a.take(second) }()
	a.give(first)
	a.give(first) // twice is once
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	a.give(second)
	if a.left != 100 || len(a.waiting) != 0 {
		t.Errorf("%d left, %v waiting", a.left, a.waiting)
	}
}
