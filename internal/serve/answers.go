package serve

import (
	"net/http"
	"sync"
	"time"
)

const (
	// smallAnswer is what any answer may have in memory without being counted: the kernel takes it at once.
	smallAnswer = 64 << 10
	// waitingBytes is how much of all larger answers may wait for whoever asked to read it.
	waitingBytes = 64 << 20
	// makers is how many answers are made at once for a route: each may be as large as the picture.
	makers = 2
	// usualReadTime is how long an answer may wait to be read before one that needs its place may take it.
	usualReadTime = 2 * time.Second
	// readPace is how many bytes a second must be read where nobody needs the place.
	readPace = 1 << 20
	// makeTime is how long a request waits until its answer can be made, placeTime how long the answer then waits for a place, cutTime the
	// same while another is being cut off.
	makeTime, placeTime, cutTime = 5 * time.Second, 50 * time.Millisecond, 2 * time.Second
)

// answers bound the memory of what is on its way to clients: how much is made at once, and how much waits to be read. Whoever reads too
// slowly loses the answer to the next who asks.
type answers struct {
	readTime time.Duration

	mu      sync.Mutex
	left    int
	waiting map[*place]struct{}
	freed   chan struct{} // closed when bytes come back
}

func newAnswers(o Options) *answers {
	return &answers{readTime: o.readTime, left: o.maxWaiting, waiting: map[*place]struct{}{}, freed: make(chan struct{})}
}

// place is where an answer waits.
type place struct {
	bytes int
	since time.Time
	route string
	cut   func()
}

// take finds a place for an answer, which may be larger than all places if it is the only one.
func (a *answers) take(p *place) error {
	for began := time.Now(); ; {
		a.mu.Lock()
		if a.left >= p.bytes || len(a.waiting) == 0 {
			p.since = time.Now()
			a.left -= p.bytes
			a.waiting[p] = struct{}{}
			a.mu.Unlock()
			return nil
		}
		freed := a.freed
		a.mu.Unlock()
		wait := placeTime
		if a.displace("") {
			wait = cutTime
		}
		patience := time.NewTimer(wait - time.Since(began))
		select {
		case <-freed:
			patience.Stop()
		case <-patience.C:
			return Unavailable("answers that are not read take up the memory for them; try again")
		}
	}
}

// give gives a place back.
func (a *answers) give(p *place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.waiting[p]; ok {
		delete(a.waiting, p)
		a.left += p.bytes
		close(a.freed)
		a.freed = make(chan struct{})
	}
}

// displace cuts off the answer that has waited for longest, of those to a route or "" for all, if it is read too slowly. It says whether there
// was one.
func (a *answers) displace(route string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	var oldest *place
	for p := range a.waiting {
		if (route == "" || p.route == route) && (oldest == nil || p.since.Before(oldest.since)) {
			oldest = p
		}
	}
	if oldest == nil || time.Since(oldest.since) <= a.readTime {
		return false
	}
	oldest.cut()
	return true
}

// counted is the writer of an answer whose bytes are counted.
type counted struct {
	http.ResponseWriter
	of    *answers
	route string
	made  func() // called when the answer is made
	held  *place // nil: each write finds its own
	gzip  bool   // whoever asks takes it packed
}

// Unwrap returns the writer below.
func (w *counted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write writes a part of an answer, which waits for its place if it is large.
func (w *counted) Write(b []byte) (int, error) {
	if w.held == nil {
		release, err := w.Reserve(len(b))
		if err != nil {
			return 0, err
		}
		defer release()
	}
	return w.ResponseWriter.Write(b)
}

// Reserve finds a place for so many bytes that are to be written, until release. Its error is one to answer with.
func (w *counted) Reserve(bytes int) (release func(), err error) {
	defer w.made()
	if bytes <= smallAnswer {
		return func() {}, nil
	}
	rc := http.NewResponseController(w.ResponseWriter)
	p := &place{bytes: bytes, route: w.route, cut: func() { _ = rc.SetWriteDeadline(time.Now()) }}
	if err := w.of.take(p); err != nil {
		return nil, err
	}
	w.held = p
	_ = rc.SetWriteDeadline(time.Now().Add(10*time.Second + time.Duration(bytes)*time.Second/readPace)) // not supported by test recorders
	return func() {
		w.held = nil
		w.of.give(p)
	}, nil
}

// places are those of the answers of a route that are being made.
type places chan struct{}

// wait takes a place; made gives it back.
func (p places) wait() (made func(), err error) {
	patience := time.NewTimer(makeTime)
	defer patience.Stop()
	select {
	case p <- struct{}{}:
		return sync.OnceFunc(func() { <-p }), nil
	case <-patience.C:
		return nil, Unavailable("other large answers are being made; try again")
	}
}
