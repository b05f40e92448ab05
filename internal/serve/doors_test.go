package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// running starts a server of the options and returns its address.
func running(t *testing.T, o Options) (addr string, s *Server) {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a.String(), s
}

// One host has half of the connections, all together have no more than the limit, and those that do nothing give way: never to another host
// that has its half, never those that are answered.
func TestConnectionsAreBounded(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	leave := make(chan struct{})
	addr, _ := running(t, Options{maxConns: 6, Registerer: reg, Routes: []Route{
		{Pattern: "/", Handle: func(http.ResponseWriter, *http.Request) error { return nil }},
		{Pattern: "/stay", Handle: func(w http.ResponseWriter, _ *http.Request) error {
			_ = http.NewResponseController(w).Flush()
			<-leave
			return nil
		}}}})
	dial := func(from, send string, taken bool) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, send) // refused: the answer tells
		if !strings.HasSuffix(send, "\r\n\r\n") {
			return c
		}
		if n, err := c.Read(make([]byte, 12)); (err == nil && n == 12) != taken {
			t.Errorf("from %s: got %d bytes and %v, want taken %v", from, n, err, taken)
		}
		return c
	}
	const ask, stay = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /stay HTTP/1.1\r\nHost: localhost\r\n\r\n"
	open := func(want float64) {
		t.Helper()
		for metricValue(t, reg, "plimsoll_http_connections") != want {
			time.Sleep(time.Millisecond)
		}
	}
	dial("127.0.0.1", stay, true)
	for range 50 {
		dial("127.0.0.1", "GET / HT", true) // it never ends
		dial("127.0.0.1", "", true)
	}
	open(3)
	dial("127.0.0.1", ask, true) // none of them keeps the host out
	dial("127.0.0.1", stay, true)
	dial("127.0.0.1", stay, true)
	dial("127.0.0.1", ask, false) // all of its half is at work
	open(3)
	other := dial("127.0.0.2", ask, true)
	dial("127.0.0.2", ask, true)
	dial("127.0.0.3", stay, true)
	dial("127.0.0.4", ask, true) // of those that are idle one gives way
	_ = other.Close()
	dial("127.0.0.4", stay, true)
	dial("127.0.0.5", stay, true)
	dial("127.0.0.6", ask, false) // all are at work
	open(6)
	if got := metricValue(t, reg, "plimsoll_http_connections_refused_total"); got < 100 {
		t.Errorf("refused: got %v, want each that gave way and each that was not taken", got)
	}
	close(leave)
	for { // until one of them has left
		c := dial("127.0.0.6", "", true)
		_, _ = io.WriteString(c, ask)
		if n, err := c.Read(make([]byte, 12)); err == nil && n == 12 {
			break
		}
	}
}

func metricValue(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %q", name)
	return 0
}

// A flood of wrong logins, of one name and of many, neither holds up those that have passed before nor keeps a new one out: of another host, or
// of another name from the same one.
func TestFloodOfLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(nil)
		g := newGuard(m)
		var mu sync.Mutex
		checks, most := 0, 0
		turn := make(chan struct{}, 1)
		h := g.before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			count := func(n int) {
				mu.Lock()
				defer mu.Unlock()
				checks += n
				most = max(most, checks)
			}
			count(1)
			defer count(-1)
			name, password, _ := r.BasicAuth()
			if password == "right" {
				g.passed(r)
				w.WriteHeader(http.StatusNoContent)
				return
			}
			if name == "ann" { // as a password is checked: one at a time
				turn <- struct{}{}
				time.Sleep(100 * time.Millisecond)
				<-turn
			} else {
				time.Sleep(100 * time.Millisecond)
			}
			w.WriteHeader(http.StatusUnauthorized)
		}))
		ask := func(host, name, password string) (int, time.Duration) {
			began := time.Now()
			r := httptest.NewRequest("GET", "http://localhost/", nil)
			r.RemoteAddr = host + ":1"
			r.SetBasicAuth(name, password)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code, time.Since(began)
		}
		if code, _ := ask("10.0.0.1", "bob", "right"); code != 204 {
			t.Fatal(code)
		}
		stop := make(chan struct{})
		var flood sync.WaitGroup
		for i := range 120 {
			flood.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					name := "ann"
					if i%2 == 1 {
						name = fmt.Sprint("made-up-", i, n)
					}
					ask("10.0.0.66", name, fmt.Sprint("wrong", i, n))
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		for i := range 5 {
			for _, x := range [][2]string{{"10.0.0.1", "ann"}, {"10.0.0.2", fmt.Sprint("eve", i)}} {
				if code, took := ask(x[0], x[1], "right"); code != 204 || took > loginTime {
					t.Errorf("a new login of %q from %s: got %d after %v", x[1], x[0], code, took)
				}
				g.mu.Lock()
				clear(g.good)
				g.mu.Unlock()
			}
			ask("10.0.0.1", "bob", "right")
			if code, took := ask("10.0.0.1", "bob", "right"); code != 204 || took != 0 {
				t.Errorf("one that has passed before: got %d after %v", code, took)
			}
		}
		close(stop)
		flood.Wait()
		if most > strangers+1 {
			t.Errorf("%d logins were checked at once, want at most %d", most, strangers)
		}
		if testutil.ToFloat64(m.strangers) == 0 || g.waiting != 0 || len(g.hosts)+len(g.names) != 0 {
			t.Errorf("nobody was turned away, or %d, %v, %v are left", g.waiting, g.hosts, g.names)
		}
	})
}

// A login in force is behind the guard, and what holds a request after it passed does not hold up others' logins.
func TestGuardStandsBeforeTheLogin(t *testing.T) {
	config := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(config, []byte(annOnly), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, s := running(t, Options{WebConfig: config, Routes: []Route{{Pattern: "/", Handle: func(http.ResponseWriter, *http.Request) error { return nil }}}})
	ask := func(password string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("ann", password)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if a, b, n := ask("hunter2"), ask("wrong"), len(s.guard.good); a != 200 || b != 401 || n != 1 {
		t.Errorf("got %d and %d, %d logins are known; want 200, 401 and 1", a, b, n)
	}
	s.guard.mu.Lock()
	s.guard.waiting = waiters
	s.guard.mu.Unlock()
	if a, b := ask("hunter2"), ask("wrong"); a != 200 || b != 429 {
		t.Errorf("with no place for strangers: got %d and %d, want 200 and 429", a, b)
	}
}

// A certificate that ends and a configuration that breaks while the server runs are told once each, and are in Health.
func TestDoorIsWatched(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "web.yaml")
	var logs bytes.Buffer
	certified(t, dir, time.Now().Add(30*24*time.Hour))
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
	write(good)
	s, err := New(Options{Listen: "127.0.0.1:0", WebConfig: config, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	look := func(kind, word string, well bool) {
		t.Helper()
		got, err := s.inspectDoor(time.Now())
		if got != kind || (err == nil) != (word == "") || err != nil && !strings.Contains(err.Error(), word) {
			t.Errorf("got %q and %v, want %q and %q", got, err, kind, word)
		}
		if (s.Health() == nil) != well {
			t.Errorf("Health: got %v, want well %v", s.Health(), well)
		}
	}
	look("", "", true)
	if got := testutil.ToFloat64(s.metrics.certificate); got < float64(time.Now().Unix()) {
		t.Errorf("the certificate's end: got %v", got)
	}
	certified(t, dir, time.Now().Add(24*time.Hour))
	look("soon", "put a new one in its place", true)
	certified(t, dir, time.Now().Add(-time.Hour))
	look("over", "ended at", false)
	if err := os.Remove(filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	look("broken", "key.pem", false)
	certified(t, dir, time.Now().Add(30*24*time.Hour))
	look("", "", true)
	write("basic_auth_users: {}\n")
	look("broken", "none where it had", false)
	write("nonsense")
	look("broken", "web.yaml", false)
	write(good)
	look("", "", true)
}

// What is broken is in Health with the next look of whoever comes in, a tenth of a second later, and not with the next round of the watch.
func TestHealthLooksItself(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "web.yaml")
	_, key := certified(t, dir, time.Now().Add(30*24*time.Hour))
	if err := os.WriteFile(config, []byte("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{Listen: "127.0.0.1:0", WebConfig: config})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{[]byte("nonsense"), good, nil} {
			if err := os.WriteFile(key, text, 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(lookEvery)
			if got := s.Health(); (got == nil) != bytes.Equal(text, good) {
				t.Errorf("with %d bytes of a key: %v", len(text), got)
			}
		}
	})
}

// A login that is wrong is counted and told of, once for many.
func TestFailedLoginsAreTold(t *testing.T) {
	config := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(config, []byte(annOnly), 0o600); err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	reg := prometheus.NewPedanticRegistry()
	s, err := New(Options{Listen: "127.0.0.1:0", WebConfig: config, Registerer: reg, Logger: slog.New(slog.NewTextHandler(&logs, nil)), Routes: Health(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r := httptest.NewRequest("GET", "http://localhost/livez", nil)
		if i > 0 {
			r.SetBasicAuth("ann", fmt.Sprint("wrong", i))
		}
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, r)
		if w.Code != 401 || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic") {
			t.Errorf("got %d, %v", w.Code, w.Header())
		}
	}
	if got := metricValue(t, reg, "plimsoll_http_logins_failed_total"); got != 4 {
		t.Errorf("counted %v, want 4: a request without a login is none", got)
	}
	if got := logs.String(); strings.Count(got, "a login was refused") != 1 || !strings.Contains(got, "user=ann") || strings.Contains(got, "wrong1") {
		t.Errorf("got %s", got)
	}
}

// Who begins with many requests at once is checked once, and all of them have the answer: of a right login, of a wrong one, of one that nobody could
// check. Where the one that is checked goes away, the next is. Only ever new logins of one name and host are turned away.
func TestOneLoginIsCheckedOnce(t *testing.T) {
	const all = 200
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(nil)
		who := &slowLogin{}
		l := &login{who: who, basic: true, guard: newGuard(m), log: slog.New(slog.DiscardHandler)}
		h := l.guard.before(l.before(Route{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
		f := func(what, name, password string, wantChecks int, want map[int]int) {
			t.Helper()
			who.checks = 0
			got := map[int]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range all {
				wg.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if what == "goes away" && i == 0 {
						time.AfterFunc(20*time.Millisecond, cancel)
					} else if i > 0 {
						time.Sleep(10 * time.Millisecond)
					}
					r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/", nil)
					r.RemoteAddr = "10.0.0.1:1"
					own := password
					if own == "" {
						own = fmt.Sprint("wrong", i)
					}
					r.SetBasicAuth(name, own)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					mu.Lock()
					defer mu.Unlock()
					got[w.Code]++
				})
			}
			wg.Wait()
			if diff := cmp.Diff(want, got); diff != "" || who.checks != wantChecks {
				t.Errorf("%s: %d checks, want %d; answers (-want +got):\n%s", what, who.checks, wantChecks, diff)
			}
			if g := l.guard; g.waiting != 0 || len(g.hosts)+len(g.names)+len(g.checks) != 0 {
				t.Errorf("%s: %d, %v, %v, %v are left", what, g.waiting, g.hosts, g.names, g.checks)
			}
		}
		f("right", "ann", "right", all, map[int]int{204: all}) // those that know of it are let through without a wait
		if who.waited != 1 {
			t.Errorf("%d right logins took time, want 1", who.waited)
		}
		f("wrong", "ann", "same", 1, map[int]int{401: all})
		f("unsure", "ann", "away", 1, map[int]int{503: all})
		clear(l.guard.good)
		clear(who.known)
		f("goes away", "ann", "right", all, map[int]int{204: all - 1, 499: 1})
		f("ever new ones", "ann", "", waitersOfName, map[int]int{401: waitersOfName, 429: all - waitersOfName})
	})
}

// slowLogin knows the password "right", which takes a while the first time.
type slowLogin struct {
	mu             sync.Mutex
	checks, waited int
	known          map[string]bool
}

func (s *slowLogin) Authenticate(ctx context.Context, r *http.Request) (Caller, error) {
	name, password, _ := r.BasicAuth()
	s.mu.Lock()
	s.checks++
	known := s.known[name]
	s.mu.Unlock()
	if password == "right" && known {
		return Caller{Name: name}, nil
	}
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
		return Caller{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waited++
	switch password {
	case "right":
		s.known = map[string]bool{name: true}
		return Caller{Name: name}, nil
	case "away":
		return Caller{}, errors.New("nobody is there to ask")
	}
	return Caller{}, fmt.Errorf("%w: the password is wrong", ErrLogin)
}
