package tick

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestStepped(t *testing.T) {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := func(prev, now time.Time, want bool) {
		t.Helper()
		if got := Stepped(prev, now); got != want {
			t.Errorf("from %v to %v: got %v, want %v", prev, now, got, want)
		}
	}
	f(time.Time{}, base, false)
	f(base, base.Add(time.Second), false)
	f(base, base.Add(time.Hour), false) // nothing to compare with: a late tick
	f(base, base, true)
	f(base, base.Add(-time.Millisecond), true)
	// A time whose wall clock and monotonic clock part cannot be made, but a monotonic one can be compared with a plain one.
	now := time.Now()
	f(now, now.Add(time.Second), false) // Add moves both clocks
	f(now.Add(time.Second), now, false) // the other lane began earlier
	f(now.Round(0), now.Add(time.Second), false)
	f(now, now.Round(0).Add(-time.Hour), true)
}

// A tick that began a minute ago by the monotonic clock stamps the present; a plain value counts from now on.
func TestStamp(t *testing.T) {
	before := time.Now()
	ago := before.Add(-time.Minute)
	got := Begin(ago).Stamp()
	if after := time.Now().UnixMilli(); got < before.UnixMilli()-1 || got > after+1 {
		t.Errorf("from time.Now: got %d, want %d to %d", got, before.UnixMilli(), after)
	}
	if got := Begin(ago.Round(0)).Stamp() - ago.UnixMilli(); got < 0 || got > 30000 {
		t.Errorf("from a plain time: got %d ms after it", got)
	}
}

// Under a made-up clock there is no monotonic one, and a tick begins when it is made.
func TestStampMadeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		k := Begin(now)
		time.Sleep(12 * time.Millisecond)
		if got, want := k.Stamp(), now.UnixMilli()+12; got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	})
}
