package serve

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The door for probes tells how it is and which checks fail, and neither why nor anything else.
func TestProbes(t *testing.T) {
	var away error
	p, err := OpenProbes(t.Context(), "127.0.0.1:0", "--health-listen", []Check{
		{Name: "collector", Stuck: func() error { return nil }, Test: func() error { return nil }},
		{Name: "live", Test: func() error { return away }},
		{Name: "samples", Fed: true, Test: func() error { return errors.New("none yet") }},
		{Name: "certificates", Warns: true, Test: func() error { return errors.New("a right is missing") }},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	f := func(path string, want int, text string) {
		t.Helper()
		resp, err := http.Get("http://" + p.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); resp.StatusCode != want || !strings.Contains(string(got), text) || strings.Contains(string(got), "secret") {
			t.Errorf("%s: got %d %q, want %d with %q", path, resp.StatusCode, got, want, text)
		}
	}
	f("/livez", 200, "ok")
	f("/readyz", 200, "ok")
	away = errors.New("https://secret.example does not answer")
	f("/livez", 200, "ok")
	f("/readyz?verbose", 503, "not well: live\n")
	f("/metrics", 404, "")
	if _, err := OpenProbes(t.Context(), p.Addr().String(), "--health-listen", nil); err == nil || !strings.Contains(err.Error(), "choose another address with --health-listen") {
		t.Errorf("a port that is taken: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
