package serve

import (
	"context"
	"slices"
	"sync"
	"time"
)

// turns bound how many work at something at a time. Where all are taken, the next one goes to the client with the fewest of those who wait: one
// client has all of them only while nobody else wants one.
type turns struct {
	most int

	mu   sync.Mutex
	left int
	held map[string]int // by client
	line []*waiter      // in the order in which they came
}

// waiter waits for a turn.
type waiter struct {
	client string
	turn   chan struct{} // closed when it has one
}

func newTurns(most int) *turns { return &turns{most: most, left: most, held: map[string]int{}} }

// take takes a turn, for which it waits if there is none; free gives it back, once. Where shared is set a client that has half of them, with
// those it waits for, is refused at once.
func (t *turns) take(ctx context.Context, client string, patience time.Duration, shared bool) (free func(), ok bool) {
	free = sync.OnceFunc(func() { t.give(client) })
	t.mu.Lock()
	if t.left > 0 {
		t.left--
		t.held[client]++
		t.mu.Unlock()
		return free, true
	}
	if shared && t.held[client]+t.waiting(client) >= max(t.most/2, 1) {
		t.mu.Unlock()
		return nil, false
	}
	w := &waiter{client, make(chan struct{})}
	t.line = append(t.line, w)
	t.mu.Unlock()
	over := time.NewTimer(patience)
	defer over.Stop()
	select {
	case <-w.turn:
		return free, true
	case <-over.C:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.line, w)
	if i < 0 { // it came at the last moment
		return free, true
	}
	t.line = slices.Delete(t.line, i, i+1)
	return nil, false
}

// waiting counts those of a client who wait. The caller has mu.
func (t *turns) waiting(client string) (n int) {
	for _, w := range t.line {
		if w.client == client {
			n++
		}
	}
	return n
}

// give gives a client's turn to the next.
func (t *turns) give(client string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[client]--; t.held[client] == 0 {
		delete(t.held, client)
	}
	if len(t.line) == 0 {
		t.left++
		return
	}
	next := 0
	for i, w := range t.line {
		if t.held[w.client] < t.held[t.line[next].client] {
			next = i
		}
	}
	w := t.line[next]
	t.line = slices.Delete(t.line, next, next+1)
	t.held[w.client]++
	close(w.turn)
}
