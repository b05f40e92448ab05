package serve

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a client's side of an answer: one that does not read holds it until its connection is cut off.
type wire struct {
	*httptest.ResponseRecorder
	reads bool
	held  *atomic.Int64 // bytes of all answers that are not read
	gone  chan struct{}
	once  sync.Once
}

func (w *wire) Write(b []byte) (int, error) {
	if w.reads {
		return w.ResponseRecorder.Write(b)
	}
	w.held.Add(int64(len(b)))
	defer w.held.Add(-int64(len(b)))
	<-w.gone
	return 0, http.ErrHandlerTimeout
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	if !t.After(time.Now()) {
		w.once.Do(func() { close(w.gone) })
	}
	return nil
}

var zeros = make([]byte, 12<<20)

// whole answers with so many bytes, as WriteJSON does.
func whole(w http.ResponseWriter, n int) error {
	release, err := w.(*counted).Reserve(n)
	if err != nil {
		return err
	}
	defer release()
	_, _ = w.Write(zeros[:n])
	return nil
}

// crowd are clients of one handler.
type crowd struct {
	t    *testing.T
	h    http.Handler
	ctx  context.Context
	held atomic.Int64
	wg   sync.WaitGroup
}

// ask asks as a host, and reads the answer or not.
func (c *crowd) ask(host, path string, reads bool) (code int, said string) {
	r := httptest.NewRequestWithContext(c.ctx, http.MethodGet, "http://localhost"+path, nil)
	r.RemoteAddr = host + ":1000"
	w := &wire{ResponseRecorder: httptest.NewRecorder(), reads: reads, held: &c.held, gone: make(chan struct{})}
	stop := context.AfterFunc(c.ctx, func() { _ = w.SetWriteDeadline(time.Time{}) })
	defer stop()
	c.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// crowding are so many who ask for the same over and over and read nothing.
func (c *crowd) crowding(n int, host, path string) {
	for range n {
		c.wg.Go(func() {
			for c.ctx.Err() == nil {
				c.ask(host, path, false)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// among asks while others are crowding, and wants the answer within a time.
func (c *crowd) among(host, path string, within time.Duration) {
	c.t.Helper()
	began := time.Now()
	if code, said := c.ask(host, path, true); code != http.StatusOK || time.Since(began) > within {
		c.t.Errorf("%s from %s: got %d after %v, want 200 within %v: %.200s", path, host, code, time.Since(began), within, said)
	}
}

// While many ask for large answers and read none of them, small ones come at once, for whoever asks; another client's large ones come soon; and
// what waits, and what is made at a time, is bounded.
func TestSmallAnswersWaitForNoLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var making, most atomic.Int64
		rows := func(r *http.Request) (n int) { _, _ = fmt.Sscan(r.URL.Query().Get("limit"), &n); return n }
		list := Route{Method: "GET", Pattern: "/list", Rows: rows, Handle: func(w http.ResponseWriter, r *http.Request) error {
			n := rows(r)
			if n > 1000 {
				most.Store(max(most.Load(), making.Add(1)))
				time.Sleep(100 * time.Millisecond)
				making.Add(-1)
			}
			return whole(w, n*700)
		}}
		nodes := list
		nodes.Pattern = "/nodes"
		series := Route{Method: "GET", Pattern: "/series", Handle: func(w http.ResponseWriter, _ *http.Request) error { return whole(w, 12<<20) }}
		health := Route{Method: "GET", Pattern: "/livez", Handle: func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("ok")); return err }}
		h, err := Handler(loop(list, nodes, series, health))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := &crowd{t: t, h: h, ctx: ctx}
		c.crowding(90, "127.0.0.1", "/list?limit=10000")
		c.crowding(15, "127.0.0.1", "/series")
		c.crowding(30, "127.0.0.1", "/nodes?limit=10000")
		c.crowding(100, "10.0.0.66", "/list?limit=10000")
		time.Sleep(3 * time.Second)
		for range 60 {
			for _, host := range []string{"127.0.0.1", "10.0.0.2"} { // the same client, and another
				c.among(host, "/list?limit=20", 100*time.Millisecond)
				c.among(host, "/nodes?limit=600", 100*time.Millisecond)
				c.among(host, "/livez", 100*time.Millisecond)
			}
			c.among("10.0.0.2", "/list?limit=10000", 6*time.Second)
			if n := c.held.Load(); n > waitingBytes {
				t.Errorf("%d MiB wait to be read", n>>20)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n := most.Load(); n > 4 {
			t.Errorf("%d large answers were made at a time", n)
		}
		cancel()
		c.wg.Wait()
	})
}

// Whoever asks for thousands of small answers and reads none has half of their memory, and others are answered at once.
func TestSmallAnswersThatAreNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := Route{Method: "GET", Pattern: "/list", Rows: func(*http.Request) int { return 60 }, Handle: func(w http.ResponseWriter, _ *http.Request) error {
			return whole(w, 40<<10)
		}}
		page := Route{Method: "GET", Pattern: "/{$}", Handle: func(w http.ResponseWriter, _ *http.Request) error { // in pieces
			for range 10 {
				if _, err := w.Write(make([]byte, 10<<10)); err != nil {
					return err
				}
			}
			return nil
		}}
		health := Route{Method: "GET", Pattern: "/livez", Handle: func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("ok")); return err }}
		h, err := Handler(loop(list, page, health))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := &crowd{t: t, h: h, ctx: ctx}
		c.crowding(2000, "10.0.0.66", "/list")
		c.crowding(1000, "10.0.0.66", "/")
		c.crowding(2000, "10.0.0.67", "/livez")
		time.Sleep(3 * time.Second)
		for range 100 {
			for _, path := range []string{"/list", "/", "/livez"} {
				c.among("10.0.0.2", path, 3*time.Second)
			}
			if n := c.held.Load(); n > waitingBytes/4 {
				t.Errorf("%d KiB wait to be read", n>>10)
			}
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
		c.wg.Wait()
	})
}
