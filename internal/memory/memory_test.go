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
			go func() { done <- Budget(0).Run(ctx) }()
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

// Near its budget a process has less room, and never less than what collecting needs.
func TestLimitWithinBudget(t *testing.T) {
	const mib = 1 << 20
	for _, x := range []struct{ budget, used, want int64 }{{512, 60, 384}, {512, 200, 384}, {512, 300, 384}, {512, 400, 500}, {4096, 400, 1000}, {4096, 2000, 3072}, {0, 2000, 5000}} {
		k := keeper{budget: Budget(x.budget * mib)}
		if got := k.limit(uint64(x.used * mib)); got != x.want*mib {
			t.Errorf("%d MiB of %d: got %d MiB, want %d", x.used, x.budget, got/mib, x.want)
		}
	}
}

// What others may make known grows with the budget, and is nobody's business where there is none.
func TestBudget(t *testing.T) {
	for _, x := range []struct {
		budget                 Budget
		entities, series, kept int
	}{{0, 0, 0, 0}, {Least, 4096, 32768, 16384}, {512 << 20, 12288, 98304, 49152}, {8 << 30, 258048, 2064384, 1032192}} {
		if e, s, k := x.budget.Entities(), x.budget.Series(), x.budget.Kept(); e != x.entities || s != x.series || k != x.kept {
			t.Errorf("%d: %d entities, %d series, %d kept, want %d, %d, %d", x.budget, e, s, k, x.entities, x.series, x.kept)
		}
	}
	if b := Machine(); b < Least {
		t.Errorf("this machine's is %d", b)
	}
	if b := Of(1<<30, 1); b != 1<<30 {
		t.Errorf("asked for a GiB: %d", b)
	}
	before := debug.SetMemoryLimit(700 << 20)
	defer debug.SetMemoryLimit(before)
	if b := Of(0, 1); b != 700<<20 {
		t.Errorf("with a soft limit of 700 MiB: %d", b)
	}
}
