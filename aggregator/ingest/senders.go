package ingest

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Reasons of a condition.
const (
	NameTaken     = "NodeNameTaken"
	NotItsNode    = "NotItsNode"
	NotItsPod     = "NotItsPod"
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
	clockApart  = time.Second / 2  // between those that count: what waited while this process was held up comes all at once
	maxSenders  = 20_000           // nodes that are sent for
	maxShare    = maxSenders / 2   // of them, those that one process sends for
	maxNodeName = 253              // bytes, as in Kubernetes
)

// senders are the processes that send, by the node that they send for.
type senders struct {
	log *slog.Logger
	own []string // nodes that nobody else may send for

	mu    sync.Mutex
	by    map[string]*sender
	share map[string]int // how many nodes each process sends for
	swept time.Time      // when those that are silent were last forgotten
	told  time.Time      // when it was last told that somebody may not speak for a node that nobody has
	// strange is the newest such trouble: one for all, as anybody with a login can name as many nodes as they like.
	strange lasting
}

// tell says once that there is a trouble.
func (s *senders) tell(node string, t condition.Condition) {
	s.log.Warn("a collector has to be mended", "node", node, "reason", t.Reason, "message", t.Message)
}

type sender struct {
	id       string // the speaker's
	from     string
	heard    time.Time
	rival    lasting       // of another who sends for the node too
	stranger lasting       // of one who may not
	off      time.Duration // the newest sample's time less ours
	offTimes int
	offSince time.Time
	offHeard time.Time // the last request that counted in offTimes
	limit    lasting
	stray    lasting // of pods that are on other nodes
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

// speaker is who sends a request: what it proved to be, and which process it says that it is.
type speaker struct {
	serve.Caller
	source string // "" if it does not say
	from   string // the address
}

// speakerOf is who sends a request. One that does not say which process it is, is told apart by its address.
func speakerOf(req *http.Request) speaker {
	out := speaker{Caller: serve.CallerOf(req.Context()), source: req.Header.Get(remotewrite.SourceHeader), from: host(req.RemoteAddr)}
	if len(out.source) > 64 {
		out.source = ""
	}
	return out
}

// id is the same for all requests of one process, and of no other that has another login.
func (x *speaker) id() string {
	if x.source != "" {
		return x.Proof + "/" + x.Name + "/" + x.source
	}
	return x.Proof + "/" + x.Name + "@" + x.from
}

// admit says whether who sends may speak for a node: the node must be one that its login names, if that names any, must not be this machine's
// own, and nobody else may be speaking for it. Who came first has the name until it is silent, so that nobody can push another out. A
// collector that is started again says that it is the same.
func (s *senders) admit(node string, who *speaker, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(node) > maxNodeName:
		return serve.BadRequest("the name of node %.64q... is longer than %d bytes", node, maxNodeName)
	case slices.Contains(s.own, node):
		return s.refuse(node, who, "node %q is read by this process itself: give the other machine its own name with --node", now)
	case !who.SpeaksFor(node):
		return s.refuse(node, who, "the login does not speak for node %q", now)
	}
	id := who.id()
	x := s.by[node]
	switch {
	case x != nil && x.id == id:
	case x != nil && now.Sub(x.heard) <= silentAfter:
		from := fmt.Sprintf("from %s and from %s, which is refused", x.from, who.from)
		if x.from == who.from {
			from = fmt.Sprintf("both from %s, and one is refused", x.from)
		}
		s.hear(&x.rival, node, NameTaken, fmt.Sprintf("two collectors send as node %q, %s: one that takes the other's place has the name once that has been silent for %v; two that stay need names of their own, by --node", node, from, silentAfter), silentAfter, now)
		return serve.Errorf(http.StatusConflict, "another collector, at %s, sends as node %q: give each its own name with --node", x.from, node)
	default:
		if !s.room(id, x != nil, now) {
			return serve.Errorf(http.StatusTooManyRequests, "cannot take node %q: there are too many nodes already", node)
		}
		if x != nil {
			s.leave(x)
		}
		x = &sender{id: id}
		s.by[strings.Clone(node)] = x
		s.share[id]++
	}
	x.from, x.heard = who.from, now
	return nil
}

// room says whether a process may send for one more node. The caller has mu.
func (s *senders) room(id string, replaces bool, now time.Time) bool {
	free := func() bool { return s.share[id] < maxShare && (replaces || len(s.by) < maxSenders) }
	if free() || now.Sub(s.swept).Abs() < time.Second {
		return free()
	}
	s.swept = now
	for node, old := range s.by {
		if now.Sub(old.heard) > silentAfter {
			s.leave(old)
			delete(s.by, node)
		}
	}
	return free()
}

// leave counts a node less for who sent for it. The caller has mu.
func (s *senders) leave(x *sender) {
	if s.share[x.id]--; s.share[x.id] <= 0 {
		delete(s.share, x.id)
	}
}

// refuse tells that somebody may not speak for a node. The caller has mu.
func (s *senders) refuse(node string, who *speaker, format string, now time.Time) error {
	err := serve.Errorf(http.StatusForbidden, format, node)
	text := fmt.Sprintf("%s, at %s, was refused: %v", who.Caller, who.from, err)
	if x := s.by[node]; x != nil {
		s.hear(&x.stranger, node, NotItsNode, text, silentAfter, now)
		return err
	}
	since := s.strange.Since
	if now.Sub(s.strange.heard) > silentAfter {
		since = now
	}
	s.strange = lasting{trouble(strings.Clone(node), NotItsNode, since), now}
	s.strange.Message = text
	if now.Sub(s.told) > tellEvery {
		s.told = now
		s.log.Warn("a sender may not speak for a node", "node", node, "message", text)
	}
	return err
}

// clock notes how far the newest sample of a live request is from our time.
func (s *senders) clock(node string, off time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.by[node]
	if x == nil {
		return
	}
	switch {
	case off.Abs() < clockOff, x.offTimes > 0 && (off > 0) != (x.off > 0):
		x.offTimes = 0
	case x.offTimes == 0:
		x.offSince, x.offHeard, x.offTimes = now, now, 1
	case now.Sub(x.offHeard) < clockApart:
		return
	default:
		x.offHeard = now
		x.offTimes++
	}
	x.off = off
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

// limited notes that samples of a node were left out because there is no room, and why not.
func (s *senders) limited(node string, n int, why string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.by[node]
	if x == nil {
		return
	}
	s.hear(&x.limit, node, TooManySeries, fmt.Sprintf("%d samples of node %q were left out: %s", n, node, why), time.Minute, now)
}

// elsewhere notes that the sender of a node speaks of pods that are on others.
func (s *senders) elsewhere(node, message string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.by[node]; x != nil {
		s.hear(&x.stray, node, NotItsPod, message, time.Minute, now)
	}
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
		if now.Sub(x.stranger.heard) <= silentAfter {
			out = append(out, x.stranger.Condition)
		}
		if now.Sub(x.limit.heard) <= time.Minute {
			out = append(out, x.limit.Condition)
		}
		if now.Sub(x.stray.heard) <= time.Minute {
			out = append(out, x.stray.Condition)
		}
		if x.offTimes >= clockTimes {
			out = append(out, x.clock(node))
		}
	}
	if now.Sub(s.strange.heard) <= silentAfter {
		out = append(out, s.strange.Condition)
	}
	slices.SortFunc(out, func(a, b condition.Condition) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Reason, b.Reason))
	})
	return out
}
