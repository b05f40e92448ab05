package cgroup

import "time"

// tick is the time base of one reading: the wall clock at its beginning, and the monotonic clock from there,
// so that a step of the wall clock in the middle bends nothing.
type tick struct {
	ref time.Time
	ns  int64 // the Unix time at ref
}

func newTick(now time.Time) tick {
	if monotonic(now) {
		return tick{ref: now, ns: now.UnixNano()}
	}
	return tick{ref: time.Now(), ns: now.UnixNano()}
}

// stamp is the Unix time at this moment, in milliseconds.
func (t tick) stamp() int64 { return (t.ns + int64(time.Since(t.ref))) / 1e6 }

// maxSlip is how far wall clock and monotonic clock may part between two ticks: slewing moves the clock by half a
// millisecond a second, a step by more than this bends a one-second rate by more than 5 %.
const maxSlip = 50 * time.Millisecond

// stepped says whether the wall clock was stepped between two ticks. A rate over the step would be wrong.
func stepped(prev, now time.Time) bool {
	if prev.IsZero() {
		return false
	}
	wall := now.Round(0).Sub(prev.Round(0))
	if wall <= 0 {
		return true
	}
	if !monotonic(prev) || !monotonic(now) {
		return false
	}
	return (wall - now.Sub(prev)).Abs() > maxSlip
}

// monotonic says whether a time carries a reading of the monotonic clock.
func monotonic(t time.Time) bool { return t != t.Round(0) }
