package ingest

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
)

// Reasons of a condition.
const (
	NameTaken     = "NodeNameTaken"
	ClockAhead    = "ClockAhead"
	ClockBehind   = "ClockBehind"
	TooManySeries = "TooManySeries"
)

// trouble is what a person has to mend at the sender of a node.
func trouble(node, reason string, since time.Time) condition.Condition {
	return condition.Ill("CollectorSound/"+node, reason, "", since)
}

const (
	silentAfter = 15 * time.Second // then another process may have a node's name
	clockOff    = 4 * time.Second  // about where the live picture takes a sample for old or for one from the future
	clockTimes  = 3                // live requests in a row, before a clock is said to be off
	maxSenders  = 20_000
	maxPushed   = 8
)

// senders are the processes that send, by the node that they send for.
type senders struct {
	log *slog.Logger
	mu  sync.Mutex
	by  map[string]*sender
}

// tell says once that there is a trouble.
func (s *senders) tell(node string, t condition.Condition) {
	s.log.Warn("a collector has to be mended", "node", node, "reason", t.Reason, "message", t.Message)
}

type sender struct {
	source, from string
	heard        time.Time
	pushed       []string      // processes that had the name before
	rival        lasting       // of one that still sends
	off          time.Duration // the newest sample's time less ours
	offTimes     int
	offSince     time.Time
	limit        lasting
}

// lasting is a trouble that lasts as long as it is heard of.
type lasting struct {
	condition.Condition
	heard time.Time
}

// hear notes a trouble, and says so once if it had not been heard of for the time of quiet.
func (s *senders) hear(l *lasting, node, reason, message string, quiet time.Duration, now time.Time) {
	began := now.Sub(l.heard) > quiet
	if began {
		l.Condition = trouble(node, reason, now)
	}
	l.Message, l.heard = message, now
	if began {
		s.tell(node, l.Condition)
	}
}

// of returns what is known of a node's sender; the caller has mu. It is nil when there are too many.
func (s *senders) of(node string, now time.Time) *sender {
	if x := s.by[node]; x != nil {
		return x
	}
	if len(s.by) >= maxSenders {
		maps.DeleteFunc(s.by, func(_ string, old *sender) bool { return now.Sub(old.heard) > silentAfter })
		if len(s.by) >= maxSenders {
			return nil
		}
	}
	x := &sender{}
	s.by[strings.Clone(node)] = x
	return x
}

// claim notes that a process sends for a node, and says whether it may: the one that came last has the name until it is silent.
// That is a collector that was started again; one that had the name before and goes on sending is refused.
func (s *senders) claim(node, source, from string, now time.Time) error {
	if source == "" || len(source) > 64 || node == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of(node, now)
	switch {
	case x == nil:
		return nil
	case x.source == source:
	case now.Sub(x.heard) > silentAfter:
		*x = sender{source: source}
	case slices.Contains(x.pushed, source):
		s.hear(&x.rival, node, NameTaken, fmt.Sprintf("two collectors send as node %q, from %s and from %s: give each its own name with --node", node, x.from, from), silentAfter, now)
		return fmt.Errorf("another collector, at %s, sends as node %q: give each its own name with --node", x.from, node)
	default:
		x.pushed = append(x.pushed, x.source)
		if len(x.pushed) > maxPushed {
			x.pushed = x.pushed[1:]
		}
		x.source = source
	}
	x.from, x.heard = from, now
	return nil
}

// clock notes how far the newest sample of a live request is from our time.
func (s *senders) clock(node string, off time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of(node, now)
	if x == nil {
		return
	}
	switch {
	case off.Abs() < clockOff, x.offTimes > 0 && (off > 0) != (x.off > 0):
		x.offTimes = 0
	case x.offTimes == 0:
		x.offSince, x.offTimes = now, 1
	default:
		x.offTimes++
	}
	x.off, x.heard = off, now
	if x.offTimes == clockTimes {
		s.tell(node, x.clock(node))
	}
}

// clock is the trouble of a clock that is off.
func (x *sender) clock(node string) condition.Condition {
	t := trouble(node, ClockAhead, x.offSince)
	way := "ahead of"
	if x.off < 0 {
		t.Reason, way = ClockBehind, "behind"
	}
	t.Message = fmt.Sprintf("the clock of node %q is %s %s this machine's: its values are not shown as present ones; set its clock (NTP)", node, x.off.Abs().Round(time.Second), way)
	return t
}

// limited notes that samples of a node were left out because there are too many series.
func (s *senders) limited(node string, n int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of(node, now)
	if x == nil {
		return
	}
	x.heard = now
	s.hear(&x.limit, node, TooManySeries, fmt.Sprintf("%d samples of node %q were left out: too many series are being sent; look for labels that change all the time", n, node), time.Minute, now)
}

// Conditions returns what is wrong with those who send at present, by node.
func (r *Receiver) Conditions(now time.Time) []condition.Condition {
	s := &r.senders
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []condition.Condition
	for node, x := range s.by {
		if now.Sub(x.heard) > silentAfter {
			continue
		}
		if now.Sub(x.rival.heard) <= silentAfter {
			out = append(out, x.rival.Condition)
		}
		if now.Sub(x.limit.heard) <= time.Minute {
			out = append(out, x.limit.Condition)
		}
		if x.offTimes >= clockTimes {
			out = append(out, x.clock(node))
		}
	}
	slices.SortFunc(out, func(a, b condition.Condition) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Reason, b.Reason))
	})
	return out
}
