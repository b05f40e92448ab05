package main

import (
	"testing"
	"time"
)

// A process that starves for minutes makes up for a second of it, and one that has what it asks for lacks nothing.
func TestDebtIsBounded(t *testing.T) {
	f := func(starved, want time.Duration) {
		t.Helper()
		const step, part = 10 * time.Millisecond, 0.6
		var owed, used time.Duration
		add := func(share float64) {
			owed = due(owed, used, time.Duration(float64(step)*part))
			used += min(owed-used, time.Duration(float64(step)*share))
		}
		for range starved / step {
			add(0.1)
		}
		before := used
		for range 10 * time.Second / step {
			add(1)
		}
		if got := used - before; got < want-step || got > want+step {
			t.Errorf("after %s of hunger it used %s in ten seconds, want %s", starved, got, want)
		}
	}
	f(0, 6*time.Second)
	f(time.Second, 6*time.Second+500*time.Millisecond)
	f(5*time.Minute, 7*time.Second)
}
