package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// A file that cannot be used, and a login in an address, are told by the flag of the one who reads it.
func TestEachReaderNamesItsOwnFlag(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		if got := call(t, nil, "", args...); got.code != exitUsage || !strings.Contains(got.err, want) || strings.Contains(got.err, "secret") {
			t.Errorf("%q: got exit %d, %q; want 2 and %q", args, got.code, got.err, want)
		}
	}
	dir := t.TempDir()
	nope, server := filepath.Join(dir, "nope"), "https://plimsoll.example"
	role := func(name, folder string, args ...string) []string {
		return append([]string{name, "--" + folder, filepath.Join(dir, folder), "--listen", "127.0.0.1:0"}, args...)
	}
	f("cannot read --remote-ca-file: open", role("server", "data", "--remote-url", server+"/w", "--remote-ca-file", nope)...)
	f("cannot read --remote-token-file: open", role("run", "data", "--remote-url", server+"/w", "--remote-token-file", nope)...)
	f("login in --remote-token-file", role("server", "data", "--remote-url", "https://ann:secret@plimsoll.example/w")...)
	f("--remote-query-url", role("server", "data", "--remote-url", server+"/w", "--remote-query-url", "http://plimsoll.example")...)
	f("cannot read --history-ca-file: open", role("collector", "queue", "--history", server+"/w", "--history-ca-file", nope)...)
	f("login in --history-token-file", role("collector", "queue", "--history", "https://ann:secret@plimsoll.example/w")...)
	f("cannot read --server-ca-file: open", role("collector", "queue", "--server", server, "--server-ca-file", nope)...)
	f("cannot read --server-token-file: open", "top", "nodes", "--server", server, "--server-token-file", nope)
	f("cannot read --ca-file: open", "dashboards", "push", "--url", server, "--ca-file", nope)
	f("cannot read --token-file: open", "dashboards", "push", "--url", server, "--token-file", nope)
	f("cannot read --influx-token-file: open", role("server", "data", "--influx-url", server, "--influx-token-file", nope)...)
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
		lane := r.Header.Get(remotewrite.LaneHeader)
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
			case remotewrite.LiveLane:
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
