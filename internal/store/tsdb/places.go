package tsdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// grace is how long a request of the API may run before another client's may have its place.
const grace = 5 * time.Second

// errDisplaced is the cause of a request's end whose client has several while another client has none.
var errDisplaced = errors.New("ended for another client, who waited")

// places are those of the API's requests. One client has all of them only while nobody else wants one: where all are taken the next goes to the client
// with the fewest, of those to who has not had one for longest, and who has none need not wait longer than grace for one of a client that has several, or waits for more.
type places struct {
	most      int
	displaced func() // is told of each

	mu     sync.Mutex
	held   []*place
	line   []*place // in the order in which they came
	served []string // clients, by when they had a place last; the newest first, and so many that they can matter
}

// place is one request's: had, or waited for.
type place struct {
	client string
	since  time.Time // when it was taken
	had    chan struct{}
	end    context.CancelCauseFunc
}

// take takes a place for a client, for which it waits until ctx ends. within is asked with the place's end added, which may come with errDisplaced; free
// gives the place back, once.
func (p *places) take(ctx, asked context.Context, client string) (within context.Context, free func(), err error) {
	within, end := context.WithCancelCause(asked)
	x := &place{client: client, had: make(chan struct{}), end: end}
	p.mu.Lock()
	p.line = append(p.line, x)
	p.serve()
	p.mu.Unlock()
	free = sync.OnceFunc(func() { p.give(x); end(nil) })
	look := time.NewTicker(grace / 10)
	defer look.Stop()
	for {
		select {
		case <-x.had:
			return within, free, nil
		case <-look.C:
			p.press(x)
		case <-ctx.Done():
			free()
			return asked, func() {}, fmt.Errorf("waited for %d other requests: %w", p.most, ctx.Err())
		}
	}
}

// give takes a place out of those that are had or waited for.
func (p *places) give(x *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := func(y *place) bool { return x == y }
	p.held, p.line = slices.DeleteFunc(p.held, out), slices.DeleteFunc(p.line, out)
	p.serve()
}

// serve gives what is free to who has the fewest. The lock is held.
func (p *places) serve() {
	for len(p.held) < p.most && len(p.line) > 0 {
		x := slices.MinFunc(p.line, func(x, y *place) int {
			return cmp.Or(countOf(p.held, x.client)-countOf(p.held, y.client), p.lately(y)-p.lately(x))
		})
		p.line = slices.DeleteFunc(p.line, func(y *place) bool { return x == y })
		p.served = slices.DeleteFunc(p.served, func(c string) bool { return c == x.client })
		p.served = slices.Insert(p.served, 0, x.client)
		p.served = p.served[:min(len(p.served), 100)]
		x.since = time.Now()
		p.held = append(p.held, x)
		close(x.had)
	}
}

// lately is the place of a client among those that had one last: the larger, the longer ago.
func (p *places) lately(x *place) int {
	if i := slices.Index(p.served, x.client); i >= 0 {
		return i
	}
	return len(p.served)
}

// press ends the request that has run the longest of those that are in the way of one whose client has none.
func (p *places) press(x *place) {
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
		case several && time.Since(y.since) >= grace && (longest == nil || y.since.Before(longest.since)):
			longest = y
		}
	}
	if longest == nil {
		return
	}
	longest.end(errDisplaced)
	longest.end = nil
	p.displaced()
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
