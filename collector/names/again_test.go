package names

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// answers are a runtime behind no socket, for a clock of the test's own: single containers are answered by a function.
type answers struct {
	list   string
	events io.Reader
	life   func(ctx context.Context) (string, error)
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body := io.Reader(strings.NewReader(a.list))
	switch r.URL.Path {
	case "/events":
		body = a.events
	case "/containers/json":
	default:
		text, err := a.life(r.Context())
		if err != nil {
			return nil, err
		}
		body = strings.NewReader(text)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), Request: r}, nil
}

// A container that crashes is in sight for as long as its runtime has not said what becomes of it, and the runtime is asked again, each time after a longer pause, until it has.
func TestARuntimeIsAskedAgain(t *testing.T) {
	const runs, rests, ended = `{"RestartCount":13,"State":{"Running":true}}`, `{"RestartCount":14,"State":{"Running":true,"Restarting":true}}`, `{"RestartCount":13,"State":{}}`
	refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	hangs := func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	for _, c := range []struct {
		name   string
		socket string
		die    int                              // seconds after the cgroup's end at which the runtime tells it; -1: never
		answer func(after time.Duration) string // since the cgroup's end; "": it hangs
		err    error
		until  int // seconds for which it is in sight; 0: for ever
		asks   int // at most
		last   float64
	}{
		{"it answers at once", "/run/docker.sock", 0, func(time.Duration) string { return rests }, nil, 0, 1, 14},
		{"it is slow", "/run/docker.sock", 0, func(after time.Duration) string {
			if after < 12*time.Second {
				return ""
			}
			return rests
		}, nil, 0, 4, 14},
		{"it says that it runs", "/run/docker.sock", 0, func(after time.Duration) string {
			if after < 20*time.Second {
				return runs
			}
			return rests
		}, nil, 0, 6, 14},
		{"podman says that it runs", "/run/podman/podman.sock", 0, func(after time.Duration) string {
			if after < 20*time.Second {
				return runs
			}
			return rests
		}, nil, 0, 6, 14},
		{"it does not say that it ended", "/run/docker.sock", -1, func(time.Duration) string { return rests }, nil, 0, 1, 14},
		{"its word is late", "/run/docker.sock", 30, func(after time.Duration) string {
			if after < 30*time.Second {
				return runs
			}
			return rests
		}, nil, 0, 8, 14},
		{"it is late to say that it is given up", "/run/docker.sock", 0, func(after time.Duration) string {
			if after < 20*time.Second {
				return runs
			}
			return ended
		}, nil, 40, 6, 13},
		{"it never answers", "/run/docker.sock", 0, func(time.Duration) string { return "" }, nil, 300, 11, 13},
		{"it is always wrong", "/run/docker.sock", 0, func(time.Duration) string { return runs }, nil, 300, 11, 13},
		{"there is none", "/run/docker.sock", -1, nil, refused, 10, 1, 13},
		{"it fails", "/run/docker.sock", 0, nil, errors.New("broken"), 300, 11, 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := "/docker/" + idA
				died := "die"
				if strings.Contains(c.socket, "podman") {
					path, died = "/machine.slice/libpod-"+idA+".scope", "died"
				}
				n, err := New(Options{Node: "n1", Sockets: []string{c.socket}})
				if err != nil {
					t.Fatal(err)
				}
				var stands atomic.Bool
				stands.Store(true)
				n.exists = func(string) bool { return stands.Load() }
				events, tell := io.Pipe()
				var asks atomic.Int32
				var end time.Time
				n.sockets[0].client.Transport = &answers{list: `[{"Id":"` + idA + `","Names":["/crash"],"State":"running"}]`, events: events, life: func(ctx context.Context) (string, error) {
					if stands.Load() {
						return runs, nil
					}
					asks.Add(1)
					if c.err != nil {
						return "", c.err
					}
					if text := c.answer(time.Since(end)); text != "" {
						return text, nil
					}
					return hangs(ctx)
				}}
				ctx, cancel := context.WithCancel(t.Context())
				defer tell.Close()
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- n.Run(ctx) }()
				last := 0.0
				inSight := func() bool {
					n.Name(path)
					groups, _ := Crashing{n}.Read(time.Now())
					for _, g := range groups {
						last = g.Points[0].V
					}
					return len(groups) == 1
				}
				for range 5 {
					time.Sleep(time.Second)
					inSight()
				}
				if !inSight() {
					t.Fatal("it is not in sight while it runs")
				}
				end = time.Now()
				stands.Store(false)
				gone := -1
				for i := range 280 {
					if i == c.die {
						go fmt.Fprintf(tell, `{"Type":"container","Action":%q,"Actor":{"ID":%q,"Attributes":{"name":"crash"}}}`+"\n", died, idA)
					}
					time.Sleep(500 * time.Millisecond)
					if sees := inSight(); !sees && gone < 0 {
						gone = i
					} else if sees && gone >= 0 {
						t.Errorf("second %d: it is in sight again", i)
					}
					time.Sleep(500 * time.Millisecond)
				}
				switch {
				case c.until == 0 && gone >= 0 || c.until != 0 && gone > c.until || c.until > 40 && gone >= 0 && gone < 60:
					t.Errorf("out of sight from second %d on, want %d", gone, c.until)
				case int(asks.Load()) > c.asks || asks.Load() == 0:
					t.Errorf("asked %d times, want 1 to %d", asks.Load(), c.asks)
				case last != c.last:
					t.Errorf("%v restarts at last, want %v", last, c.last)
				}
				cancel()
				tell.Close()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
