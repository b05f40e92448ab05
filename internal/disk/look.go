package disk

import (
	"sync"
	"time"
)

// patience is how long a look at files is waited for: on a mount that is dead it takes for ever.
const patience = time.Second

// Look looks at files now and then, beside whoever asks. One look is made at a time; while one hangs, those who ask are not held up by it.
type Look struct {
	mu          sync.Mutex
	began, last time.Time
	ended       chan struct{} // closed when the look that is under way ends; nil: none is
}

// At makes a look, unless the last one began less than every ago, and waits for it for a moment. It returns how long a look has been hanging; zero: none is.
func (l *Look) At(every time.Duration, look func()) (hangs time.Duration) {
	now := time.Now()
	l.mu.Lock()
	if l.ended == nil && now.Sub(l.last).Abs() >= every {
		l.began, l.last, l.ended = now, now, make(chan struct{})
		go l.make(look)
	}
	ended, left := l.ended, patience-now.Sub(l.began)
	l.mu.Unlock()
	if ended == nil {
		return 0
	}
	if left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-ended:
			return 0
		case <-timer.C:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == nil {
		return 0
	}
	return time.Since(l.began)
}

func (l *Look) make(look func()) {
	look()
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.ended)
	l.ended = nil
}
