// Package places bounds how many requests are worked on at a time, and shares the places among clients: one client has all of them only while nobody
// else wants one.
package places

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// remembered is of how many clients it is known when they had a place last.
const remembered = 100

// Options say how many places there are.
type Options struct {
	// Most is how many there are, at least 1.
	Most int
	// Grace is how long who has no place, and waits for one, waits at most while a client has several or waits for more: then the request of such a
	// client that has had its place the longest, and for Grace at least, is ended. 0: nobody's is.
	Grace time.Duration
	// Displaced is told of each that was ended; it must not block. nil: nobody is told.
	Displaced func()
}

// Places are shared by clients. Where all are taken the next goes to the client with the fewest, of those to who has not had one for longest, of those
// to who came first. All methods are safe for concurrent use.
type Places struct {
	opts Options

	mu     sync.Mutex
	held   []*place
	line   []*place // in the order in which they came
	served []string // clients, by when they had a place last; the newest first
}

// place is one request's: had, or waited for.
type place struct {
	client string
	since  time.Time // when it was taken
	had    chan struct{}
	end    func() // nil if nobody may end it, or has done so
}

// New makes places. It starts nothing.
func New(o Options) *Places {
	o.Most = max(o.Most, 1)
	return &Places{opts: o}
}

// Take takes a place for a client's request, for which it waits until ctx ends; free gives it back, once. end ends the request before its time, which
// Grace may ask for; a nil end is never asked.
func (p *Places) Take(ctx context.Context, client string, end func()) (free func(), err error) {
	return p.take(ctx, client, end, 0)
}

// Share takes a place as Take does. But where none is free a client that has half of them, with those that it waits for, is refused at once.
func (p *Places) Share(ctx context.Context, client string) (free func(), err error) {
	return p.take(ctx, client, nil, max(p.opts.Most/2, 1))
}

// take takes a place. Where most is not 0, a client that has or waits for so many does not wait for more.
func (p *Places) take(ctx context.Context, client string, end func(), most int) (func(), error) {
	x := &place{client: client, had: make(chan struct{}), end: end}
	p.mu.Lock()
	if n := countOf(p.held, client) + countOf(p.line, client); most > 0 && n >= most && len(p.held) >= p.opts.Most {
		p.mu.Unlock()
		return nil, fmt.Errorf("has or waits for %d of %d places already", n, p.opts.Most)
	}
	p.line = append(p.line, x)
	p.serve()
	p.mu.Unlock()
	free := sync.OnceFunc(func() { p.give(x) })
	select {
	case <-x.had:
		return free, nil // without a timer
	default:
	}
	var looks <-chan time.Time
	if p.opts.Grace > 0 {
		look := time.NewTicker(p.opts.Grace / 10)
		defer look.Stop()
		looks = look.C
	}
	for {
		select {
		case <-x.had:
			return free, nil
		case <-looks:
			p.press(x)
		case <-ctx.Done():
			if !p.leave(x) {
				return free, nil // it came at the last moment
			}
			return nil, fmt.Errorf("waited for %d other requests: %w", p.opts.Most, ctx.Err())
		}
	}
}

// Used is how many places are taken.
func (p *Places) Used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

// leave takes who waits out of the line, unless the turn has come.
func (p *Places) leave(x *place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.line, x)
	if i < 0 {
		return false
	}
	p.line = slices.Delete(p.line, i, i+1)
	return true
}

// give gives a place to the next.
func (p *Places) give(x *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = slices.DeleteFunc(p.held, func(y *place) bool { return x == y })
	p.serve()
}

// serve gives what is free to who is next. The caller has mu.
func (p *Places) serve() {
	for len(p.held) < p.opts.Most && len(p.line) > 0 {
		x := slices.MinFunc(p.line, func(x, y *place) int {
			return cmp.Or(countOf(p.held, x.client)-countOf(p.held, y.client), p.lately(y)-p.lately(x))
		})
		p.line = slices.DeleteFunc(p.line, func(y *place) bool { return x == y })
		p.served = slices.DeleteFunc(p.served, func(c string) bool { return c == x.client })
		p.served = slices.Insert(p.served, 0, x.client)
		p.served = p.served[:min(len(p.served), remembered)]
		x.since = time.Now()
		p.held = append(p.held, x)
		close(x.had)
	}
}

// lately is the place of a client among those that had one last: the larger, the longer ago.
func (p *Places) lately(x *place) int {
	if i := slices.Index(p.served, x.client); i >= 0 {
		return i
	}
	return len(p.served)
}

// press ends the request that has run the longest of those that are in the way of one whose client has none.
func (p *Places) press(x *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.line, x) || countOf(p.held, x.client) > 0 {
		return
	}
	var longest *place
	for _, y := range p.held {
		several := countOf(p.held, y.client)+countOf(p.line, y.client) > 1
		switch {
		case y.end == nil:
			return // one is on its way out already
		case several && time.Since(y.since) >= p.opts.Grace && (longest == nil || y.since.Before(longest.since)):
			longest = y
		}
	}
	if longest == nil {
		return
	}
	longest.end()
	longest.end = nil
	if p.opts.Displaced != nil {
		p.opts.Displaced()
	}
}

// countOf is how many places of a list are a client's.
func countOf(list []*place, client string) (n int) {
	for _, x := range list {
		if x.client == client {
			n++
		}
	}
	return n
}
