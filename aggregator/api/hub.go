package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

const (
	// decisionsWaiting is how many decisions wait for a slow stream; beyond that the oldest go.
	decisionsWaiting = 64
	// frameBytes is how much all frames may have that wait or are being written; where there is no room a stream misses a frame.
	frameBytes = 64 << 20
	// writeTime is how long a stream may be written to while others need the room, and settledAfter how long one is open before another of
	// the same client may take its place.
	writeTime, settledAfter = 2 * time.Second, 10 * time.Second
)

// view is what a stream shows. It is comparable: streams with equal views share their frames.
type view struct {
	sees     scope.Scope
	sel      selection
	workload workloadKey // not zero: this workload instead of the overview
}

func (v view) isWorkload() bool { return v.workload != workloadKey{} }

// frame is one event, ready to be written. Streams share it; the room that it takes comes back when the last has let it go.
type frame struct {
	event string
	bytes []byte
	held  *held
}

// held is who still has a frame.
type held struct {
	by   atomic.Int32
	room *atomic.Int64
}

func (f frame) hold() {
	if f.held != nil {
		f.held.by.Add(1)
	}
}

func (f frame) letGo() {
	if f.held != nil && f.held.by.Add(-1) == 0 {
		f.held.room.Add(int64(len(f.bytes)))
	}
}

// newFrame writes v as an event; id 0 writes none.
func newFrame(event string, id int64, v any) (frame, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", event)
	if id != 0 {
		fmt.Fprintf(&b, "id: %d\n", id)
	}
	b.WriteString("data: ")
	if err := json.NewEncoder(&b).Encode(v); err != nil { // one line, with its end
		return frame{}, fmt.Errorf("cannot write the event %q as JSON: %w", event, err)
	}
	b.WriteByte('\n')
	return frame{event: event, bytes: b.Bytes()}, nil
}

// subscriber is one stream's mail slot: the newest picture, and the few decisions it has not taken.
type subscriber struct {
	view   view
	client string
	since  time.Time
	wake   chan struct{} // one signal fits
	cut    func()        // ends a write that is under way
	end    chan struct{} // closed when another takes its place

	writing atomic.Int64 // since when it is written to, Unix milliseconds; 0: it is not

	mu        sync.Mutex
	picture   frame
	decisions []frame
}

// put leaves a frame in the slot and returns how many older ones it displaced.
func (s *subscriber) put(f frame) (displaced int) {
	f.hold()
	s.mu.Lock()
	if f.event == "decision" {
		s.decisions = append(s.decisions, f)
		if extra := len(s.decisions) - decisionsWaiting; extra > 0 {
			for _, old := range s.decisions[:extra] {
				old.letGo()
			}
			s.decisions, displaced = s.decisions[extra:], extra
		}
	} else {
		if s.picture.bytes != nil {
			s.picture.letGo()
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
	room    atomic.Int64  // bytes that frames may still have

	mu      sync.Mutex
	subs    map[*subscriber]struct{}
	stopped bool
}

func newHub(max int, m *metrics) *hub {
	h := &hub{max: max, metrics: m, done: make(chan struct{}), subs: map[*subscriber]struct{}{}}
	h.room.Store(frameBytes)
	return h
}

// count takes the room for a frame, which its maker holds; ok is false where there is none. Then the stream that has been written to for
// longest, if that is too long, loses its connection.
func (h *hub) count(f frame) (counted frame, ok bool) {
	n := int64(len(f.bytes))
	if h.room.Add(-n) < 0 {
		h.room.Add(n)
		h.cutSlowest(time.Now())
		return f, false
	}
	f.held = &held{room: &h.room}
	f.hold()
	return f, true
}

// cutSlowest ends the write that has taken longest, if it takes too long.
func (h *hub) cutSlowest(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var slowest *subscriber
	oldest := now.Add(-writeTime).UnixMilli()
	for s := range h.subs {
		if since := s.writing.Load(); since != 0 && since < oldest {
			slowest, oldest = s, since
		}
	}
	if slowest != nil {
		slowest.cut()
	}
}

// add opens a stream for a client, or says why not. One client has half of the streams; a further one takes the place of its oldest.
func (h *hub) add(v view, client string, cut func()) (*subscriber, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, serve.Unavailable("cannot open a stream: Plimsoll is shutting down")
	}
	now := time.Now()
	if mine, oldest := h.of(client); mine >= max(h.max/2, 1) && oldest != nil {
		if now.Sub(oldest.since) < settledAfter {
			h.metrics.rejected.Inc()
			return nil, serve.Unavailable("cannot open a stream: \"%d\" are open from here, which is the most of one client; close a page or try again", mine)
		}
		h.drop(oldest)
		close(oldest.end)
	}
	if len(h.subs) >= h.max {
		h.metrics.rejected.Inc()
		return nil, serve.Unavailable("cannot open a stream: \"%d\" are open, which is the most; close a page or try again", h.max)
	}
	s := &subscriber{view: v, client: client, since: now, cut: cut, wake: make(chan struct{}, 1), end: make(chan struct{})}
	h.subs[s] = struct{}{}
	h.metrics.streams.Set(float64(len(h.subs)))
	return s, nil
}

// of counts a client's streams. The caller has mu.
func (h *hub) of(client string) (n int, oldest *subscriber) {
	for s := range h.subs {
		if s.client == client {
			n++
			if oldest == nil || s.since.Before(oldest.since) {
				oldest = s
			}
		}
	}
	return n, oldest
}

func (h *hub) remove(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(s)
}

// drop forgets a stream. The caller has mu.
func (h *hub) drop(s *subscriber) {
	delete(h.subs, s)
	h.metrics.streams.Set(float64(len(h.subs)))
	for _, f := range s.drain() {
		f.letGo()
	}
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
