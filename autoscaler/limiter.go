package autoscaler

import (
	"context"
	"slices"
	"sync"
	"time"
)

// limiter lets so many counts be changed in a second. Where changes wait, raises go before lowerings, and of equals the one that has
// waited longest. A rate of zero is no limit.
type limiter struct {
	rate, burst float64

	mu    sync.Mutex
	spare float64   // changes that may be made at once
	at    time.Time // of spare
	queue []*ticket
	armed bool // a timer is set for the first of the queue
}

// ticket is a place in the queue.
type ticket struct {
	raise bool
	since time.Time
	turn  chan struct{} // closed when it is this one's turn
}

func newLimiter(rate float64, burst int) *limiter {
	return &limiter{rate: rate, burst: max(1, float64(burst)), spare: max(1, float64(burst))}
}

// join queues for a change. The ticket's turn may have come already.
func (l *limiter) join(raise bool, since time.Time) *ticket {
	k := &ticket{raise: raise, since: since, turn: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, k)
	l.serve()
	return k
}

// wait waits for a ticket's turn, for as long as ctx allows.
func (l *limiter) wait(ctx context.Context, k *ticket) bool {
	select {
	case <-k.turn:
		return true
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, k)
	if i < 0 {
		return true // its turn came just now
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	return false
}

// serve calls whose turn it is. The lock is held.
func (l *limiter) serve() {
	now := time.Now()
	if !l.at.IsZero() {
		l.spare = min(l.burst, l.spare+now.Sub(l.at).Seconds()*l.rate)
	}
	l.at = now
	for len(l.queue) > 0 && (l.rate == 0 || l.spare >= 1) {
		first := slices.MinFunc(l.queue, compareTickets)
		i := slices.Index(l.queue, first)
		l.queue = slices.Delete(l.queue, i, i+1)
		l.spare--
		close(first.turn)
	}
	if len(l.queue) == 0 || l.armed {
		return
	}
	l.armed = true
	time.AfterFunc(time.Duration((1-l.spare)/l.rate*float64(time.Second))+1, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.armed = false
		l.serve()
	})
}

func compareTickets(a, b *ticket) int {
	switch {
	case a.raise && !b.raise:
		return -1
	case b.raise && !a.raise:
		return 1
	}
	return a.since.Compare(b.since)
}
