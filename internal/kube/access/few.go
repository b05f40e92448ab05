package access

import (
	"context"
	"fmt"
	"sync"
)

// asked is how many questions of one caller's are under way. The API server is asked fifty times a second at most, in the order of the questions:
// a caller who wants ever new things would have all others wait behind. Those who wait find the answer to the same question ready.
const asked = 4

// few lets a few of each name at a time.
type few struct {
	mu sync.Mutex
	by map[string]*seats
}

// seats are those of one name.
type seats struct {
	n    int // who has one, or waits for it
	free chan struct{}
}

// take waits for a seat; leave gives it back.
func (f *few) take(ctx context.Context, name string) (leave func(), err error) {
	f.mu.Lock()
	s := f.by[name]
	if s == nil {
		if f.by == nil {
			f.by = map[string]*seats{}
		}
		s = &seats{free: make(chan struct{}, asked)}
		f.by[name] = s
	}
	s.n++
	f.mu.Unlock()
	gone := func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if s.n--; s.n == 0 {
			delete(f.by, name)
		}
	}
	select {
	case s.free <- struct{}{}:
		return func() { <-s.free; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, fmt.Errorf("%d questions what %q may do are under way: %w", asked, name, ctx.Err())
	}
}
