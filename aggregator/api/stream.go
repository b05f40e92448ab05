package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

const (
	retryAfter    = 5 * time.Second // for a client that found no free stream
	reconnectIn   = 2 * time.Second // for a client whose stream broke
	heartbeat     = 15 * time.Second
	writeDeadline = 10 * time.Second
	seenFor       = 5 * time.Minute // what a part of the cluster is streamed to somebody before it is asked anew what they see
)

// getStream is GET /plimsoll/v1/stream: server-sent events. Everything that can be wrong with the request is
// found before the first byte, so that it is answered with a status.
func (a *API) getStream(w http.ResponseWriter, r *http.Request) error {
	v, err := streamView(r)
	if err != nil {
		return err
	}
	now := time.Now()
	v.sees = scope.From(r.Context())
	if v.isWorkload() {
		if _, err := a.workload(a.picture(now, v.sees), now, v.workload); err != nil {
			return err
		}
	}
	rc := http.NewResponseController(w)
	sub, err := a.hub.add(v, serve.ClientOf(r), func() { _ = rc.SetWriteDeadline(time.Now()) }) // not supported by test recorders
	if err != nil {
		w.Header().Set("Retry-After", fmt.Sprint(int(retryAfter.Seconds())))
		return err
	}
	defer a.hub.remove(sub)
	first, err := a.firstFrame(r.Context(), now, v)
	if err != nil {
		var full *serve.StatusError
		if errors.As(err, &full) {
			w.Header().Set("Retry-After", fmt.Sprint(int(retryAfter.Seconds())))
		}
		return err
	}

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy must not wait for more
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		first.letGo()
		return nil
	}
	out := streamWriter{w: w, rc: rc, sub: sub, metrics: a.metrics}
	err = out.write(fmt.Appendf(nil, "retry: %d\n\n", reconnectIn.Milliseconds()), first)
	if err == nil {
		err = a.pump(&out, r, sub)
	}
	if err != nil {
		a.log.Debug("stream ended", "err", err)
	}
	return nil
}

// firstFrame is what a stream begins with: the last frame of others who show the same, or one of its own.
func (a *API) firstFrame(ctx context.Context, now time.Time, v view) (frame, error) {
	if f, ok := a.hub.shared(v, now); ok {
		return f, nil
	}
	full := serve.Unavailable("cannot open a stream: others that are read too slowly take up the memory; try again")
	if !a.hub.hasRoom(v, now) {
		return frame{}, full
	}
	f, err := a.frame(a.picture(now, v.sees), now, v, func() ([]cluster.Decision, error) {
		return a.workloadDecisions(ctx, now, v.workload, decisionsMax)
	})
	if err != nil {
		return frame{}, err
	}
	f, ok := a.hub.countOf(v, f, now)
	if !ok {
		return frame{}, full
	}
	return f, nil
}

// pump writes what comes until the client goes or the server ends.
func (a *API) pump(out *streamWriter, r *http.Request, sub *subscriber) error {
	idle := time.NewTimer(heartbeat)
	defer idle.Stop()
	var over <-chan time.Time
	if !sub.view.sees.IsWhole() {
		t := time.NewTimer(seenFor)
		defer t.Stop()
		over = t.C
	}
	for {
		var err error
		select {
		case <-r.Context().Done():
			return nil
		case <-a.hub.done:
			return nil
		case <-sub.end:
			return nil
		case <-over:
			return nil
		case <-idle.C:
			err = out.write([]byte(": still here\n\n"))
		case <-sub.wake:
			err = out.write(nil, sub.drain()...)
		}
		if err != nil {
			return err
		}
		idle.Reset(heartbeat)
	}
}

// streamView reads what a stream is to show.
func streamView(r *http.Request) (view, error) {
	p := params.Read(r, "view", "workload", "limit", "q", "sort")
	v := view{sel: selectionOf(p)}
	name := p.OneOf("view", "overview", "workload")
	isWorkload := name == "workload" || p.Text("workload") != ""
	switch {
	case !isWorkload:
	case p.Values.Has("view") && name == "overview":
		p.Fail("workload %q does not go with view \"overview\": leave one of them out", p.Text("workload"))
	default:
		parts := strings.SplitN(p.Text("workload"), "/", 3)
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
			p.Fail("workload %q is not of the form namespace/kind/name", p.Text("workload"))
			break
		}
		v = view{workload: workloadKey{parts[0], parts[1], parts[2]}}
	}
	return v, p.Err
}

// streamWriter writes frames, each with its own deadline.
type streamWriter struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	sub     *subscriber
	metrics *metrics
}

// write writes the frames, and lets them go.
func (s *streamWriter) write(head []byte, frames ...frame) error {
	defer func() {
		s.sub.writing.Store(0)
		for _, f := range frames {
			f.letGo()
		}
	}()
	s.sub.writing.Store(time.Now().UnixMilli())
	err := s.rc.SetWriteDeadline(time.Now().Add(writeDeadline))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("cannot set the stream's write deadline: %w", err)
	}
	if len(head) > 0 {
		if _, err := s.w.Write(head); err != nil {
			return fmt.Errorf("cannot write to the stream: %w", err)
		}
	}
	for _, f := range frames {
		if _, err := s.w.Write(f.bytes); err != nil {
			return fmt.Errorf("cannot write to the stream: %w", err)
		}
		s.metrics.events.WithLabelValues(f.event).Inc()
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("cannot flush the stream: %w", err)
	}
	return nil
}
