package demo

import (
	"math"
	"time"
)

// Period is how long the demo's load takes until it begins anew.
const Period = 210 * time.Second

// Wave is the demo's load at a time since its beginning, in replicas' worth: 1 is what one replica carries at the
// policy's target. A period is 25 s quiet, a hill up to 5 over 105 s, on its far side a spike of 15 s to
// about 8, and 80 s quiet again, in which the replicas go.
func Wave(at time.Duration) float64 {
	const quiet = 0.5
	t := (at % Period).Seconds()
	if t < 0 {
		t += Period.Seconds()
	}
	load := quiet
	if t >= 25 && t < 130 {
		load += 4.5 * (1 - math.Cos(2*math.Pi*(t-25)/105)) / 2
	}
	if t >= 95 && t < 110 {
		load += 4.5
	}
	return load
}
