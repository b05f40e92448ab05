package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Probes is a door of its own for whoever watches over the process, as a kubelet does, which asks at the pod's address and shows no login: it serves /livez and /readyz
// and nothing else. It says which checks fail and not why, as what they say of other machines is for those with a login.
type Probes struct {
	listener *bounded
	http     *http.Server
}

// mostProbes is the most connections at once to the door for probes.
const mostProbes = 64

// OpenProbes takes the port; flag is the one that gave the address.
func OpenProbes(ctx context.Context, address, flag string, checks []Check) (*Probes, error) {
	l, err := listen(ctx, address, flag)
	if err != nil {
		return nil, err
	}
	b := newBounded(l, Options{maxConns: mostProbes, Logger: slog.New(slog.DiscardHandler)}, newMetrics(nil))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", probed(checks, func(c Check) bool { return c.Stuck != nil }, Check.lively))
	mux.HandleFunc("GET /readyz", probed(checks, func(c Check) bool { return !c.Fed && !c.Warns }, func(c Check) error { return c.Test() }))
	return &Probes{listener: b, http: &http.Server{Handler: b.atWork(mux), ConnContext: b.known, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}}, nil
}

// Addr is the address that was taken.
func (p *Probes) Addr() net.Addr { return p.listener.Addr() }

// Run serves until ctx ends.
func (p *Probes) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.http.Close() })
	defer stop()
	if err := p.http.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve probes on %q: %w", p.Addr(), err)
	}
	return nil
}

// Close gives the port back; Run does so too when it ends.
func (p *Probes) Close() error {
	if err := p.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// probed answers by some of the checks.
func probed(checks []Check, of func(Check) bool, test func(Check) error) http.HandlerFunc {
	checks = slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !of(c) })
	return func(w http.ResponseWriter, _ *http.Request) {
		var bad []string
		for _, c := range checks {
			if test(c) != nil {
				bad = append(bad, c.Name)
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if len(bad) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintf(w, "not well: %s\n", strings.Join(bad, ", "))
			return
		}
		_, _ = io.WriteString(w, "ok")
	}
}
