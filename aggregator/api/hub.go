package api

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

const (
	// decisionsWaiting is how many decisions wait for a slow stream; beyond that the oldest go.
	decisionsWaiting = 64
	// frameBytes is how much all frames may have that wait or are being written; where there is no room a stream misses a frame. A quarter is
	// for small ones, which never wait for the room of large ones.
	frameBytes = 64 << 20
	smallFrame = 1 << 20
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

// hub knows the open streams.
type hub struct {
	max     int
	metrics *metrics
	done    chan struct{} // closed when the streams have to end

	small, large atomic.Int64 // bytes that frames may still have

	mu      sync.Mutex
	subs    map[*subscriber]struct{}
	last    map[view]made // of the views that are open
	stopped bool
}

func newHub(max int, m *metrics) *hub {
	h := &hub{max: max, metrics: m, done: make(chan struct{}), subs: map[*subscriber]struct{}{}, last: map[view]made{}}
	h.small.Store(frameBytes / 4)
	h.large.Store(frameBytes - frameBytes/4)
	return h
}

// room is where a frame of so many bytes has them.
func (h *hub) room(bytes int) *atomic.Int64 {
	if bytes > smallFrame {
		return &h.large
	}
	return &h.small
}

// count takes the room for a frame, which its maker holds; ok is false where there is none. Then of the streams that take up that room the one
// that has been written to for longest, if that is too long, loses its connection.
func (h *hub) count(f frame) (counted frame, ok bool) {
	n, room := int64(len(f.bytes)), h.room(len(f.bytes))
	if room.Add(-n) < 0 {
		room.Add(n)
		h.cutSlowest(time.Now(), len(f.bytes))
		return f, false
	}
	f.held = &held{room: room}
	f.held.frame = f
	f.hold()
	return f, true
}

// countOf is count for the frame of a view, which others who open the view may share from now on.
func (h *hub) countOf(v view, f frame, now time.Time) (counted frame, ok bool) {
	f, ok = h.count(f)
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.last[v]
	m.size = len(f.bytes)
	if ok {
		m.held, m.at = f.held, now
	}
	h.last[v] = m
	return f, ok
}

// shared is the last frame of a view, where it is of this second and somebody still has it: whoever opens the same view beside a stream that is
// read slowly needs no more memory.
func (h *hub) shared(v view, now time.Time) (frame, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.last[v]; m.held != nil && now.Sub(m.at) < tickEvery {
		return m.held.again()
	}
	return frame{}, false
}

// hasRoom says whether there is room for a frame of a view, by the size of its last.
func (h *hub) hasRoom(v view, now time.Time) bool {
	h.mu.Lock()
	size := h.last[v].size
	h.mu.Unlock()
	if int64(size) <= h.room(size).Load() {
		return true
	}
	h.cutSlowest(now, size)
	return false
}

// inOrder are the views that are open, in the order in which they are served: those of small frames, then those of large ones, of each the one
// first that has waited for longest. Of a view that nothing is known of yet the first frame is being made.
func (h *hub) inOrder() (small, large []view) {
	open := h.views()
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range open {
		if m := h.last[v]; m.size > smallFrame || m.size == 0 {
			large = append(large, v)
		} else {
			small = append(small, v)
		}
	}
	byWait := func(x, y view) int {
		p, q := h.last[x], h.last[y]
		if (p.size == 0) != (q.size == 0) {
			return q.size - p.size // what is known comes first
		}
		return cmp.Or(p.at.Compare(q.at), p.size-q.size)
	}
	slices.SortFunc(small, byWait)
	slices.SortFunc(large, byWait)
	return small, large
}

// cutSlowest ends the write that has taken longest, if it takes too long, of the streams whose frames have the room of one of so many bytes.
func (h *hub) cutSlowest(now time.Time, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var slowest *subscriber
	for s := range h.subs {
		if h.room(h.last[s.view].size) == h.room(bytes) && s.stuck(now) && (slowest == nil || s.writing.Load() < slowest.writing.Load()) {
			slowest = s
		}
	}
	if slowest != nil {
		slowest.cut()
	}
}

// add opens a stream for a client, or says why not. One client has half of the streams; a further one takes the place of the one that is read
// too slowly, else of its oldest.
func (h *hub) add(v view, client string, cut func()) (*subscriber, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, serve.Unavailable("cannot open a stream: Plimsoll is shutting down")
	}
	now := time.Now()
	if mine, oldest := h.of(client, now); mine >= max(h.max/2, 1) && oldest != nil {
		stuck := oldest.stuck(now)
		if !stuck && now.Sub(oldest.since) < settledAfter {
			h.metrics.rejected.Inc()
			return nil, serve.Unavailable("cannot open a stream: \"%d\" are open from here, which is the most of one client; close a page or try again", mine)
		}
		h.drop(oldest)
		close(oldest.end)
		if stuck {
			oldest.cut()
		}
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

// of counts a client's streams, and says which of them gives way first. The caller has mu.
func (h *hub) of(client string, now time.Time) (n int, first *subscriber) {
	for s := range h.subs {
		if s.client != client {
			continue
		}
		n++
		if first == nil || s.stuck(now) && !first.stuck(now) || s.stuck(now) == first.stuck(now) && s.since.Before(first.since) {
			first = s
		}
	}
	return n, first
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

// partTime is how long a write that is under way has at the end.
const partTime = 200 * time.Millisecond

// stop ends all streams, and lets no new one in. Those that nobody reads keep no end waiting.
func (h *hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	h.stopped = true
	close(h.done)
	time.AfterFunc(partTime, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for s := range h.subs {
			if s.writing.Load() != 0 {
				s.cut()
			}
		}
	})
}

// views returns the different views that are open.
func (h *hub) views() map[view]struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[view]struct{}, len(h.subs))
	for s := range h.subs {
		out[s.view] = struct{}{}
	}
	maps.DeleteFunc(h.last, func(v view, _ made) bool { _, open := out[v]; return !open })
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
