// Package tick is the time base of one reading of the machine: every sample of a tick gets the moment it was
// read at, and a wall clock that was stepped between two ticks is noticed.
package tick

import "time"

// Tick is the wall clock at the beginning of a reading, and the monotonic clock from there, so that a step of the
// wall clock in the middle bends nothing.
type Tick struct {
	ref time.Time
	ns  int64 // the Unix time at ref
}

// Begin makes the tick of a reading. If now comes straight from time.Now the time since then is part of the stamps;
// a plain value counts from this moment.
func Begin(now time.Time) Tick {
	if monotonic(now) {
		return Tick{ref: now, ns: now.UnixNano()}
	}
	return Tick{ref: time.Now(), ns: now.UnixNano()}
}

// Stamp is the Unix time at this moment, in milliseconds.
func (t Tick) Stamp() int64 { return (t.ns + int64(time.Since(t.ref))) / 1e6 }

// maxSlip is how far wall clock and monotonic clock may part between two ticks: slewing moves the clock by half a
// millisecond a second, a step by more than this bends a one-second rate by more than 5 %.
const maxSlip = 50 * time.Millisecond

// Stepped says whether the wall clock was stepped between two ticks: in any direction where both times come straight
// from time.Now, else backward. A rate over the step would be wrong. A zero prev is no tick.
func Stepped(prev, now time.Time) bool {
	if prev.IsZero() {
		return false
	}
	wall := now.Round(0).Sub(prev.Round(0))
	if !monotonic(prev) || !monotonic(now) {
		return wall <= 0
	}
	return (wall - now.Sub(prev)).Abs() > maxSlip // the ticks of two lanes may come in another order than they began
}

// monotonic says whether a time carries a reading of the monotonic clock.
func monotonic(t time.Time) bool { return t != t.Round(0) }
