package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A process that was stopped and goes on finds what was sent meanwhile, in any order and with what waited in queues, before its pass that is due or after it; machines' clocks are a little behind
// or ahead. No interval of a sum says more than its members used.
func TestStoppedProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const end, step, every = 150_000, 250, 10_000
		quarters := func(from, to int, name string) int {
			return step * rapid.IntRange(from/step, to/step).Draw(t, name)
		}
		p, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		history := &valued{of: map[string][]spoken{}}
		sums := RollUps{Picture: p, History: history, Gate: &door{}, Every: every * time.Millisecond}
		machines := rapid.IntRange(1, 2).Draw(t, "machines")
		offsets, clocks := [...]int{quarters(0, 9750, "offset"), quarters(0, 9750, "offset")}, [...]int{0, quarters(-5000, 4000, "clock")}
		var stops []away
		for range rapid.IntRange(1, 2).Draw(t, "stops") {
			from := quarters(35_000, 90_000, "stopped")
			stops = append(stops, away{from, from + quarters(1000, 30_000, "for")})
		}
		type reading struct {
			machine, at int
			fast        bool
		}
		take := func(x reading, now int) {
			b := sent(fmt.Sprint("m", x.machine), float64(x.at+clocks[x.machine])/1000, 1)
			b.Time, b.Fast = t0.Add(time.Duration(now)*time.Millisecond), x.fast
			_ = p.Apply(b)
		}
		due := quarters(0, 9750, "phase")
		pass := func(now int) {
			if now < due {
				return
			}
			sums.pass(context.Background(), t0.Add(time.Duration(now)*time.Millisecond), nil)
			due += ((now-due)/every + 1) * every
		}
		var waiting []reading
		for now := 0; now <= end; now += step {
			stopped := slices.ContainsFunc(stops, func(a away) bool { return a.has(now) })
			if !stopped && len(waiting) > 0 {
				if rapid.Bool().Draw(t, "pass first") {
					pass(now)
				}
				for _, x := range rapid.Permutation(waiting).Draw(t, "order") {
					take(x, now)
				}
				waiting = nil
			}
			for m := range machines {
				for _, x := range []reading{{m, now, true}, {m, now, false}} {
					pace := every
					if x.fast {
						pace = 1000
					}
					switch {
					case (now+every-offsets[m])%pace != 0:
					case !stopped:
						take(x, now)
					case !x.fast || rapid.IntRange(0, 2).Draw(t, "arrives") == 0: // most are given up after a while
						waiting = append(waiting, x)
					}
				}
			}
			if !stopped {
				pass(now)
			}
		}
		for name, all := range history.of {
			most := 0.5
			if level := name[:3]; level != "pod" && level != "nod" {
				most *= float64(machines)
			}
			slices.SortStableFunc(all, func(a, b spoken) int { return cmp.Compare(a.T, b.T) })
			for i, b := range all[1:] {
				a := all[i]
				if rate := (b.V - a.V) / float64(b.T-a.T) * 1000; b.V > a.V && rate > most+0.001 {
					t.Errorf("%s: %v from %d to %d, want no more than %v", name, rate, a.T-t0.UnixMilli(), b.T-t0.UnixMilli(), most)
				}
			}
		}
	})
}
