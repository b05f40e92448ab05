package fanout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// sender sends the newest batch to one address. A batch that comes while one is under way replaces the one that
// waits: an old sample is worthless to the live picture.
type sender struct {
	fanout  *Fanout
	label   string // in metrics and errors
	url     string
	http    *http.Client
	log     *slog.Logger
	newest  chan *metric.Batch // of one: the fast batch
	full    chan *metric.Batch // of one: everything; nil where the server has that from the history lane
	failing atomic.Pointer[failure]
	cancel  context.CancelFunc
}

// failure is what keeps an address from being sent to.
type failure struct {
	since  time.Time
	reason string
	status int
	err    error
}

// sender makes a sender to an address, or to where the name leads. The history lane goes to one of several addresses, nobody knows
// which: all get full batches.
func (s *server) sender(address string) *sender {
	x := &sender{fanout: s.fanout, label: s.name, url: s.url, http: s.fanout.opts.Client(address), log: s.log, newest: make(chan *metric.Batch, 1)}
	if address != "" {
		x.label, x.log = s.name+" ("+address+")", s.log.With("address", address)
	}
	if s.url != s.fanout.opts.History || address != "" {
		x.full = make(chan *metric.Batch, 1)
	}
	return x
}

// offer leaves a batch to be sent.
func (x *sender) offer(b *metric.Batch) {
	slot := x.newest
	if !b.Fast {
		slot = x.full
	}
	for slot != nil {
		select {
		case slot <- b:
			return
		default:
		}
		select {
		case <-slot:
			x.drop("replaced")
		default:
		}
	}
}

func (x *sender) drop(reason string) { x.fanout.dropped.WithLabelValues(x.label, reason).Inc() }

// start sends until ctx ends or the sender is cancelled; then it leaves nothing behind.
func (x *sender) start(ctx context.Context, wg *sync.WaitGroup) {
	ctx, x.cancel = context.WithCancel(ctx)
	x.fanout.sent.WithLabelValues(x.label)
	wg.Go(func() {
		defer x.cancel()
		x.run(ctx)
		x.http.CloseIdleConnections()
		x.fanout.sent.DeleteLabelValues(x.label)
		x.fanout.dropped.DeletePartialMatch(prometheus.Labels{"server": x.label})
	})
}

func (x *sender) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-x.newest:
			x.settle(ctx, x.send(ctx, b))
		case b := <-x.full:
			x.settle(ctx, x.send(ctx, b))
		}
	}
}

// send posts one batch; nil if it arrived.
func (x *sender) send(ctx context.Context, b *metric.Batch) *failure {
	body, err := remotewrite.Encode(b, identity.Wire)
	if err != nil {
		return &failure{reason: "refused", err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.url, bytes.NewReader(body))
	if err != nil {
		return &failure{reason: "refused", err: err}
	}
	remotewrite.SetLiveHeader(req.Header, b.Fast)
	req.Header.Set(remotewrite.SourceHeader, x.fanout.opts.Source)
	flags := x.fanout.opts.Flags
	resp, err := x.http.Do(req)
	if err != nil {
		x.http.CloseIdleConnections() // one of HTTP/2 to a machine that is gone would be used again and again
		return &failure{reason: "unreachable", err: dial.WithFix(dial.Hide(err), flags.Fix(0, err))}
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // the status says enough
		err := fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
		return &failure{reason: "refused", status: resp.StatusCode, err: dial.WithFix(err, flags.Fix(resp.StatusCode, nil))}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	return nil
}

// settle counts, and logs when the server begins or ceases to fail, or fails in another way.
func (x *sender) settle(ctx context.Context, f *failure) {
	was := x.failing.Load()
	switch {
	case f == nil:
		x.fanout.sent.WithLabelValues(x.label).Inc()
		x.failing.Store(nil)
		if was != nil {
			x.log.Info("the server takes the live lane again", "after", time.Since(was.since).Round(time.Second).String())
		}
	case ctx.Err() != nil: // the end, which is nobody's fault
	default:
		x.drop(f.reason)
		f.since = time.Now()
		if was != nil {
			f.since = was.since
		}
		x.failing.Store(f)
		if was == nil || was.reason != f.reason || was.status != f.status {
			x.log.Warn("the server does not take the live lane", "reason", f.reason, "err", f.err)
		}
	}
}

// health says whether the server has not been reached for a while, or does not let us in, which only a person can mend.
func (x *sender) health() error {
	if f := x.failing.Load(); f != nil && (f.status == http.StatusUnauthorized || f.status == http.StatusForbidden || time.Since(f.since) > 10*time.Second) {
		return fmt.Errorf("%s has not taken the live lane for %s: %w", x.label, time.Since(f.since).Round(time.Second), f.err)
	}
	return nil
}
