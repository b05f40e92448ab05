package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// liveSender sends the newest batch to one server. A batch that comes while one is under way replaces the one that
// waits: an old sample is worthless to the live picture.
type liveSender struct {
	url, source string
	http        *http.Client
	log         *slog.Logger
	newest      chan *metric.Batch // of one: the fast batch
	full        chan *metric.Batch // of one: everything; nil where the server has that from the history lane
	sent        prometheus.Counter
	dropped     *prometheus.CounterVec // by reason: replaced, refused, unreachable
	failing     atomic.Pointer[liveFailure]
}

// liveFailure is what keeps a server from being sent to.
type liveFailure struct {
	since  time.Time
	reason string
	status int
	err    error
}

// fanout is the live lane's end in a collector: every server has its own sender, none waits for another.
type fanout []*liveSender

// Take hands the batch to all senders and waits for none.
func (f fanout) Take(_ context.Context, b *metric.Batch) error {
	for _, s := range f {
		if b.Fast {
			s.put(s.newest, b)
		} else if s.full != nil {
			s.put(s.full, b)
		}
	}
	return nil
}

// put leaves a batch in a slot of one, in place of what is there.
func (s *liveSender) put(slot chan *metric.Batch, b *metric.Batch) {
	for {
		select {
		case slot <- b:
			return
		default:
		}
		select {
		case <-slot:
			s.dropped.WithLabelValues("replaced").Inc()
		default:
		}
	}
}

// newFanout makes a sender for each server. The one that has the history lane too needs no full batches beside it.
func newFanout(servers []string, history string, client *http.Client, source string, log *slog.Logger, reg prometheus.Registerer, life *lifecycle) fanout {
	sent := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_live_sent_total", Help: "Batches of the live lane that a server took."}, []string{"server"})
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_live_dropped_total", Help: "Batches of the live lane that a server did not get, by reason: a newer one replaced it, the server refused it, or was not reached."}, []string{"server", "reason"})
	reg.MustRegister(sent, dropped)
	var out fanout
	for _, url := range servers {
		s := &liveSender{url: strings.TrimSuffix(url, "/") + "/api/v1/write", source: source, http: client, log: log.With("server", url), newest: make(chan *metric.Batch, 1),
			sent: sent.WithLabelValues(url), dropped: dropped.MustCurryWith(prometheus.Labels{"server": url})}
		if s.url != history {
			s.full = make(chan *metric.Batch, 1)
		}
		out = append(out, s)
		life.runs("live lane to "+url, s.run)
	}
	return out
}

func (s *liveSender) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-s.newest:
			s.settle(ctx, s.send(ctx, b))
		case b := <-s.full:
			s.settle(ctx, s.send(ctx, b))
		}
	}
}

// send posts one batch; nil if it arrived.
func (s *liveSender) send(ctx context.Context, b *metric.Batch) *liveFailure {
	body, err := remotewrite.Encode(b)
	if err != nil {
		return &liveFailure{reason: "refused", err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return &liveFailure{reason: "refused", err: err}
	}
	remotewrite.SetLiveHeader(req.Header, b.Fast)
	req.Header.Set(remotewrite.SourceHeader, s.source)
	resp, err := s.http.Do(req)
	if err != nil {
		return &liveFailure{reason: "unreachable", err: dial.WithFix(err, serverFlags.Fix(0, err))}
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // the status says enough
		err := fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
		return &liveFailure{reason: "refused", status: resp.StatusCode, err: dial.WithFix(err, serverFlags.Fix(resp.StatusCode, nil))}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	return nil
}

// settle counts, and logs when the server begins or ceases to fail, or fails in another way.
func (s *liveSender) settle(ctx context.Context, f *liveFailure) {
	was := s.failing.Load()
	switch {
	case f == nil:
		s.sent.Inc()
		s.failing.Store(nil)
		if was != nil {
			s.log.Info("the server takes the live lane again", "after", time.Since(was.since).Round(time.Second).String())
		}
	case ctx.Err() != nil: // the end, which is nobody's fault
	default:
		s.dropped.WithLabelValues(f.reason).Inc()
		f.since = time.Now()
		if was != nil {
			f.since = was.since
		}
		s.failing.Store(f)
		if was == nil || was.reason != f.reason || was.status != f.status {
			s.log.Warn("the server does not take the live lane", "reason", f.reason, "err", f.err)
		}
	}
}

// health says which server has not been reached for a while.
func (s *liveSender) health() error {
	if f := s.failing.Load(); f != nil && time.Since(f.since) > 10*time.Second {
		return fmt.Errorf("%s has not taken the live lane for %s: %w", s.url, time.Since(f.since).Round(time.Second), f.err)
	}
	return nil
}

// health says which servers have not been reached for a while.
func (f fanout) health() error {
	var errs []error
	for _, s := range f {
		errs = append(errs, s.health())
	}
	return errors.Join(errs...)
}
