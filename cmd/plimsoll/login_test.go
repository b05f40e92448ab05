package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/aggregator/ingest"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// A token that is replaced is used from then on; one that cannot be read leaves the last in force, and says so once.
func TestLoginIsReadAgain(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "token")
	var logs bytes.Buffer
	var l *login
	n := 0
	ask := func(text, want string) {
		t.Helper()
		if n++; text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			at := time.Unix(1_780_000_000+int64(n), 0) // the file's time may not move within a test
			if err := os.Chtimes(file, at, at); err != nil {
				t.Fatal(err)
			}
		}
		if l == nil {
			var err error
			if l, err = newLogin("", file, 1, slog.New(slog.NewTextHandler(&logs, nil))); err != nil {
				t.Fatal(err)
			}
			l.every = 0
		}
		resp, err := (&http.Client{Transport: l}).Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got != want {
			t.Errorf("after %q: got %q, want %q", text, got, want)
		}
	}
	ask("one", "Bearer one")
	ask("two", "Bearer two")
	ask("two\nlines", "Bearer two")
	ask("", "Bearer two")
	if n := strings.Count(logs.String(), "kept the old login"); n != 1 {
		t.Errorf("told %d times: %s", n, logs.String())
	}
	ask("six", "Bearer six")
}

func TestFix(t *testing.T) {
	f := doorFlags{"--server", "--server-ca-file", "--server-token-file"}
	for _, c := range []struct {
		status int
		err    error
		want   string
	}{
		{401, nil, "--server-token-file"},
		{404, nil, "--server the right one"},
		{0, fmt.Errorf("post: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), "--server-ca-file"},
		{0, x509.CertificateInvalidError{Reason: x509.Expired}, "renew the server's certificate"},
		{0, x509.HostnameError{Certificate: &x509.Certificate{}}, "a name that is in the server's certificate"},
		{0, errors.New("http: server gave HTTP response to HTTPS client"), "plain HTTP"},
		{0, fmt.Errorf("dial: %w", unix.ECONNREFUSED), "is the server running"},
		{500, nil, ""},
		{0, context.DeadlineExceeded, ""},
	} {
		if got := f.fix(c.status, c.err); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%d %v: got %q, want %q", c.status, c.err, got, c.want)
		}
	}
}

// A server that fails in another way than before is told of again, with what can be done, and the same failure is not.
func TestLiveLaneTellsEachFailureOnce(t *testing.T) {
	status := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	var logs bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logs, nil))
	f := newFanout([]string{server.URL}, "", server.Client(), "me", log, prometheus.NewRegistry(), &lifecycle{})
	s, b := f[0], &metric.Batch{Node: "n1", Time: time.Now(), Fast: true}
	for _, c := range []struct {
		status, lines int
		word          string
	}{{503, 1, "503"}, {503, 1, "503"}, {401, 2, "--server-token-file"}, {401, 2, "--server-token-file"}, {204, 3, "again"}} {
		status = c.status
		s.settle(t.Context(), s.send(t.Context(), b))
		lines := strings.Split(strings.TrimSpace(logs.String()), "\n")
		if len(lines) != c.lines || !strings.Contains(lines[len(lines)-1], c.word) {
			t.Errorf("after %d: got %q, want %d lines, the last with %q", c.status, lines, c.lines, c.word)
		}
	}
}

// A collector whose history is not taken is not ready and says why, and another engine than the server is not given the server's login.
func TestHistoryElsewhereHasItsOwnLogin(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	seen := make(chan string, 1000)
	note := func(name string, status int) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- name + " " + r.Header.Get("Authorization")
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		return s
	}
	server, engine := note("server", 204), note("engine", 401)
	agent := startRole(t, "collector", "--server", server.URL, "--server-token-file", file("a", "mine"), "--history", engine.URL+"/api/v1/write",
		"--node", "edge-1", "--queue", t.TempDir(), "--interval", "1s")
	found := map[string]bool{}
	until(t, "both were sent to", 30*time.Second, func() bool {
		select {
		case s := <-seen:
			found[s] = true
		default:
		}
		return found["server Bearer mine"] && (found["engine "] || found["engine Bearer mine"])
	})
	if found["engine Bearer mine"] {
		t.Error("the engine was given the server's token")
	}
	until(t, "its health tells of the history", 30*time.Second, func() bool {
		status, body := agent.get(t, "/readyz?verbose")
		return status == 503 && strings.Contains(body, "[-]history failed") && strings.Contains(body, "--history-token-file")
	})
	got := call(t, nil, "", "collector", "--server", server.URL, "--history", server.URL+"/x", "--history-token-file", "a")
	if got.code != exitUsage || !strings.Contains(got.err, "--server-token-file") {
		t.Errorf("got %d %q", got.code, got.err)
	}
}

// The two lanes to one server have connections of their own, over HTTP/2 too: there a backlog on the same one would go before the present.
func TestLanesHaveTheirOwnConnections(t *testing.T) {
	type arrival struct{ lane, from string }
	seen := make(chan arrival, 1000)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lane := r.Header.Get(ingest.LaneHeader)
		if r.ProtoMajor != 2 {
			lane = r.Proto
		}
		seen <- arrival{lane, r.RemoteAddr}
		w.Header().Set(remotewrite.WrittenHeader, "1")
		w.WriteHeader(http.StatusNoContent)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	startRole(t, "collector", "--server", server.URL, "--server-ca-file", ca, "--node", "edge-1", "--queue", t.TempDir(), "--interval", "1s")
	live, history := map[string]bool{}, map[string]bool{}
	until(t, "both lanes were used", 30*time.Second, func() bool {
		select {
		case a := <-seen:
			switch a.lane {
			case ingest.LiveLane:
				live[a.from] = true
			case "":
				history[a.from] = true
			default:
				t.Fatalf("got %+v", a)
			}
		default:
		}
		return len(live) > 0 && len(history) > 0
	})
	for from := range live {
		if history[from] {
			t.Errorf("both lanes came by the connection from %s", from)
		}
	}
}
