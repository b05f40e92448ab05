package serve

import (
	"sync"
	"time"
)

// seldom keeps whoever does the same again and again from filling the log: there is a line of it in so much time, with how often it was.
type seldom struct {
	every time.Duration

	mu sync.Mutex
	at time.Time // of the last line
	n  int       // how often since
}

// line says whether there is to be a line now, and how often it was since the last one, this time included.
func (s *seldom) line() (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	now := time.Now()
	if !s.at.IsZero() && now.Sub(s.at) < s.every {
		return 0, false
	}
	n, s.at, s.n = s.n, now, 0
	return n, true
}
