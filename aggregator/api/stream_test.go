package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// pipes is a network in memory, which stands still with synctest's clock.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// rig is a real server with the API running behind it.
type rig struct {
	t    *testing.T
	api  *API
	net  *pipes
	stop func()
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, api: newAPI(t, func(o *Options) {
		o.Pictures = pictures(moving)
		o.Decisions = nil
		if change != nil {
			change(o)
		}
	}), net: &pipes{make(chan net.Conn), make(chan struct{})}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	srv := &http.Server{Handler: served(r.api)}
	go func() { ended <- r.api.Run(ctx) }()
	go func() { ended <- srv.Serve(r.net) }()
	r.stop = func() {
		cancel()
		down, cancelDown := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancelDown()
		if err := srv.Shutdown(down); err != nil {
			t.Errorf("the server did not end: %v", err)
		}
		for range 2 {
			if err := <-ended; err != nil && !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("got %v", err)
			}
		}
	}
	return r
}

// moving gives a new snapshot at each call, with that moment's time.
func moving(now time.Time) *live.Snapshot {
	s := machine()
	s.Time = now
	return s
}

// event is one server-sent event as a client sees it, and when.
type event struct {
	at   time.Duration
	name string
	id   string
	data string
	rest string // comments and retry
}

// open reads a stream until the test ends; events come on the channel, which is closed at the stream's end.
func (r *rig) open(query string) (<-chan event, func()) {
	r.t.Helper()
	began := time.Now()
	client, server := net.Pipe()
	r.net.conns <- server
	req, err := http.NewRequest("GET", "http://plimsoll/plimsoll/v1/stream"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	go req.Write(client)
	in := bufio.NewReader(client)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		r.t.Fatalf("got %d %v", resp.StatusCode, resp.Header)
	}
	out := make(chan event, 1000)
	go func() {
		defer close(out)
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		var e event
		for lines.Scan() {
			line := lines.Text()
			switch key, value, _ := strings.Cut(line, ": "); {
			case line == "":
				e.at = time.Since(began)
				out <- e
				e = event{}
			case key == "event":
				e.name = value
			case key == "id":
				e.id = value
			case key == "data":
				e.data = value
			default:
				e.rest = line
			}
		}
	}()
	return out, func() { client.Close() }
}

// names writes events as "0s overview, 1s overview".
func names(in <-chan event) string {
	var out []string
	for {
		select {
		case e, ok := <-in:
			if !ok {
				return strings.Join(append(out, "end"), ", ")
			}
			out = append(out, fmt.Sprintf("%v %s%s", e.at, e.name, e.rest))
			continue
		default:
		}
		return strings.Join(out, ", ")
	}
}

func TestStreamComesAtOnceAndEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		time.Sleep(300 * time.Millisecond)
		events, _ := r.open("?limit=1")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		first := <-events
		if first.rest != "retry: 2000" {
			t.Errorf("got %+v, want the retry hint first", first)
		}
		e := <-events
		var o Overview
		if err := json.Unmarshal([]byte(e.data), &o); err != nil || len(o.Containers) != 1 || o.Total != 9 {
			t.Errorf("got %v, %d of %d containers", err, len(o.Containers), o.Total)
		}
		if want := fmt.Sprint(o.Time.UnixMilli()); e.id != want || e.name != "overview" || e.at != 0 {
			t.Errorf("got id %q of %q at %v, want %q at once", e.id, e.name, e.at, want)
		}
		if got, want := names(events), "700ms overview, 1.7s overview"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		r.stop()
		synctest.Wait()
		if got := names(events); got != "end" {
			t.Errorf("after the server's end: got %q, want a clean end", got)
		}
		if rec := get(served(r.api), "/plimsoll/v1/stream"); rec.Code != 503 || !strings.Contains(rec.Body.String(), "shutting down") {
			t.Errorf("a stream after the end: got %d %s", rec.Code, rec.Body)
		}
	})
}

func TestStreamOfAWorkload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone, reads atomic.Int32
		r := newRig(t, func(o *Options) {
			o.Scaled = nil
			o.Pictures = pictures(func(now time.Time) *live.Snapshot {
				s := moving(now)
				if gone.Load() > 0 {
					s.Workloads, s.Known = nil, nil
				}
				return s
			})
			o.Decisions = log(func(q store.DecisionQuery) ([]cluster.Decision, error) {
				if len(q.Actions) == 2 {
					reads.Add(1)
				}
				return nil, nil
			})
		})
		events, _ := r.open("?view=workload&workload=demo/ProcessService/web")
		time.Sleep(4500 * time.Millisecond)
		gone.Store(1)
		time.Sleep(time.Second)
		synctest.Wait()
		<-events
		e := <-events
		var w Workload
		if err := json.Unmarshal([]byte(e.data), &w); err != nil || w.Name != "web" || len(w.Containers) != 4 {
			t.Errorf("got %v, %+v", err, w)
		}
		if got, want := names(events), "1s workload, 2s workload, 3s workload, 4s workload, 5s gone"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := reads.Load(); got != 2 { // at once, and for the first shared frame
			t.Errorf("the log was read %d times, want 2", got)
		}
		r.stop()
	})
}

func TestStreamTellsDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list atomic.Pointer[[]cluster.Decision]
		list.Store(&[]cluster.Decision{})
		add := func(name string, at time.Time) {
			d := grow()
			d.Name, d.Time = name, at
			l := append([]cluster.Decision{d}, *list.Load()...)
			list.Store(&l)
		}
		r := newRig(t, func(o *Options) {
			o.Decisions = log(func(q store.DecisionQuery) ([]cluster.Decision, error) { return choose(*list.Load(), q), nil })
		})
		add("web", time.Now().Add(-time.Minute)) // history
		time.Sleep(5 * time.Second)
		overview, _ := r.open("")
		workload, _ := r.open("?workload=demo/ProcessService/web")
		time.Sleep(1500 * time.Millisecond)
		add("api", time.Now())
		add("web", time.Now())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		decisions := func(in <-chan event) (out []string) {
			for len(in) > 0 {
				if e := <-in; e.name == "decision" {
					var d cluster.Decision
					if err := json.Unmarshal([]byte(e.data), &d); err != nil {
						t.Error(err)
					}
					out = append(out, fmt.Sprintf("%v %s", e.at, d.Name))
				}
			}
			return out
		}
		if got, want := fmt.Sprint(decisions(overview)), "[2s api 2s web]"; got != want {
			t.Errorf("overview: got %s, want %s, each once", got, want)
		}
		if got, want := fmt.Sprint(decisions(workload)), "[2s web]"; got != want {
			t.Errorf("workload: got %s, want %s", got, want)
		}
		r.stop()
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.MaxStreams = 2 }) // of which one client has half
		if _, err := r.api.hub.add(view{}, "another", func() {}); err != nil {
			t.Fatal(err)
		}
		_, leave := r.open("")
		synctest.Wait()
		rec := get(served(r.api), "/plimsoll/v1/stream")
		if rec.Code != 503 || rec.Header().Get("Retry-After") != "5" || !strings.Contains(rec.Body.String(), `"2" are open`) {
			t.Errorf("got %d %v %s", rec.Code, rec.Header(), rec.Body)
		}
		leave()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		again, _ := r.open("")
		synctest.Wait()
		if got := names(again); got != "0s retry: 2000, 0s overview" {
			t.Errorf("got %s", got)
		}
		r.stop()
	})
}

// A client that does not read gets the newest picture when it does, and is cut off after the deadline.
func TestSlowStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		client, server := net.Pipe()
		r.net.conns <- server
		fmt.Fprintf(client, "GET /plimsoll/v1/stream HTTP/1.1\r\nHost: plimsoll\r\n\r\n")
		time.Sleep(5500 * time.Millisecond) // the first write waits: a pipe holds nothing
		in := bufio.NewReader(client)
		var ids []string
		began := time.Now()
		for len(ids) < 3 {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				ids = append(ids, fmt.Sprintf("%s %v", strings.TrimSpace(id), time.Since(began)))
			}
		}
		ms := func(d time.Duration) string { return fmt.Sprint(began.Add(d).UnixMilli()) }
		want := []string{ms(-5500*time.Millisecond) + " 0s", ms(-500*time.Millisecond) + " 0s", ms(500*time.Millisecond) + " 500ms"}
		if fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v: the oldest, then the newest, then as they come", ids, want)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if n := len(r.api.hub.views()); n != 0 {
			t.Errorf("%d streams open after the write deadline, want none", n)
		}
		client.Close()
		r.stop()
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil) // not running: nothing comes
		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Second)
		defer cancel()
		rec := httptest.NewRecorder()
		served(a).ServeHTTP(rec, httptest.NewRequest("GET", "/plimsoll/v1/stream?limit=1", nil).WithContext(ctx))
		if got := strings.Count(rec.Body.String(), ": still here\n\n"); got != 2 || !rec.Flushed {
			t.Errorf("got %d heartbeats in 31 s, want 2", got)
		}
	})
}

// Streams with the same view share one frame.
func TestFramesAreShared(t *testing.T) {
	a := newAPI(t, nil)
	v := view{sel: selection{sort: "score", limit: 1}}
	one, _ := a.hub.add(v, "", func() {})
	two, _ := a.hub.add(v, "", func() {})
	p := newPublisher(a)
	p.publish(t.Context(), noon)
	x, y := one.drain(), two.drain()
	if len(x) != 1 || len(y) != 1 || &x[0].bytes[0] != &y[0].bytes[0] {
		t.Errorf("got %d and %d frames, or two copies of one", len(x), len(y))
	}
}

func TestManyDecisionsForASlowStream(t *testing.T) {
	s := subscriber{wake: make(chan struct{}, 1)}
	displaced := 0
	for i := range decisionsWaiting + 10 {
		displaced += s.put(frame{event: "decision", bytes: []byte{byte(i)}})
	}
	displaced += s.put(frame{event: "overview", bytes: []byte("a")})
	displaced += s.put(frame{event: "overview", bytes: []byte("b")})
	got := s.drain()
	if displaced != 11 || len(got) != decisionsWaiting+1 || got[0].bytes[0] != 10 || string(got[len(got)-1].bytes) != "b" {
		t.Errorf("displaced %d, kept %d, first %v", displaced, len(got), got[0].bytes)
	}
	if len(s.drain()) != 0 {
		t.Error("the slot is not empty after take")
	}
}

func BenchmarkTick(b *testing.B) {
	snap := machine()
	var list []*live.Item
	for i := range 450 {
		it := container("demo", "ProcessService", fmt.Sprint("w", i%40), fmt.Sprint("c", i), "docker", fmt.Sprint("/docker/", i),
			val{metric.CPUUsage, "", 1, .01 * float64(i)}, val{metric.MemoryWorkingSet, "", 1e7, 0}, val{metric.MemoryLimit, "", 2e7, 0},
			val{metric.CPUPeriods, "", 1, 10}, val{metric.CPUThrottledPeriods, "", 1, float64(i % 10)}, val{metric.OOMKills, "", 0, 0})
		list = append(list, it)
	}
	snap = snapshotOf(snap.Nodes, list)
	a, err := New(Options{Pictures: pictures(func(now time.Time) *live.Snapshot { s := *snap; s.Time = now; return &s })})
	if err != nil {
		b.Fatal(err)
	}
	s, _ := a.hub.add(view{sel: selection{sort: "score", limit: maxLimit}}, "", func() {})
	p := newPublisher(a)
	for b.Loop() {
		p.publish(context.Background(), time.Now())
		for _, f := range s.drain() {
			f.letGo()
		}
	}
}
