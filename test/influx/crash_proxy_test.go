package influx_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// road stands between a writer and the server and does to the requests what it is told.
type road struct {
	*httptest.Server
	treat atomic.Pointer[treatment]
	hits  atomic.Int64 // requests that were not let through as they came
}

// treatment is what happens to a request. It returns false when the request did not suffer and is still to be answered.
type treatment func(w http.ResponseWriter, r *http.Request, forward http.Handler) bool

// open lets everything through.
func open(http.ResponseWriter, *http.Request, http.Handler) bool { return false }

func newRoad(t testing.TB, to string) *road {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(u)
	forward.Transport = &http.Transport{MaxIdleConnsPerHost: 4}
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { cut(w) } // the server is away, and so are we
	through := whole(forward)
	p := &road{}
	p.put(open)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (*p.treat.Load())(w, r, through) {
			p.hits.Add(1)
			return
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// whole hands requests on with their bodies read: net/http's server closes a body when the answer begins, and a reverse proxy that
// looks for its end at that moment breaks the answer off.
func whole(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			cut(w)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	})
}

func (p *road) put(t treatment) { p.treat.Store(&t) }

// cut resets the connection.
func cut(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// away is a server that cannot be reached.
func away(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool { cut(w); return true }

// flapping cuts a third of the requests before the server has them and a third of the answers afterwards.
func flapping(w http.ResponseWriter, r *http.Request, forward http.Handler) bool {
	switch rand.IntN(3) {
	case 0:
		cut(w)
	case 1:
		forward.ServeHTTP(httptest.NewRecorder(), r)
		cut(w)
	default:
		return false
	}
	return true
}

// dripping gives the write to the server and answers one byte a second.
func dripping(w http.ResponseWriter, r *http.Request, forward http.Handler) bool {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return true
	}
	r = r.Clone(context.WithoutCancel(r.Context()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	forward.ServeHTTP(httptest.NewRecorder(), r)
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return true
	}
	defer func() { _ = c.Close() }()
	for _, b := range []byte("HTTP/1.1 204 No Content\r\n\r\n") {
		time.Sleep(time.Second)
		if _, err := c.Write([]byte{b}); err != nil {
			return true
		}
	}
	return true
}

// refusing answers with a status instead of the server.
func refusing(status int, message string) treatment {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"code":"crash","message":"`+message+`","error":"`+message+`"}`)
		return true
	}
}

// narrow refuses requests of more than a kilobyte as too large.
func narrow(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return true
	}
	if len(body) > 1<<10 {
		return refusing(http.StatusRequestEntityTooLarge, "request entity too large")(w, r, nil)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return false
}
