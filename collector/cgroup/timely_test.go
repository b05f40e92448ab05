package cgroup

import (
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/collector/cgroup/tick"
)

// A read after which its reader is kept off the processor is done again, so that a counter has the stamp of the moment that it was read at.
func TestTimely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(what string, stalls []time.Duration, end reason, reads int, off time.Duration) {
			t.Helper()
			s := &sampler{tick: tick.Begin(time.Now())}
			s.last = s.tick.Stamp()
			var read time.Time
			n := 0
			_, at, why := s.timely(func() (int, reason) {
				read = time.Now()
				if n < len(stalls) {
					time.Sleep(stalls[n])
				}
				n++
				return 1, end
			})
			if got := time.Duration(at-read.UnixMilli()) * time.Millisecond; why != end || n != reads || got != off {
				t.Errorf("%s: %d reads, stamped %v late, %v; want %d, %v, %v", what, n, got, why, reads, off, end)
			}
		}
		f("at once", nil, fine, 1, 0)
		f("slowly", []time.Duration{20 * time.Millisecond}, fine, 1, 20*time.Millisecond)
		f("a stall", []time.Duration{1500 * time.Millisecond}, fine, 2, 0)
		f("two", []time.Duration{time.Second, 30 * time.Millisecond}, fine, 3, 0)
		f("always", []time.Duration{time.Second, time.Second, time.Second, time.Second}, fine, 3, time.Second)
		f("an error", []time.Duration{time.Second}, gone, 1, time.Second)
	})
}
