package autoscaler

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// A lease that is lost while a write is under way: the write ends within the time of one call, made or not, and nothing follows it.
func TestLeaseLostDuringAWrite(t *testing.T) {
	for slow, made := range map[time.Duration]int{1500 * time.Millisecond: 1, time.Minute: 0} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 2 * time.Minute: 4}))
			g := &gate{}
			l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Gate: g, CallTimeout: 2 * time.Second})
			time.Sleep(2*time.Minute - 10*time.Millisecond)
			w.set(func() { w.slow = slow })
			var lost time.Time
			for lost.IsZero() && len(w.made()) == 0 {
				time.Sleep(50 * time.Millisecond)
				if len(l.slow) > 0 { // a pass waits for a call: no other one of the fake takes any time
					g.set(errNotLeader)
					lost = time.Now()
				}
			}
			time.Sleep(time.Minute)
			all := w.made()
			if len(all) != made {
				t.Fatalf("a write of %s: changes %v, want %d", slow, all, made)
			}
			if made > 0 && w.began.Add(all[0].at).After(lost.Add(2*time.Second)) {
				t.Errorf("changed at %s, which is long after the lease was lost", all[0].at)
			}
			if s := l.Scaled(time.Now())[0]; s.Last.Reason == string(failedUpdateScale) || !strings.Contains(s.Last.Message, "another process holds the lease") {
				t.Errorf("a write of %s: the last decision is %+v", slow, s.Last)
			}
			end()
		})
	}
}

// halfBlind sees every other pod alone.
type halfBlind struct{ *world }

func (h halfBlind) Usage(now time.Time, pods []*cluster.Pod, name corev1.ResourceName, d time.Duration) (out []cluster.PodUsage) {
	for i, u := range h.world.Usage(now, pods, name, d) {
		if i%2 == 0 {
			out = append(out, u)
		}
	}
	return out
}

// What half of the pods use is not known: a steady load changes nothing, a high one no more than what is seen of it asks for, and the count does not flap.
func TestHalfOfThePodsAreUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(8, steps(map[time.Duration]float64{0: 2.8, 10 * time.Minute: 8}))
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Observer: halfBlind{w}})
		time.Sleep(10 * time.Minute)
		if len(w.made()) != 0 {
			t.Errorf("a steady load of which half is seen: changes %v", w.made())
		}
		time.Sleep(10 * time.Minute)
		end()
		for i, c := range w.made() {
			if c.to < c.from || c.to > 23 {
				t.Errorf("change %d of %v", i, w.made())
			}
		}
	})
}

// A policy that is edited every second decides as one that is not: what was seen of its target stays.
func TestPolicyEditedEverySecond(t *testing.T) {
	took, count := map[bool]time.Duration{}, map[bool]int{}
	for _, edited := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 5 * time.Minute: 3}))
			l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}})
			versions := []Policy{compiled(t, plain), compiled(t, strings.Replace(plain, "maxReplicas: 20", "maxReplicas: 21", 1))}
			for i := range 6 * 60 {
				time.Sleep(time.Second)
				if edited {
					if err := l.Apply(versions[i%2 : i%2+1]); err != nil {
						t.Fatal(err)
					}
				}
			}
			end()
			all := w.made()
			if len(all) == 0 || all[0].at < 5*time.Minute {
				t.Fatalf("edited %v: changes %v", edited, all)
			}
			took[edited], count[edited] = all[0].at, len(all)
		})
	}
	if took[true] > took[false]+time.Second || count[true] > count[false]+1 {
		t.Errorf("a step is answered after %s by %d changes, and after %s by %d where the policy is edited", took[false], count[false], took[true], count[true])
	}
}

// Why a change was refused is in every sentence until one succeeds, and so long no condition gives the all-clear, whatever the load asks for meanwhile.
func TestCauseOfARefusedChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 2 * time.Minute: 3, 3 * time.Minute: 1.4, 4 * time.Minute: 3}))
		w.fail = errBroken
		var failed, calm, fine int
		told := func(o Outcome) {
			able := o.Decision.Conditions[0]
			switch broken := broke(o.Decision.Reason); {
			case broken && !strings.Contains(o.Decision.Message, "could not be made: "+errBroken.Error()+"."):
				t.Errorf("%s: %q does not say why", o.Decision.Reason, o.Decision.Message)
			case broken:
				failed++
			case failed > 0 && o.Decision.Action == policy.Hold:
				calm++
			case failed > 0:
				failed, fine = 0, fine+1
			}
			if failed > 0 && (able.Type != "AbleToScale" || able.Status != "False" || able.Reason != failedUpdateScale || !strings.Contains(able.Message, errBroken.Error())) {
				t.Errorf("after %s: %+v", time.Since(w.began), able)
			}
		}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Told: told})
		time.Sleep(4*time.Minute + 20*time.Second)
		if s := l.Scaled(time.Now())[0]; s.State != "its change fails (FailedUpdateScale)" {
			t.Errorf("state %q", s.State)
		}
		if failed < 20 || calm == 0 || fine != 0 {
			t.Errorf("%d passes whose change failed or waited, %d that asked for none, %d changes", failed, calm, fine)
		}
		w.set(func() { w.fail = nil })
		time.Sleep(31 * time.Second)
		end()
		if s := l.Scaled(time.Now())[0]; fine != 1 || failed != 0 || s.State != "" {
			t.Errorf("%d changes once they were taken, %d failures after", fine, failed)
		}
	})
}

// A change that is refused is in the log once for each cause, and then once a minute with how often it was tried.
func TestRefusedChangeInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, time.Minute: 3}))
		w.fail = errBroken
		log := &memory{}
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log})
		time.Sleep(2 * time.Minute)
		w.set(func() { w.fail = errors.New("the quota is exhausted") })
		time.Sleep(2 * time.Minute)
		end()
		var first, other int
		last := ""
		for _, d := range log.ds {
			switch {
			case !broke(policy.Reason(d.Reason)):
			case strings.Contains(d.Message, errBroken.Error()):
				first++
			default:
				other, last = other+1, d.Message
			}
		}
		if first == 0 || first > 3 || other == 0 || other > 4 {
			t.Errorf("%d entries in a minute of one cause, %d in two of the other", first, other)
		}
		if !strings.Contains(last, "quota is exhausted. That was try ") {
			t.Errorf("the last entry is %q; want how often it was tried", last)
		}
	})
}

// A change that was refused is not told on by a policy that only watches since: it tries none.
func TestDryRunAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2, steps(map[time.Duration]float64{0: 0.6, 2 * time.Minute: 1.6}))
		w.fail = errors.New("forbidden")
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}})
		time.Sleep(2*time.Minute + 10*time.Second)
		state := func() string { return l.Scaled(time.Now())[0].State }
		if s := state(); !strings.Contains(s, "its change fails") {
			t.Errorf("refused: %q", s)
		}
		if err := l.Apply([]Policy{compiled(t, strings.Replace(plain, "minReplicas: 1", "mode: DryRun, minReplicas: 1", 1))}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			time.Sleep(2 * time.Second)
			if s := state(); strings.Contains(s, "fails") || !strings.Contains(s, "dry run") {
				t.Errorf("it watches: %q", s)
			}
		}
		end()
	})
}
