package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
	"plimsoll.dev/plimsoll/internal/serve"
)

// local answers the API's paths from this machine's cgroups, read when asked: what 'top --local' shows.
type local struct {
	names   *names.Names
	fast    *cgroup.Reader
	picture *live.Picture
	handler http.Handler
	stop    context.CancelFunc
	ended   chan error
	read    bool
}

// openLocal builds the shortest flow: fast reader, picture, API.
func (a *app) openLocal(ctx context.Context) (*local, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	l := &local{ended: make(chan error, 1)}
	if l.names, err = names.New(names.Options{Node: host, Sockets: names.DefaultSockets()}); err != nil {
		return nil, err
	}
	if l.fast, err = cgroup.New(cgroup.Options{Node: host, Namer: l.names}); err != nil {
		return nil, fmt.Errorf("cannot read this machine ('plimsoll doctor' says more): %w", err)
	}
	full, err := cadvisor.New(cadvisor.Options{Node: host, Namer: l.names, Starts: l.fast})
	if err != nil {
		return nil, err
	}
	if l.picture, err = live.New(live.Options{}); err != nil {
		return nil, err
	}
	if err := l.picture.Apply(full.Read(time.Now())); err != nil { // capacities and limits, which the fast reader does not read
		return nil, fmt.Errorf("cannot use what was read: %w", err)
	}
	served, err := api.New(api.Options{Pictures: l.picture, Since: time.Now()})
	if err != nil {
		return nil, err
	}
	if l.handler, err = serve.Handler(serve.Options{Listen: "127.0.0.1:0", Routes: ours(served.Routes())}); err != nil {
		return nil, err
	}
	ctx, l.stop = context.WithCancel(ctx)
	go func() { l.ended <- l.names.Run(ctx) }()
	return l, nil
}

// get reads the cgroups (twice, a second apart, the first time: a rate needs two looks) and answers from them.
func (l *local) get(ctx context.Context, path string, v any) error {
	for range 2 {
		if err := l.picture.Apply(l.fast.Read(time.Now())); err != nil {
			return fmt.Errorf("cannot use what was read: %w", err)
		}
		if l.read {
			break
		}
		l.read = true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	w := httptest.NewRecorder() // nothing travels: the handler is called in this process
	l.handler.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			return fmt.Errorf("cannot show %q: %d", path, w.Code)
		}
		return fmt.Errorf("cannot show %q: %s", path, p.Error)
	}
	return json.Unmarshal(w.Body.Bytes(), v)
}

// Close ends what openLocal began.
func (l *local) Close() error {
	l.stop()
	return errors.Join(<-l.ended, l.fast.Close())
}
