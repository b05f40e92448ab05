package api

import (
	"sync"
	"sync/atomic"
	"time"
)

// subscriber is one stream's mail slot: the newest picture, and the few decisions it has not taken.
type subscriber struct {
	view   view
	client string
	since  time.Time
	wake   chan struct{} // one signal fits
	cut    func()        // ends a write that is under way
	end    chan struct{} // closed when another takes its place

	writing atomic.Int64 // since when it is written to, Unix milliseconds; 0: it is not

	mu        sync.Mutex
	picture   frame
	decisions []frame
}

// put leaves a frame in the slot and returns how many older ones it displaced.
func (s *subscriber) put(f frame) (displaced int) {
	f.hold()
	s.mu.Lock()
	if f.event == "decision" {
		s.decisions = append(s.decisions, f)
		if extra := len(s.decisions) - decisionsWaiting; extra > 0 {
			for _, old := range s.decisions[:extra] {
				old.letGo()
			}
			s.decisions, displaced = s.decisions[extra:], extra
		}
	} else {
		if s.picture.bytes != nil {
			s.picture.letGo()
			displaced = 1
		}
		s.picture = f
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return displaced
}

// drain empties the slot: decisions first, then the picture, which already knows them.
func (s *subscriber) drain() []frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.decisions
	if s.picture.bytes != nil {
		out = append(out, s.picture)
	}
	s.decisions, s.picture = nil, frame{}
	return out
}

// stuck says whether a stream has been written to for too long.
func (s *subscriber) stuck(now time.Time) bool {
	since := s.writing.Load()
	return since != 0 && since < now.Add(-writeTime).UnixMilli()
}
