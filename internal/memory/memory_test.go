package memory

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// What a process keeps for half a minute is its own; what it has for less does not make room for more.
func TestLimit(t *testing.T) {
	const mib = 1 << 20
	var k keeper
	f := func(seconds int, used uint64, want int64) {
		t.Helper()
		var got int64
		for range seconds {
			got = k.limit(used * mib)
		}
		if got != want*mib {
			t.Errorf("after %d s of %d MiB: got %d MiB, want %d", seconds, used, got/mib, want)
		}
	}
	f(60, 60, 384)
	f(29, 400, 384) // answers under way
	f(5, 60, 384)
	f(29, 400, 384)
	f(1, 400, 1000) // it stays
	f(30, 2000, 5000)
	f(1, 100, 384) // and goes
}

// The limit is there while it runs, and not where somebody set one.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, before := range []int64{math.MaxInt64, 1 << 30} {
			debug.SetMemoryLimit(before)
			want := min(before, least)
			if before != math.MaxInt64 {
				want = before
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- Run(ctx) }()
			time.Sleep(3 * time.Second)
			if got := debug.SetMemoryLimit(-1); got < want {
				t.Errorf("with %d: got %d, want %d", before, got, want)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got := debug.SetMemoryLimit(-1); got != before {
				t.Errorf("with %d: left %d behind", before, got)
			}
		}
		debug.SetMemoryLimit(math.MaxInt64)
	})
}
