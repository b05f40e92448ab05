package serve

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		n, err := c.Read(make([]byte, 12))
		if (err == nil && n == 12) != taken {
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
	dial("127.0.0.6", ask, true)
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

// While as many unknown logins are checked as may be, further ones are turned away and those that have passed before are not.
func TestUnknownLoginsDoNotHoldUpKnownOnes(t *testing.T) {
	m := newMetrics(nil)
	g := newGuard(m)
	wait, waiting := make(chan struct{}), make(chan struct{})
	h := g.before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Authorization") {
		case "good", "":
			g.passed(r)
			w.WriteHeader(http.StatusNoContent)
		default:
			waiting <- struct{}{}
			<-wait
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	ask := func(auth string) int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := ask("good"); got != 204 {
		t.Fatalf("a good login: got %d", got)
	}
	codes := make(chan int, strangers)
	for range strangers {
		go func() { codes <- ask("bad") }()
		<-waiting
	}
	for auth, want := range map[string]int{"bad": 429, "new": 429, "good": 204, "": 204} {
		if got := ask(auth); got != want {
			t.Errorf("login %q meanwhile: got %d, want %d", auth, got, want)
		}
	}
	close(wait)
	for range strangers {
		if got := <-codes; got != 401 {
			t.Errorf("a bad login: got %d", got)
		}
	}
	if got := testutil.ToFloat64(m.strangers); got != 2 {
		t.Errorf("refused: got %v, want 2", got)
	}
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
	for range strangers {
		s.guard.slots <- struct{}{}
	}
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
	look("", "", true) // without TLS there is no certificate
	write("nonsense")
	look("broken", "web.yaml", false)
}
