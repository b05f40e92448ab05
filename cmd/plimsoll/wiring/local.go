package wiring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Local answers the API's paths from this machine's cgroups, read when asked: what 'top --local' shows.
type Local struct {
	readers readers
	picture *live.Picture
	handler http.Handler
	close   func() error
	read    bool
}

// OpenLocal wires the shortest flow: readers of the machine h, picture, API.
func OpenLocal(ctx context.Context, h host.Host) (l *Local, err error) {
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	e := newEnvironment(slog.New(slog.DiscardHandler), "")
	defer func() {
		if err != nil {
			err = errors.Join(err, e.life.Close())
		}
	}()
	l = &Local{}
	if l.readers, err = newReaders(e, Node{Name: name, Host: h}, inventories{}); err != nil {
		return nil, fmt.Errorf("cannot read this machine ('plimsoll doctor' says more): %w", err)
	}
	if l.picture, err = live.New(live.Options{}); err != nil {
		return nil, err
	}
	asked, answered := context.WithTimeout(ctx, 2*time.Second)
	l.readers.names.Check(asked) // names come before samples
	answered()
	if err := l.picture.Apply(l.readers.full.Read(time.Now())); err != nil { // capacities and limits, which the fast reader does not read
		return nil, fmt.Errorf("cannot use what was read: %w", err)
	}
	served, err := api.New(api.Options{Pictures: l.picture, Since: e.began})
	if err != nil {
		return nil, err
	}
	if l.handler, err = serve.Handler(serve.Options{Listen: "127.0.0.1:0", Routes: served.Routes()}); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- e.life.Run(ctx) }()
	l.close = func() error {
		stop()
		return errors.Join(<-ended, e.life.Close())
	}
	return l, nil
}

// Get reads the cgroups (twice, a second apart, the first time: a rate needs two looks) and answers from them.
func (l *Local) Get(ctx context.Context, path string, v any) error {
	for range 2 {
		if err := l.picture.Apply(l.readers.fast.Read(time.Now())); err != nil {
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

// Close ends what OpenLocal began.
func (l *Local) Close() error { return l.close() }
