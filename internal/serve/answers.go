package serve

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/places"
)

const (
	// waitingBytes is how much of all answers may wait for whoever asked to read it. A quarter is for small ones.
	waitingBytes = 64 << 20
	smallAnswer  = 1 << 20
	// leastAnswer is what the smallest answer counts as, with what is kept for its request; rowBytes is what a row of one may have, and
	// pieceBytes what is kept of it where the answer is written in pieces.
	leastAnswer, rowBytes, pieceBytes = 4 << 10, 1 << 10, 256
	// smallMakers is how many small answers are made at a time.
	smallMakers = 16
	// usualReadTime is how long an answer may wait to be read before one that needs its place may take it.
	usualReadTime = 2 * time.Second
	// readPace is how many bytes a second must be read where nobody needs the place.
	readPace = 1 << 20
	// makeTime is how long a request waits until its answer can be made, placeTime how long the answer then waits for a place, cutTime the
	// same while another is being cut off, or where the client has no other.
	makeTime, placeTime, cutTime = 5 * time.Second, 50 * time.Millisecond, 2 * time.Second
)

// answers bound the memory of what is on its way to clients: how much is made at once, and how much waits to be read. Small ones have makers
// and bytes of their own, so that they never wait behind large ones.
type answers struct {
	small, large *kind
}

// kind are the answers of one kind.
type kind struct {
	making *places.Places
	room
}

func newAnswers(o Options) *answers {
	few := min(max(runtime.GOMAXPROCS(0), 2), 4) // each may be as large as the picture
	return &answers{
		small: &kind{places.New(places.Options{Most: smallMakers}), newRoom(o.maxWaiting/4, o.readTime)},
		large: &kind{places.New(places.Options{Most: few}), newRoom(o.maxWaiting-o.maxWaiting/4, o.readTime)},
	}
}

// of is the kind of an answer of so many bytes.
func (a *answers) of(bytes int) *kind {
	if bytes > smallAnswer {
		return a.large
	}
	return a.small
}

// room is the memory in which answers wait to be read. One client has half of it at most, unless it has one answer alone there. Whoever reads
// too slowly loses the answer to the next who asks.
type room struct {
	most     int
	readTime time.Duration

	mu      sync.Mutex
	left    int
	by      map[string]int // bytes, by client
	waiting map[*place]struct{}
	freed   chan struct{} // closed when bytes come back
}

func newRoom(most int, readTime time.Duration) room {
	return room{most: most, readTime: readTime, left: most, by: map[string]int{}, waiting: map[*place]struct{}{}, freed: make(chan struct{})}
}

// place is where an answer waits.
type place struct {
	client string
	bytes  int
	since  time.Time
	cut    func()
	gone   bool // it was cut off, and ends soon
}

// take finds a place for an answer, which may be larger than all places if it is the only one.
func (r *room) take(p *place) error {
	patience := placeTime
	for began := time.Now(); ; {
		r.mu.Lock()
		short := r.short(p)
		if short <= 0 {
			p.since = time.Now()
			r.left -= p.bytes
			r.by[p.client] += p.bytes
			r.waiting[p] = struct{}{}
			r.mu.Unlock()
			return nil
		}
		first, freed := r.by[p.client] == 0, r.freed
		due := r.displace(p, short)
		r.mu.Unlock()
		if due == 0 {
			patience = max(patience, cutTime)
		} else if first {
			patience = r.readTime + cutTime
		}
		wait := patience - time.Since(began)
		if wait <= 0 {
			return Unavailable("answers that are not read take up the memory for them; try again")
		}
		if due > 0 {
			wait = min(wait, due)
		}
		again := time.NewTimer(wait)
		select {
		case <-freed:
			again.Stop()
		case <-again.C:
		}
	}
}

// short is how many bytes there are too few for an answer, of its client's or of all. A client's only answer always has a place if it is among
// the smallest: that is how health and acknowledgements are told. The caller has mu.
func (r *room) short(p *place) int {
	mine := r.by[p.client]
	switch {
	case len(r.waiting) == 0, mine == 0 && p.bytes <= leastAnswer:
		return 0
	case mine == 0:
		return p.bytes - r.left
	}
	return max(mine+p.bytes-r.most/2, p.bytes-r.left)
}

// displace cuts off answers that have not been read in time, those that have waited for longest first, until there are enough bytes: of the
// client that asks where it has its half, else of the one that has most. It says how long it takes until the next may be; 0: enough are cut
// off. The caller has mu.
func (r *room) displace(p *place, short int) time.Duration {
	from := p.client
	if mine := r.by[from]; mine == 0 || mine+p.bytes <= r.most/2 {
		for client, n := range r.by {
			if n > r.by[from] {
				from = client
			}
		}
	}
	var theirs []*place
	for q := range r.waiting {
		if q.client == from {
			theirs = append(theirs, q)
		}
	}
	slices.SortFunc(theirs, func(a, b *place) int { return a.since.Compare(b.since) })
	for _, q := range theirs {
		if short <= 0 {
			break
		}
		if due := r.readTime - time.Since(q.since); !q.gone && due >= 0 {
			return due + time.Millisecond
		}
		if !q.gone {
			q.gone = true
			q.cut()
		}
		short -= q.bytes
	}
	return 0
}

// give gives a place back.
func (r *room) give(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waiting[p]; !ok {
		return
	}
	delete(r.waiting, p)
	r.left += p.bytes
	if r.by[p.client] -= p.bytes; r.by[p.client] == 0 {
		delete(r.by, p.client)
	}
	close(r.freed)
	r.freed = make(chan struct{})
}
