package turns

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// order has calls join all at once, and returns the classes in the order of their turns, and when the last one came.
func order(t *testing.T, o Options, calls map[Class]int) (got []Class, at map[Class]time.Duration, turns *Turns) {
	t.Helper()
	turns = New(o)
	began, done := time.Now(), make(chan Class, 10_000)
	n := 0
	for _, c := range []Class{Event, Status, Lower, Raise} { // the worst comes first
		for range calls[c] {
			n++
			k := turns.Join(c, began)
			go func() {
				turns.Wait(context.Background(), k)
				done <- c
			}()
		}
	}
	at = map[Class]time.Duration{}
	for range n {
		c := <-done
		got, at[c] = append(got, c), time.Since(began)
	}
	return got, at, turns
}

// 500 raises that come while a thousand of everything else wait are made as fast as calls may be: nothing of the others is in between, but for what had its
// turn before they came.
func TestRaisesAreNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, at, turns := order(t, Options{Rate: 200, Burst: 200, Told: 50}, map[Class]int{Event: 1000, Status: 1000, Lower: 1000, Raise: 500})
		early := slices.Index(got, Raise)
		rest := got[early:]
		if n := slices.IndexFunc(rest, func(c Class) bool { return c != Raise }); early > 200 || n >= 0 && n < 500 {
			t.Errorf("%d others had their turn before the first raise, and one after %d raises of 500", early, n)
		}
		if d := at[Raise]; d > 2600*time.Millisecond {
			t.Errorf("500 raises took %s", d)
		}
		if at[Lower] < at[Raise] || at[Lower] > 7600*time.Millisecond {
			t.Errorf("a thousand lowerings took %s", at[Lower])
		}
		if d := at[Status]; d < 19*time.Second || d > 28*time.Second {
			t.Errorf("a thousand statuses took %s, want 50 a second once all counts are changed", d)
		}
		reg := prometheus.NewRegistry()
		reg.MustRegister(turns)
		if n, err := testutil.GatherAndCount(reg); err != nil || n != 8 {
			t.Errorf("%d series, %v", n, err)
		}
		if n := testutil.ToFloat64(turns.waits.WithLabelValues("raise")); n < 400 || n > 500 {
			t.Errorf("%g raises waited", n)
		}
		if n := testutil.ToFloat64(turns.seconds.WithLabelValues("raise")); n < 300 || n > 1300 {
			t.Errorf("raises waited for %g s", n)
		}
	})
}

// What people are told leaves room: a raise that comes in the middle of a storm of it waits for nothing.
func TestThereIsRoomForARaise(t *testing.T) {
	for _, told := range []float64{0, 50} {
		synctest.Test(t, func(t *testing.T) {
			turns := New(Options{Rate: 100, Burst: 20, Told: told})
			ctx, cancel := context.WithCancel(t.Context())
			for i := range 2000 {
				go turns.Take(ctx, Status+Class(i%2))
			}
			for range 50 {
				time.Sleep(137 * time.Millisecond)
				if k := turns.Join(Raise, time.Now()); !k.Come() {
					t.Errorf("told %g: a raise waits, with %d others", told, turns.Waiting())
				}
			}
			cancel()
			synctest.Wait()
			if n := turns.Waiting(); n != 0 {
				t.Errorf("%d wait that have gone", n)
			}
		})
	}
}

// Who waits longest goes first, and who goes away gives his place back. A timer for somebody far off does not delay who comes after.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := New(Options{Rate: 0.1})
		now := time.Now()
		wait := func(c Class, d time.Duration) bool {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			return turns.Take(ctx, c)
		}
		if !wait(Lower, time.Second) || wait(Raise, time.Second) || turns.Waiting() != 0 {
			t.Error("the first call waits, or the second does not")
		}
		lowering, young, old := turns.Join(Lower, now.Add(-time.Hour)), turns.Join(Raise, now), turns.Join(Raise, now.Add(-time.Minute))
		for i, k := range []*Ticket{old, young, lowering} {
			if <-k.turn; turns.Waiting() != 2-i {
				t.Errorf("%d wait after %d have had their turn", turns.Waiting(), i+1)
			}
		}
		if took := time.Since(now); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("four calls at one in 10 s took %s", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		turns := New(Options{Rate: 10, Burst: 10, Told: 0.01})
		for range 2 {
			go turns.Take(t.Context(), Event)
		}
		for range 10 {
			turns.Take(t.Context(), Raise)
		}
		began := time.Now()
		if turns.Take(t.Context(), Raise); time.Since(began) > 200*time.Millisecond {
			t.Errorf("a raise waited for %s behind an event's timer", time.Since(began))
		}
		time.Sleep(3 * time.Minute)
	})
}

func TestNoLimit(t *testing.T) {
	turns := New(Options{})
	for c := range classes {
		for range 1000 {
			if !turns.Join(c, time.Now()).Come() {
				t.Fatalf("a call of class %s waits", c)
			}
		}
	}
	for _, o := range []Options{{Rate: -1}, {Told: -1}, {Burst: -1}} {
		if o.Validate() == nil {
			t.Errorf("%+v is valid", o)
		}
	}
	if fmt.Sprint(Raise, Event) != "raise event" {
		t.Error(Raise, Event)
	}
}
