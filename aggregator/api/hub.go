package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"plimsoll.dev/plimsoll/internal/serve"
)

// decisionsWaiting is how many decisions wait for a slow stream; beyond that the oldest go.
const decisionsWaiting = 64

// view is what a stream shows. It is comparable: streams with equal views share their frames.
type view struct {
	sel      selection
	workload workloadKey // not zero: this workload instead of the overview
}

func (v view) isWorkload() bool { return v.workload != workloadKey{} }

// frame is one event, ready to be written.
type frame struct {
	event string
	bytes []byte
}

// newFrame writes v as an event; id 0 writes none.
func newFrame(event string, id int64, v any) (frame, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return frame{}, fmt.Errorf("cannot write the event %q as JSON: %w", event, err)
	}
	var b bytes.Buffer
	b.Grow(len(body) + 64)
	fmt.Fprintf(&b, "event: %s\n", event)
	if id != 0 {
		fmt.Fprintf(&b, "id: %d\n", id)
	}
	b.WriteString("data: ")
	b.Write(body) // JSON from Marshal has no line breaks
	b.WriteString("\n\n")
	return frame{event, b.Bytes()}, nil
}

// subscriber is one stream's mail slot: the newest picture, and the few decisions it has not taken.
type subscriber struct {
	view view
	wake chan struct{} // one signal fits

	mu        sync.Mutex
	picture   frame
	decisions []frame
}

// put leaves a frame in the slot and returns how many older ones it displaced.
func (s *subscriber) put(f frame) (displaced int) {
	s.mu.Lock()
	if f.event == "decision" {
		s.decisions = append(s.decisions, f)
		if extra := len(s.decisions) - decisionsWaiting; extra > 0 {
			s.decisions, displaced = s.decisions[extra:], extra
		}
	} else {
		if s.picture.bytes != nil {
			displaced = 1
		}
		s.picture = f
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return displaced
}

// drain empties the slot: decisions first, then the picture, which already knows them.
func (s *subscriber) drain() []frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.decisions
	if s.picture.bytes != nil {
		out = append(out, s.picture)
	}
	s.decisions, s.picture = nil, frame{}
	return out
}

// hub knows the open streams.
type hub struct {
	max     int
	metrics *metrics
	done    chan struct{} // closed when the streams have to end

	mu      sync.Mutex
	subs    map[*subscriber]struct{}
	stopped bool
}

func newHub(max int, m *metrics) *hub {
	return &hub{max: max, metrics: m, done: make(chan struct{}), subs: map[*subscriber]struct{}{}}
}

// add opens a stream, or says why not.
func (h *hub) add(v view) (*subscriber, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, serve.Unavailable("cannot open a stream: Plimsoll is shutting down")
	}
	if len(h.subs) >= h.max {
		h.metrics.rejected.Inc()
		return nil, serve.Unavailable("cannot open a stream: \"%d\" are open, which is the most; close a page or try again", h.max)
	}
	s := &subscriber{view: v, wake: make(chan struct{}, 1)}
	h.subs[s] = struct{}{}
	h.metrics.streams.Set(float64(len(h.subs)))
	return s, nil
}

func (h *hub) remove(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
	h.metrics.streams.Set(float64(len(h.subs)))
}

// stop ends all streams, and lets no new one in.
func (h *hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.stopped = true
		close(h.done)
	}
}

// views returns the different views that are open.
func (h *hub) views() map[view]struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[view]struct{}, len(h.subs))
	for s := range h.subs {
		out[s.view] = struct{}{}
	}
	return out
}

// send leaves the frame with every stream that wants it.
func (h *hub) send(f frame, wants func(view) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if wants(s.view) {
			h.metrics.dropped.Add(float64(s.put(f)))
		}
	}
}
