package sim

import (
	"slices"
	"testing"
	"time"
)

// step is the base load, doubled (or more) from at on.
func step(at time.Duration, factor float64) func(time.Duration) float64 {
	return func(t time.Duration) float64 {
		if t >= at {
			return factor
		}
		return 1
	}
}

// reaction gives how many seconds after a step the first raise came and nine tenths of the need were asked for; -1 for
// never. The decision at index t is made when its second is over, so an answer at once took 1 s.
func reaction(o Outcome, at int) (first, full int) {
	first, full = -1, -1
	for t := at; t < len(o.Desired); t++ {
		if first < 0 && o.Desired[t] > o.Desired[at-1] {
			first = t - at + 1
		}
		if full < 0 && float64(o.Desired[t]) >= 0.9*o.Ideal[t] {
			full = t - at + 1
		}
	}
	return first, full
}

// of runs a service many times and returns first raise and nine tenths of the need, each sorted.
func of(t *testing.T, svc Service, rule Rule, runs int) (first, full []int) {
	t.Helper()
	const at = 60
	for seed := range runs {
		o, err := Run(svc, rule, 4*time.Minute, uint64(seed+1))
		if err != nil {
			t.Fatal(err)
		}
		a, b := reaction(o, at)
		if a < 0 {
			a = 999
		}
		if b < 0 {
			b = 999
		}
		first, full = append(first, a), append(full, b)
	}
	slices.Sort(first)
	slices.Sort(full)
	return first, full
}

func at(xs []int, q float64) int { return xs[int(q*float64(len(xs)-1)+0.5)] }

// TestStep holds the promise: a doubled load on the 20 and 50 ms services is answered in a median of at most 3 s.
func TestStep(t *testing.T) {
	const runs = 15
	t.Logf("%-22s %-10s %-16s %-16s", "doubled load", "rule", "first p50/p95", "full p50/p95")
	for _, mean := range []time.Duration{20, 50, 300} {
		for _, pods := range []int{4, 12} {
			svc := Service{Mean: mean * time.Millisecond, Pods: pods, Ready: 10 * time.Second, Load: step(time.Minute, 2)}
			for _, rule := range []Rule{Stock, Plimsoll} {
				first, full := of(t, svc, rule, runs)
				t.Logf("%3d ms, %2d pods         %-10s %3d /%4d s      %3d /%4d s", mean, pods, rule.Name, at(first, .5), at(first, .95), at(full, .5), at(full, .95))
				if rule.Name == Plimsoll.Name && mean <= 50 && at(first, .5) > 3 {
					t.Errorf("%d ms, %d pods: the first raise came after a median of %d s, want at most 3 s", mean, pods, at(first, .5))
				}
			}
		}
	}
}

// TestSteady holds the other half: on a steady load no more pods than the stock rules keep.
func TestSteady(t *testing.T) {
	const seeds = 3
	var sum [2]float64
	t.Logf("%-22s %-10s %8s %8s %8s", "steady load, an hour", "rule", "pods/ideal", "changes", "over")
	for _, mean := range []time.Duration{20, 50, 300} {
		for _, pods := range []int{4, 12} {
			svc := Service{Mean: mean * time.Millisecond, Pods: pods, Ready: 10 * time.Second, Load: step(0, 1)}
			for i, rule := range []Rule{Stock, Plimsoll} {
				var ratio, changes, over float64
				for seed := range seeds {
					o, err := Run(svc, rule, time.Hour, uint64(100+seed))
					if err != nil {
						t.Fatal(err)
					}
					ratio += podsAgainstIdeal(o) / seeds
					changes += float64(o.Changes) / seeds
					over += float64(o.Over) / float64(len(o.Desired)) / seeds
				}
				sum[i] += ratio / 6
				t.Logf("%3d ms, %2d pods         %-10s %8.3f %8.1f %7.2f%%", mean, pods, rule.Name, ratio, changes, 100*over)
			}
		}
	}
	t.Logf("all                    stock HPA %.3f, plimsoll %.3f pods against ideal", sum[0], sum[1])
	if sum[1] > sum[0] {
		t.Errorf("on a steady load %.3f pods against ideal, the stock rules keep %.3f", sum[1], sum[0])
	}
}

// podsAgainstIdeal is the mean of pods asked for against what the true load needs.
func podsAgainstIdeal(o Outcome) float64 {
	var have, need float64
	for i := range o.Desired {
		have, need = have+float64(o.Desired[i]), need+o.Ideal[i]
	}
	return have / need
}
