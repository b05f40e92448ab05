package serve

import (
	"bytes"
	"context"
	"crypto/tls"
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
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/store"
)

func try(t *testing.T, o Options, r *http.Request) *http.Response {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m := newMetrics(nil)
	handler(o, nil, m, newGuard(m)).ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func loop(routes ...Route) Options { return Options{Listen: "127.0.0.1:0", Routes: routes} }

func fails(err error) Route {
	return Route{Pattern: "/x", Handle: func(http.ResponseWriter, *http.Request) error { return err }}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	f := func(err error, want int) {
		t.Helper()
		r := try(t, loop(fails(err)), httptest.NewRequest("GET", "http://localhost/x", nil))
		if r.StatusCode != want {
			t.Errorf("%v: got status %d, want %d", err, r.StatusCode, want)
		}
		if want != 200 && !strings.Contains(body(t, r), `"schema":"plimsoll.dev/error/v1"`) {
			t.Errorf("%v: the body is no problem document", err)
		}
	}
	f(nil, 200)
	f(errors.New("x"), 500)
	f(&StatusError{404, errors.New("x")}, 404)
	f(fmt.Errorf("while asking: %w", &StatusError{400, errors.New("x")}), 400)
	f(context.DeadlineExceeded, 504)
	f(&http.MaxBytesError{Limit: 1}, 413)
}

func TestNothingThere(t *testing.T) {
	o := loop(Route{Method: "GET", Pattern: "/api/x", Handle: func(http.ResponseWriter, *http.Request) error { return nil }})
	f := func(method, path string, status int, allow, want string) {
		t.Helper()
		r := try(t, o, httptest.NewRequest(method, "http://localhost"+path, nil))
		if r.StatusCode != status || r.Header.Get("Allow") != allow {
			t.Errorf("%s %s: got %d, Allow %q, want %d, %q", method, path, r.StatusCode, r.Header.Get("Allow"), status, allow)
		}
		if got := body(t, r); !strings.Contains(got, `"schema":"plimsoll.dev/error/v1"`) || !strings.Contains(got, want) {
			t.Errorf("%s %s: got %s, want %q in it", method, path, got, want)
		}
	}
	f("GET", "/api/y", 404, "", `there is nothing at \"/api/y\"`)
	f("GET", "//api/y", 404, "", `there is nothing at`)
	f("POST", "/api/x", 405, "GET, HEAD", `cannot POST \"/api/x\": it takes GET, HEAD`)
}

func TestOtherHostsAreRefusedOnLoopback(t *testing.T) {
	f := func(host string, want int) {
		t.Helper()
		r := httptest.NewRequest("GET", "http://localhost/x", nil)
		r.Host = host
		if got := try(t, loop(fails(nil)), r).StatusCode; got != want {
			t.Errorf("host %q: got %d, want %d", host, got, want)
		}
	}
	f("localhost:8082", 200)
	f("127.0.0.1:8082", 200)
	f("[::1]:8082", 200)
	f("LOCALHOST", 200)
	f("evil.example:8082", 421)
	f("127.0.0.1.evil.example", 421)
	f("", 421)
}

func TestCrossOriginWritesAreRefused(t *testing.T) {
	f := func(method, origin string, want int) {
		t.Helper()
		r := httptest.NewRequest(method, "http://localhost/x", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if got := try(t, loop(fails(nil)), r).StatusCode; got != want {
			t.Errorf("%s from %q: got %d, want %d", method, origin, got, want)
		}
	}
	f("GET", "http://evil.example", 403)
	f("GET", "null", 403)
	f("GET", "http://localhost", 200)
	f("POST", "http://evil.example", 403)
	f("POST", "http://localhost", 200)
	f("POST", "", 200) // curl and remote write send no Origin
}

func TestLimits(t *testing.T) {
	read := Route{Pattern: "/x", MaxBody: 10, Handle: func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	}}
	if got := try(t, loop(read), httptest.NewRequest("POST", "http://localhost/x", strings.NewReader("12345678901"))).StatusCode; got != 413 {
		t.Errorf("declared body over the limit: got %d, want 413", got)
	}
	chunked := httptest.NewRequest("POST", "http://localhost/x", io.MultiReader(strings.NewReader("123456"), strings.NewReader("78901")))
	chunked.ContentLength = -1
	if got := try(t, loop(read), chunked).StatusCode; got != 413 {
		t.Errorf("chunked body over the limit: got %d, want 413", got)
	}

	reg := prometheus.NewRegistry()
	enter, leave := make(chan bool), make(chan bool)
	slow := Route{Pattern: "/x", InFlight: 1, Handle: func(http.ResponseWriter, *http.Request) error { enter <- true; <-leave; return nil }}
	o := loop(slow)
	o.Registerer = reg
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	m := newMetrics(o.Registerer)
	h := handler(o, nil, m, newGuard(m))
	done := make(chan bool)
	go func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost/x", nil))
		close(done)
	}()
	<-enter
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/x", nil))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("second request in flight: got %d, Retry-After %q; want 503 and a time", w.Code, w.Header().Get("Retry-After"))
	}
	leave <- true
	<-done
	if n, err := testutil.GatherAndCount(reg, "plimsoll_http_requests_refused_total"); err != nil || n != 1 {
		t.Errorf("refused requests: %d series, %v; want 1", n, err)
	}
}

func TestPanicCostsOneRequest(t *testing.T) {
	r := Route{Pattern: "/x", Handle: func(http.ResponseWriter, *http.Request) error { panic("bug") }}
	if got := try(t, loop(r), httptest.NewRequest("GET", "http://localhost/x", nil)).StatusCode; got != 500 {
		t.Errorf("got %d, want 500", got)
	}
}

func TestDoors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	cert, key := selfSigned(t, dir)
	tlsOnly := "tls_server_config:\n  cert_file: " + cert + "\n  key_file: " + key + "\n"
	// the bcrypt hash of "secret" with cost 4
	users := "basic_auth_users:\n  ann: $2a$04$" + "m8wKKKGUpL7iKQzfpMrLGOqHMMzV8OVcBV7cFfLEuv0YBkeYc1vVq\n"
	f := func(listen, config, want string) {
		t.Helper()
		err := (&Options{Listen: listen, WebConfig: config}).Validate()
		if want == "" && err != nil {
			t.Errorf("%s with %q: %v", listen, config, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s with %q: got %v, want an error with %q", listen, config, err, want)
		}
	}
	f("127.0.0.1:0", "", "")
	f("[::1]:0", "", "")
	f("localhost:0", "", "")
	f("0.0.0.0:0", "", "without TLS and a login")
	f(":8082", "", "without TLS and a login")
	f("10.0.0.1:1", "", `"10.0.0.1:1"`)
	f("nonsense", "", `"nonsense"`)
	f("0.0.0.0:0", write("users", users), "no tls_server_config")
	f("0.0.0.0:0", write("tls", tlsOnly), "neither basic_auth_users")
	f("0.0.0.0:0", write("both", tlsOnly+users), "")
	f("127.0.0.1:0", write("bad", "tls_server_cfg: {}\n"), "tls_server_cfg")
	f("127.0.0.1:0", filepath.Join(dir, "absent"), "absent")
}

func TestRunServesTLSAndEndsStreams(t *testing.T) {
	dir := t.TempDir()
	cert, key := selfSigned(t, dir)
	config := filepath.Join(dir, "web.yaml")
	if err := os.WriteFile(config, []byte("tls_server_config:\n  cert_file: "+cert+"\n  key_file: "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stream := Route{Pattern: "/stream", Stream: true, Handle: func(w http.ResponseWriter, r *http.Request) error {
		fmt.Fprint(w, "hello")
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		<-r.Context().Done()
		return nil
	}}
	s, err := New(Options{Listen: "127.0.0.1:0", WebConfig: config, Routes: []Route{stream}})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	r, err := client.Get("https://" + addr.String() + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := io.ReadFull(r.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := New(Options{Listen: addr.String()}); err != nil {
		t.Errorf("a free address: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	a, err := New(Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := a.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := New(Options{Listen: addr.String()})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), addr.String()) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v; want an error with the address and the flag", err)
	}
}

func TestHealth(t *testing.T) {
	routes := Health([]Check{
		{Name: "collector", Stuck: func() error { return nil }, Test: func() error { return nil }},
		{Name: "store", Test: func() error { return errors.New("disk full") }},
		{Name: "samples", Fed: true, Test: func() error { return errors.New("none yet") }},
		{Name: "hook/known", Told: true, Test: func() error { return errors.New("nobody told") }},
		{Name: "certificates", Warns: true, Test: func() error { return errors.New("a right is missing") }},
	})
	f := func(path string, want int, text string) {
		t.Helper()
		r := try(t, loop(routes...), httptest.NewRequest("GET", "http://localhost"+path, nil))
		if got := body(t, r); r.StatusCode != want || !strings.Contains(got, text) {
			t.Errorf("%s: got %d %q, want %d with %q", path, r.StatusCode, got, want, text)
		}
	}
	f("/livez", 200, "ok")
	f("/livez?verbose", 200, "[+]collector ok")
	f("/readyz", 503, "[-]store failed: disk full")
	f("/livez?verbose", 200, "[-]hook/known failed: nobody told") // a restart mends nothing
	f("/readyz?exclude=store", 503, "[-]hook/known failed: nobody told")
	f("/readyz?exclude=store&exclude=hook/known", 200, "ok")
	f("/readyz?exclude=store&exclude=hook/known&verbose", 200, "[-]certificates failed: a right is missing")
	f("/readyz/certificates", 503, "a right is missing")
	f("/livez/certificates", 404, `"certificates"`)
	f("/healthz?exclude=store&exclude=samples&exclude=hook/known", 503, "a right is missing")
	f("/readyz/hook/known", 503, "nobody told")
	f("/readyz/collector", 200, "ok")
	f("/readyz/store", 503, "disk full")
	f("/readyz/nobody", 404, `"nobody"`)
	f("/readyz/samples", 404, `"samples"`) // it can take them
	f("/healthz?exclude=store", 503, "[-]samples failed: none yet")
}

// A part that is late makes the process not ready, and is no reason to start it again before it stands still.
func TestLateIsNotStuck(t *testing.T) {
	var still error
	routes := Health([]Check{{Name: "collector", Test: func() error { return errors.New("4 s late") }, Stuck: func() error { return still }}})
	ask := func(path string) int {
		return try(t, loop(routes...), httptest.NewRequest("GET", "http://localhost"+path, nil)).StatusCode
	}
	if live, ready, all := ask("/livez"), ask("/readyz"), ask("/healthz"); live != 200 || ready != 503 || all != 503 {
		t.Errorf("late: /livez %d, /readyz %d, /healthz %d", live, ready, all)
	}
	still = errors.New("no tick for two minutes")
	if live := ask("/livez"); live != 503 {
		t.Errorf("stuck: /livez %d", live)
	}
}

// What cannot be read because nobody waits for it any more, or for too long, is told like that.
func TestReadErrorOfAClient(t *testing.T) {
	for err, want := range map[error]int{context.Canceled: 499, context.DeadlineExceeded: 504, store.ErrClosed: 503, errors.New("disk"): 500} {
		if got := statusOf(ReadError("the history", fmt.Errorf("sorry: %w", err))); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
}

// Whoever asks for what fails, again and again, fills no log.
func TestFailuresAreToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := loop(fails(Unavailable("no place")))
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		m := newMetrics(nil)
		h := handler(o, nil, m, newGuard(m))
		for range 2500 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost/x", nil))
			time.Sleep(10 * time.Millisecond)
		}
		if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 3 || !strings.Contains(lines[0], "failed=1 ") || !strings.Contains(lines[2], "failed=1000 ") {
			t.Errorf("25 seconds of failures are told in %d lines: %q", len(lines), lines)
		}
	})
}

// A client that sends all of a body before it reads is told why it was refused.
func TestLargeBodyIsToldWhy(t *testing.T) {
	route := Route{Method: "POST", Pattern: "/x", MaxBody: 5 << 20, Handle: func(http.ResponseWriter, *http.Request) error { return nil }}
	addr, _ := running(t, loop(route))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = 12 << 20
	if _, err := fmt.Fprintf(conn, "POST /x HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", addr, size); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Errorf("cannot send it: %v", err)
	}
	said, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 413 ") || !strings.Contains(string(said), "at most 5242880 are read") {
		t.Errorf("got %.300q, %v", said, err)
	}
}

// What is given as an address and holds a login is not shown.
func TestListenShowsNoLogin(t *testing.T) {
	_, err := Take(t.Context(), Options{Listen: "127.0.0.1:u:S3CRET@127.0.0.1:1"})
	if err == nil || strings.Contains(err.Error(), "S3CRET") {
		t.Errorf("got %v", err)
	}
	if _, err := listen(t.Context(), "u:S3CRET@127.0.0.1:1", "--listen"); err == nil || strings.Contains(err.Error(), "S3CRET") {
		t.Errorf("got %v", err)
	}
}
