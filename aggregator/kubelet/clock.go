package kubelet

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
)

// clockOff is from where on a node's clock is said to be off: about where the live picture takes a value for old or for one from the future.
const clockOff = 4 * time.Second

// Reasons of the condition, as those of a collector's clock.
const (
	ClockAhead  = "ClockAhead"
	ClockBehind = "ClockBehind"
)

// answer is a page of a kubelet, and when it was made: by the kubelet's clock, zero where it does not say, and between which two times by ours.
type answer struct {
	body              []byte
	date, asked, came time.Time
}

// dateOf is when an answer was made, in whole seconds.
func dateOf(h http.Header) time.Time {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// clock is what is known of a node's.
type clock struct {
	ahead time.Duration // of ours, by the answers; below 0: behind
	since time.Time     // when it was first found to be off
}

// off is how far the clock is ahead, 0 where that is too little to matter.
func (c *clock) off() time.Duration {
	if c.ahead.Abs() < clockOff {
		return 0
	}
	return c.ahead
}

// hear takes in when an answer was made. What was known changes by as little as the answer allows, so that values stay as far apart as they are,
// unless the clock was set.
func (c *clock) hear(a *answer) {
	if a.date.IsZero() {
		return
	}
	was, least, most := c.off(), a.date.Sub(a.came), a.date.Add(time.Second).Sub(a.asked)
	if c.ahead < least-time.Second || c.ahead > most+time.Second {
		c.ahead = (least + most) / 2
	}
	c.ahead = min(max(c.ahead, least), most)
	if now := c.off(); now == 0 || was == 0 || (now > 0) != (was > 0) {
		c.since = a.came
	}
}

// clocks says of which nodes without a collector the clock is off. The caller holds the lock.
func (s *Source) clocks() []condition.Condition {
	first, bad := "", 0
	for name, x := range s.nodes {
		if x.clock.off() != 0 {
			bad++
			first = min(cmp.Or(first, name), name)
		}
	}
	if bad == 0 {
		return nil
	}
	c := s.nodes[first].clock
	reason, way := ClockAhead, "ahead of"
	if c.ahead < 0 {
		reason, way = ClockBehind, "behind"
	}
	return []condition.Condition{condition.Ill("NodeClocksRight", reason, fmt.Sprintf("the clocks of %d of the %d nodes without a collector are off: that of %q is %s %s this machine's; what their kubelets say is shown by this machine's clock; set theirs (NTP)",
		bad, len(s.nodes), first, c.ahead.Abs().Round(time.Second), way), c.since)}
}
