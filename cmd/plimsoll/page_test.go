package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/view"
)

// front is a fake. It stands for the API server of a cluster, which needs a login and has a page and an overview for it.
func front(t *testing.T, status int) (kubeconfig string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer anns" {
			t.Errorf("%s comes with %v", r.URL, r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		switch {
		case status == http.StatusForbidden:
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"schema": "plimsoll.dev/error/v1", "status": 403, "error": "\"ann\" may not: verb \"list\" on \"pods\" is missing"}`)
		case status != http.StatusOK:
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"kind": "Status", "message": "the server could not find the requested resource"}`)
		case r.URL.Path == view.Base+"/pages":
			_, _ = io.WriteString(w, "<!doctype html>")
		default:
			_, _ = fmt.Fprintf(w, `{"schema": "s", "items": [{"namespace": "shop", "pod": "cart", "name": "%s"}]}`, strings.TrimPrefix(r.URL.Path, view.Base))
		}
	}))
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "config")
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	text := "apiVersion: v1\nkind: Config\ncurrent-context: none\ncontexts: [{name: c, context: {cluster: c, user: ann}}]\nclusters: [{name: c, cluster: {server: " + s.URL + ", certificate-authority-data: " + ca + "}}]\nusers: [{name: ann, user: {token: anns}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Commands ask through the API server of a kubeconfig, with the person's login; errors say what is missing.
func TestThroughTheAPIServer(t *testing.T) {
	path := front(t, http.StatusOK)
	for _, args := range [][]string{{"top", "containers"}, {"explain", "--missing"}, {"capacity"}, {"fit", "--cpu", "1"}, {"rightsize"}} {
		got := call(t, nil, "", append(args, "--kubeconfig", path, "--context", "c", "-o", "json")...)
		if got.code != exitDone || !strings.Contains(got.out, `"schema"`) {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := call(t, map[string]string{"PLIMSOLL_CONTEXT": "c"}, "", "top", "containers", "--kubeconfig", path); got.code != exitDone || !strings.Contains(got.out, "/containers") {
		t.Errorf("a context of the environment: %+v", got)
	}
	f := func(code int, want string, args ...string) {
		t.Helper()
		if got := call(t, nil, "", args...); got.code != code || !strings.Contains(got.err, want) {
			t.Errorf("%q: got %+v, want %d with %q", args, got, code, want)
		}
	}
	f(exitUsage, `"nowhere"`, "top", "pods", "--kubeconfig", path, "--context", "nowhere")
	f(exitUsage, "cannot tell how to reach the cluster", "top", "pods", "--kubeconfig", path+".none")
	f(exitUsage, "leave either out", "top", "pods", "--kubeconfig", path, "--server", "https://x.example")
	f(exitFailed, `"ann" may not: verb "list" on "pods" is missing`, "page", "--no-browser", "--kubeconfig", front(t, http.StatusForbidden), "--context", "c")
	f(exitFailed, "kubectl get apiservice v1alpha1.view.plimsoll.dev", "page", "--no-browser", "--kubeconfig", front(t, http.StatusNotFound), "--context", "c")
}

// As kubectl's plugin a command asks the cluster of the current context, unless a server is named.
func TestPlugin(t *testing.T) {
	path := front(t, http.StatusOK)
	t.Setenv("KUBECONFIG", path)
	run := func(args ...string) called {
		var out, errs bytes.Buffer
		a := &app{streams: streams{in: strings.NewReader(""), out: &out, err: &errs}, env: func(string) (string, bool) { return "", false }, plugin: true}
		return called{a.execute(t.Context(), args), out.String(), errs.String()}
	}
	if got := run("top", "containers", "--context", "c"); got.code != exitDone || !strings.Contains(got.out, "cart") {
		t.Errorf("got %+v", got)
	}
	if got := run("top", "containers", "--server", "http://127.0.0.1:1"); got.code != exitFailed || !strings.Contains(got.err, "127.0.0.1:1") {
		t.Errorf("a server that is named: %+v", got)
	}
}

// The page is at the address that is printed, until the command is interrupted.
func TestPage(t *testing.T) {
	path := front(t, http.StatusOK)
	ctx, interrupt := context.WithCancel(t.Context())
	in, out := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- execute(ctx, streams{in: strings.NewReader(""), out: out, err: io.Discard}, func(string) (string, bool) { return "", false }, []string{"page", "--no-browser", "--kubeconfig", path, "--context", "c"})
	}()
	said := make([]byte, 1000)
	n, err := in.Read(said)
	_, address, ok := strings.Cut(string(said[:n]), ": http")
	if err != nil || !ok {
		t.Fatalf("it says %q, %v", said[:n], err)
	}
	address, _, _ = strings.Cut("http"+address, "\n")
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || string(body) != "<!doctype html>" {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	interrupt()
	select {
	case code := <-done:
		if code != exitDone {
			t.Errorf("ended with %d", code)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if _, err := http.Get(address); err == nil {
		t.Error("the page is still there")
	}
}
