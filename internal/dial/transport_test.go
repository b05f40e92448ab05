package dial

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// next is a function as a RoundTripper.
type next func(*http.Request) (*http.Response, error)

func (f next) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// write writes a file whose time is its own.
func write(t *testing.T, path, text string, at int64) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if when := time.Unix(at, 0); os.Chtimes(path, when, when) != nil {
		t.Fatal("no file time")
	}
	return path
}

// A token that is replaced is used within five seconds; one that cannot be read leaves the last in force, and says so once.
func TestLoginIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var got string
		answers := next(func(r *http.Request) (*http.Response, error) {
			got = r.Header.Get("Authorization")
			return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
		})
		file, n := filepath.Join(dir, "token"), int64(1)
		write(t, file, "one", n)
		var logs bytes.Buffer
		tr, err := New(Options{Flags: flags, TokenFile: file, Next: answers, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
		if err != nil {
			t.Fatal(err)
		}
		clients := []*http.Client{Client(tr), tr.ClientTo("192.0.2.1")}
		ask := func(text, want string, wait time.Duration) {
			t.Helper()
			if n++; text != "" {
				write(t, file, text, n)
			}
			time.Sleep(wait)
			for _, c := range clients {
				resp, err := c.Get("https://plimsoll.example")
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if got != want {
					t.Errorf("after %q: got %q, want %q", text, got, want)
				}
			}
		}
		ask("", "Bearer one", 0)
		ask("two", "Bearer one", 4*time.Second)
		ask("", "Bearer two", time.Second)
		ask("two\nlines", "Bearer two", 5*time.Second)
		ask("", "Bearer two", 5*time.Second)
		if n := strings.Count(logs.String(), "kept the old login"); n != 1 || !strings.Contains(logs.String(), "--server-token-file") {
			t.Errorf("told %d times: %s", n, logs.String())
		}
		_ = os.Remove(file)
		ask("", "Bearer two", 5*time.Second)
		ask("ann:six", "Basic YW5uOnNpeA==", 5*time.Second)
		write(t, file, "seven", 99)
		if err := tr.Read(); err != nil {
			t.Fatal(err)
		}
		ask("", "Bearer seven", 0)
	})
}

// A token in a projected volume is replaced by another folder behind a link; it has the same size.
func TestProjectedToken(t *testing.T) {
	dir := t.TempDir()
	link := func(to string) {
		t.Helper()
		made := filepath.Join(dir, "..data_tmp")
		if err := errors.Join(os.Symlink(to, made), os.Rename(made, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	for n, text := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, text), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, text, "token"), text, int64(n+1))
	}
	link("one")
	if err := os.Symlink("..data/token", filepath.Join(dir, "token")); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		got := ""
		tr, err := New(Options{Flags: flags, TokenFile: filepath.Join(dir, "token"), Next: next(func(r *http.Request) (*http.Response, error) {
			got = r.Header.Get("Authorization")
			return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"one", "two"} {
			link(want)
			time.Sleep(lookEvery)
			resp, err := Client(tr).Get("https://plimsoll.example")
			if err != nil {
				t.Fatal(err)
			}
			if _ = resp.Body.Close(); got != "Bearer "+want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

// What is wrong with a file is told by the name of the flag that it came from.
func TestFilesAreToldByTheirFlags(t *testing.T) {
	dir := t.TempDir()
	f := func(ca, token, want string) {
		t.Helper()
		if _, err := New(Options{Flags: flags, CAFile: ca, TokenFile: token}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	text := write(t, filepath.Join(dir, "text"), "two\nlines", 1)
	f(dir+"/nope", "", "cannot read --server-ca-file: open ")
	f(text, "", `text" holds no PEM certificate`)
	f("", dir+"/nope", "cannot read --server-token-file: open ")
	f("", text, `text": want user:password or a token, in one line`)
	f("", write(t, filepath.Join(dir, "empty"), " \n", 1), "in one line")
	f("", write(t, filepath.Join(dir, "control"), "to\x01ken", 1), "without control characters")
}

// Connections that lead to an address have the name of the URL's host: in the header, and in the certificate that is asked for.
// No redirect is followed. Another authority is taken up with new connections.
func TestClientTo(t *testing.T) {
	type seen struct{ host, name, from string }
	got := make(chan seen, 8)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- seen{r.Host, r.TLS.ServerName, r.RemoteAddr}
		http.Redirect(w, r, "https://elsewhere.invalid/", http.StatusFound)
	}))
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ca := write(t, filepath.Join(t.TempDir(), "ca"), string(authority), 1)
	tr, err := New(Options{Flags: flags, CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	client := tr.ClientTo(host)
	ask := func() seen {
		t.Helper()
		resp, err := client.Get("https://example.com:" + port + "/") // the name in httptest's certificate
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusFound {
			t.Errorf("got %s", resp.Status)
		}
		return <-got
	}
	first := ask()
	if first.host != "example.com:"+port || first.name != "example.com" {
		t.Errorf("got %+v", first)
	}
	if err := tr.Read(); err != nil || ask() != first {
		t.Errorf("a login that is the same made a new connection: %v", err)
	}
	write(t, ca, string(authority)+"\n", 2)
	if err := tr.Read(); err != nil || ask() == first {
		t.Errorf("the connection under another authority was kept: %v", err)
	}
}

// Connections to a name are used for a minute, those to an address for as long as they last.
func TestNamesAreLookedUpAgain(t *testing.T) {
	var made atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			made.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	f := func(what string, tr *Transport, want int32) {
		t.Helper()
		made.Store(0)
		for i := range 4 {
			if i == 2 {
				tr.mu.Lock()
				tr.looked = tr.looked.Add(-renewEvery) // a minute goes by
				tr.mu.Unlock()
			}
			resp, err := Client(tr).Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if n := made.Load(); n != want {
			t.Errorf("%s: got %d connections, want %d", what, n, want)
		}
	}
	f("a name", Plain(), 2)
	to := Plain()
	to.to = "127.0.0.1"
	f("an address", to, 1)
}

// A token that could not be read, as the process had no descriptor free, is read at the next look, though the file has not changed since.
func TestTokenThatCouldNotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	tr, err := New(Options{TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	write("newer")
	withoutFiles(t, func() { _, err = tr.login.read(false) })
	if err == nil {
		t.Fatal("it was read without a descriptor")
	}
	if _, err := tr.login.read(false); err != nil || tr.login.auth != "Bearer newer" {
		t.Errorf("%v, it sends %q", err, tr.login.auth)
	}
}

// withoutFiles does something while the process can open no more files.
func withoutFiles(t *testing.T, do func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: cur, Max: was.Max}); err != nil {
			t.Error(err)
		}
	}
	set(0)
	defer set(was.Cur)
	do()
}
