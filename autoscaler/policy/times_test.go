package policy

import (
	"testing"
	"time"
)

// No stage is said to come before what it rests on: where the clock of the samples is ahead of ours, that is said.
func TestTimesLine(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	for want, x := range map[string]Times{
		"not sampled": {Looked: noon, Decided: noon},
		"newest sample 12:00:00.000, oldest -0.900 s, taken in +0.010 s, looked +0.011 s, decided +0.012 s, written +0.050 s": {Oldest: at(-900), Sampled: noon, TakenIn: at(10), Looked: at(11), Decided: at(12), Written: at(50)},
		"newest sample 12:00:00.000, oldest +0.000 s, looked +0.011 s, decided +0.012 s":                                      {Oldest: noon, Sampled: noon, Looked: at(11), Decided: at(12)},
		"newest sample 12:00:00.000, oldest -0.900 s by a clock that is ahead of this one by 23.000 s or more, taken in 11:59:37.000, looked +0.001 s, decided +0.002 s, written +0.040 s": {
			Oldest: at(-900), Sampled: noon, TakenIn: at(-23000), Looked: at(-22999), Decided: at(-22998), Written: at(-22960)},
		"newest sample 12:00:00.000 by a clock that is ahead of this one by 0.020 s or more, looked 11:59:59.980, decided +0.030 s": {Sampled: noon, Looked: at(-20), Decided: at(10)},
	} {
		if got := x.Line(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
