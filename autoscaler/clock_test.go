package autoscaler

import (
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// TestMonotonic: what the loop compares with the present is read off the monotonic clock, which nobody sets. A time shows that it has
// such a reading only in how it is written.
func TestMonotonic(t *testing.T) {
	has := func(at time.Time) bool { return strings.Contains(at.String(), " m=") }
	now := time.Now()
	for _, interval := range []time.Duration{time.Second, 10 * time.Second} {
		due := firstDue(now, web, interval)
		if wait := due.Sub(now); !has(due) || wait < 0 || wait >= interval {
			t.Errorf("the first pass is due at %s, %s from now, want it within %s and by the monotonic clock", due, wait, interval)
		}
		if again := firstDue(due.Add(5*interval-time.Millisecond), web, interval).Round(0); !again.Equal(due.Add(5 * interval).Round(0)) {
			t.Errorf("five intervals later it is due at %s, want the same place in the interval as %s", again, due)
		}
	}
	was := now.Round(0).Add(-time.Minute)
	s := policy.State{Recommendations: []policy.Recommendation{{At: was, Replicas: 3}}, ScaleUps: []policy.ScaleEvent{{At: was, Change: 1}}, ScaleDowns: []policy.ScaleEvent{{At: was, Change: 1}}}
	monotonic(&s, now)
	for _, at := range []time.Time{s.Recommendations[0].At, s.ScaleUps[0].At, s.ScaleDowns[0].At} {
		if !has(at) || now.Sub(at) != time.Minute || !at.Round(0).Equal(was) {
			t.Errorf("%s was restored as %s", was, at)
		}
	}
}
