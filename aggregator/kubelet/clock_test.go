package kubelet

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// TestClockOfAKubelet: a node whose clock is off has all its values, by ours, and it is told.
func TestClockOfAKubelet(t *testing.T) {
	for ahead, reason := range map[time.Duration]string{0: "", 2 * time.Second: "", 7 * time.Second: ClockAhead, 2 * time.Minute: ClockAhead, -20 * time.Second: ClockBehind, -2 * time.Minute: ClockBehind, -3 * time.Hour: ClockBehind} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, 1)
			f.ahead.Store(int64(ahead))
			began := time.Now().Add(ahead - time.Hour)
			p := f.pod("n0", "web", began)
			f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"web": began})
			defer f.run()()
			time.Sleep(patience + 16*time.Second)
			for i := range 120 {
				got := f.used(p)
				if len(got) != 1 || time.Since(got[0].Time) < -3*time.Second || time.Since(got[0].Time) > 28*time.Second || i > 60 && (got[0].CPU < 0.4999 || got[0].CPU > 0.5001) {
					t.Fatalf("ahead by %v, second %d: got %+v", ahead, i, got)
				}
				time.Sleep(time.Second)
			}
			if it := f.picture.Snapshot(time.Now()).Containers[0]; it.Restarts != 0 || it.Gap != nil {
				t.Errorf("ahead by %v: %d restarts, gap %+v", ahead, it.Restarts, it.Gap)
			}
			c := f.source.Conditions(time.Now())
			if (len(c) == 0) != (reason == "") || len(c) > 0 && (c[0].Reason != reason || !strings.Contains(c[0].Message, `1 of the 1 nodes without a collector are off: that of "n0" is `+ahead.Abs().String())) {
				t.Errorf("ahead by %v: told %+v", ahead, c)
			}
			f.ahead.Store(0)
			time.Sleep(31 * time.Second)
			if c := f.source.Conditions(time.Now()); len(c) != 0 {
				t.Errorf("set right: told %+v", c)
			}
		})
	}
}

// TestYoungOnAWrongClock: the first value of a container that has just begun is its mean since then, whatever its node's clock.
func TestYoungOnAWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{time.Minute, -time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, 1)
			f.ahead.Store(int64(ahead))
			start := time.Now().Add(ahead - 12*time.Second)
			p := f.pod("n0", "web", start)
			f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"web": start})
			f.source.round(t.Context(), time.Now())
			if got := f.used(p); len(got) != 1 || got[0].CPU < 0.499 || got[0].CPU > 0.501 || (got[0].Window-12*time.Second).Abs() > 10*time.Millisecond {
				t.Errorf("got %+v, want half a core over its 12 s", got)
			}
		})
	}
}

// TestOldValues: what a kubelet has read long ago is called old, and not that its container does not run or has ended.
func TestOldValues(t *testing.T) {
	for _, asks := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, 1)
			f.ahead.Store(int64(-time.Minute))
			f.mute.Store(true)
			began := f.clock().Add(-time.Hour)
			p := f.pod("n0", "web", began)
			if !asks {
				p.Containers[0].Requests = nil
			}
			f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"web": began})
			defer f.run()()
			time.Sleep(patience + time.Minute)
			for range 120 {
				if g := f.picture.Snapshot(time.Now()).Containers[0].Gap; g == nil || g.Reason != metric.GapStale {
					t.Fatalf("asks for something: %v: told %+v", asks, g)
				}
				if why, _ := f.picture.Gap(time.Now(), p); asks && !strings.Contains(why, "no sample for 1m") || !asks && why != "its kubelet has no newer values of it" {
					t.Fatalf("asks for something: %v: told %q", asks, why)
				}
				time.Sleep(time.Second)
			}
			f.mute.Store(false)
			time.Sleep(31 * time.Second)
			if it := f.picture.Snapshot(time.Now()).Containers[0]; it.Gap != nil || len(f.used(p)) != 1 {
				t.Errorf("asks for something: %v: with a Date: gap %+v, used %+v", asks, it.Gap, f.used(p))
			}
		})
	}
}
