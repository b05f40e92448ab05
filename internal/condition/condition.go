// Package condition says what is wrong with a part of Plimsoll, or that all is well, in the one form that health checks, the API
// and the page have for it.
package condition

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Condition is something that a person should know, in Kubernetes' form.
type Condition struct {
	Type    string    `json:"type"`   // "HistoryWritable", "CollectorReading", "PoliciesLoaded", ...
	Status  string    `json:"status"` // "True", "False", "Unknown"; True is well
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// The two that are known.
const (
	well = "True"
	ill  = "False"
)

// Ill is a condition that is not as it should be.
func Ill(kind, reason, message string, since time.Time) Condition {
	return Condition{Type: kind, Status: ill, Reason: reason, Message: message, Since: since}
}

// Well is a condition that is as it should be.
func Well(kind string) Condition { return Condition{Type: kind, Status: well} }

// OK says whether it is well; there may be a reason all the same.
func (c Condition) OK() bool { return c.Status == well }

// Set is what is wrong with one part at present, one condition a reason. It is safe for concurrent use; its fields are set before.
type Set struct {
	// Type is that of its conditions.
	Type string
	// Blocks are the reasons for which the part does not do its work, and Tells others, both the weightiest first. Those that are
	// in neither only tell, and weigh least.
	Blocks, Tells []string
	// Now is the clock.
	Now func() time.Time

	mu    sync.Mutex
	holds map[string]held
}

type held struct {
	Condition
	said  time.Time     // when it was last said
	lasts time.Duration // after that; zero: until it is cleared
}

// over says whether a condition has ended by itself; one from the future has too: the clock was set.
func (h *held) over(now time.Time) bool {
	return h.lasts > 0 && (now.Sub(h.said) >= h.lasts || now.Before(h.said))
}

// Say makes a condition hold until it is cleared, and says whether it did not before.
func (s *Set) Say(reason, message string) bool { return s.SayFor(0, reason, message) }

// SayFor makes a condition hold for so long, for what happened and is over, and says whether it did not before.
func (s *Set) SayFor(lasts time.Duration, reason, message string) bool {
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds == nil {
		s.holds = map[string]held{}
	}
	since := now
	old, was := s.holds[reason]
	if was = was && !old.over(now); was {
		since = old.Since
	}
	s.holds[reason] = held{Ill(s.Type, reason, message, since), now, lasts}
	return !was
}

// Clear ends conditions, and returns the reasons of those that held.
func (s *Set) Clear(reasons ...string) (held []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range reasons {
		if _, ok := s.holds[r]; ok {
			held = append(held, r)
			delete(s.holds, r)
		}
	}
	return held
}

// Get returns the condition of a reason, if it holds.
func (s *Set) Get(reason string) (Condition, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.holds[reason]
	return h.Condition, ok && !h.over(s.Now())
}

// List returns what holds, the weightiest first, then the oldest.
func (s *Set) List() []Condition {
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Condition
	for r, h := range s.holds {
		if h.over(now) {
			delete(s.holds, r)
			continue
		}
		out = append(out, h.Condition)
	}
	slices.SortFunc(out, func(a, b Condition) int {
		return cmp.Or(s.rank(a.Reason)-s.rank(b.Reason), a.Since.Compare(b.Since), strings.Compare(a.Reason, b.Reason))
	})
	return out
}

// rank is the place of a reason in the order of weight.
func (s *Set) rank(reason string) int {
	for i, of := range [...][]string{s.Blocks, s.Tells} {
		if k := slices.Index(of, reason); k >= 0 {
			return i*len(s.Blocks) + k
		}
	}
	return len(s.Blocks) + len(s.Tells)
}

// Health is the weightiest condition that holds: well, with its reason, if the part does its work all the same.
func (s *Set) Health() Condition {
	all := s.List()
	if len(all) == 0 {
		return Well(s.Type)
	}
	if !slices.Contains(s.Blocks, all[0].Reason) {
		all[0].Status = well
	}
	return all[0]
}
