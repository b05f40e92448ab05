package autoscaler

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/turns"
)

// many is a fake hand for targets of ten replicas each, which takes down what is changed.
type many struct {
	*world
	counts sync.Map
	mu     sync.Mutex
	raised []bool // of each change, in their order
}

func (m *many) Scale(_ context.Context, t cluster.Target) (Scale, error) {
	n, _ := m.counts.LoadOrStore(t, cluster.DesiredReplicas(10))
	return Scale{Desired: n.(cluster.DesiredReplicas), Observed: 10}, nil
}

func (m *many) SetScale(_ context.Context, t cluster.Target, from, to cluster.DesiredReplicas) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.raised = append(m.raised, to > from)
	m.counts.Store(t, to)
	return nil
}

// Where changes are scarce, no raise waits behind a lowering: of 500 targets half are raised and half are lowered at once.
func TestRaisesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(10, steps(map[time.Duration]float64{0: 3.5}))
		w.blind = true // the limits alone move the counts
		m := &many{world: w}
		before := others(t, 499, strings.Replace(plain, "minReplicas: 1", "minReplicas: 10", 1))
		before[0] = compiled(t, strings.Replace(plain, "minReplicas: 1", "minReplicas: 10", 1))
		l, end := begin(t, w, Options{Policies: before, Scaler: m, Turns: turns.New(turns.Options{Rate: 100})})
		time.Sleep(3 * time.Second)
		if len(m.raised) != 0 {
			t.Fatalf("%d changes without a reason", len(m.raised))
		}
		after := slices.Clone(before)
		for i := range after {
			text := `{minReplicas: 12, maxReplicas: 20}`
			if i%2 == 1 {
				text = `{minReplicas: 2, maxReplicas: 8}`
			}
			after[i].Compiled = compiled(t, text).Compiled
		}
		if err := l.Apply(after); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3500 * time.Millisecond)
		m.mu.Lock()
		first := slices.Index(m.raised, true)
		ups := m.raised[first:]
		if n := slices.Index(ups, false); first > 1 || n < 250 {
			t.Errorf("%d lowerings before the first raise, and one after %d raises of 250", first, n)
		}
		m.mu.Unlock()
		time.Sleep(10 * time.Second)
		if len(m.raised) != 500 {
			t.Errorf("%d changes, want 500", len(m.raised))
		}
		if n := waited(t, l, "raise"); n < 240 {
			t.Errorf("%g raises waited", n)
		}
		end()
	})
}

// A change that waits longer than a call may take is decided anew.
func TestWaitingForTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		log := &memory{}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, eager)}, Log: log, Turns: turns.New(turns.Options{Rate: 0.05})})
		l.opts.Turns.Take(t.Context(), turns.Raise)
		time.Sleep(30 * time.Second)
		end()
		if got := log.reasons()[0]; got != "Hold WaitingForTurn" || len(w.made()) != 1 {
			t.Errorf("first %q, changes %v", got, w.made())
		}
	})
}

// waited is how many calls for something have waited for their turn.
func waited(t *testing.T, l *Loop, call string) (n float64) {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(l.opts.Turns)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "plimsoll_autoscaler_call_waits_total" && m.Label[0].GetValue() == call {
				n = m.Counter.GetValue()
			}
		}
	}
	return n
}

// gate is a fake gate of a process that may lead or not.
type gate struct {
	mu     sync.Mutex
	closed error
}

var errNotLeader = errors.New("another process holds the lease")

func (g *gate) MayWrite() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

func (g *gate) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = err
}

// A gate that closes between the decision's data and its write, or after a conflict, keeps the count; the loop goes on observing, and
// acts at once when the gate opens.
func TestClosedGate(t *testing.T) {
	for _, name := range []string{"before the write", "after a conflict"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 2 * time.Minute: 3}))
			g, log := &gate{}, &memory{}
			l, end := begin(t, w, Options{Policies: []Policy{compiled(t, strings.Replace(plain, "metrics:", "behavior: {scaleUp: {policies: [{type: Pods, value: 9, periodSeconds: 15}]}}, metrics:", 1))}, Log: log, Gate: g})
			time.Sleep(2*time.Minute - 10*time.Millisecond)
			tries := 0
			if name == "before the write" {
				w.set(func() { w.seen = func() { g.set(errNotLeader) } })
			} else {
				w.set(func() {
					w.refuse = func() error { tries++; g.set(errNotLeader); return ErrConflict }
				})
			}
			time.Sleep(time.Minute)
			s := l.Scaled(time.Now())[0]
			if len(w.made()) != 0 || tries > 1 || s.Last.Reason != string(notLeader) || !strings.Contains(s.Last.Message, " is not made: another process holds the lease. ") {
				t.Errorf("%s: changes %v, %d tries, last %+v", name, w.made(), tries, s.Last)
			}
			if !slices.Contains(log.reasons(), "Hold NotLeader") {
				t.Errorf("%s: the log has %v", name, log.reasons())
			}
			if st := detailOf(t, *s.Last).State; len(st.Recommendations) == 0 || len(st.ScaleUps) != 0 {
				t.Errorf("%s: state %+v", name, st)
			}
			w.set(func() { w.seen, w.refuse = nil, nil })
			g.set(nil)
			time.Sleep(1100 * time.Millisecond)
			if w.count() <= 4 {
				t.Errorf("%s: %d replicas after the gate opened", name, w.count())
			}
			end()
		})
	}
}

// A gate that closes while a change waits for its turn keeps the count; behind a closed gate nothing waits.
func TestGateClosesWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		g := &gate{}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, eager)}, Gate: g, Turns: turns.New(turns.Options{Rate: 0.25})})
		l.opts.Turns.Take(t.Context(), turns.Raise)
		time.Sleep(2 * time.Second)
		g.set(errNotLeader)
		time.Sleep(20 * time.Second)
		if n := waited(t, l, "raise"); len(w.made()) != 0 || n != 1 {
			t.Errorf("changes %v, %g waited", w.made(), n)
		}
		end()
	})
}

// Who never led has seen the load, too: a gate that opens finds what is needed to lower a count.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(8, steps(map[time.Duration]float64{0: 1.4}))
		g := &gate{closed: errNotLeader}
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Gate: g})
		time.Sleep(10 * time.Minute)
		if len(w.made()) != 0 {
			t.Errorf("changes behind a closed gate: %v", w.made())
		}
		g.set(nil)
		time.Sleep(20 * time.Second)
		end()
		if w.count() != 4 {
			t.Errorf("%d replicas 20 s after the takeover, want 4", w.count())
		}
	})
}

// A count that somebody else changed is decided anew in the same pass; as the HPA, in the next.
func TestConflict(t *testing.T) {
	for compat, want := range map[policy.Compat]time.Duration{"": 0, policy.CompatHPA: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
			var at time.Duration
			w.refuse = func() error {
				w.refuse, at = nil, time.Since(w.began)
				w.resize(5) // somebody else
				return ErrConflict
			}
			brain, log := policy.DefaultOptions(), &memory{}
			brain.Compat = compat
			_, end := begin(t, w, Options{Policies: []Policy{compiled(t, `{minReplicas: 7, maxReplicas: 9}`)}, Log: log, brain: &brain})
			time.Sleep(3 * time.Second)
			end()
			if len(w.made()) != 1 || w.made()[0] != (change{at + want, 5, 7}) {
				t.Fatalf("compat %q: changes %v, want 5 to 7 at %s", compat, w.made(), at+want)
			}
			if first := log.reasons()[0]; (first == "Hold ChangedMeanwhile") != (compat == policy.CompatHPA) {
				t.Errorf("compat %q: %v", compat, log.reasons())
			}
			if told := strings.Contains(string(log.ds[0].Detail), "Somebody else changed the count from 4"); !told {
				t.Errorf("compat %q: the conflict is not told: %s", compat, log.ds[0].Detail)
			}
		})
	}
}

// Whoever conflicts without end is met once more in a pass, not for ever.
func TestConflictWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		tries := 0
		w.refuse = func() error { tries++; return ErrConflict }
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, eager)}})
		time.Sleep(10 * time.Second)
		if s := l.Scaled(time.Now())[0]; tries != 20 || s.Last.Reason != string(changedMeanwhile) {
			t.Errorf("%d tries in 10 s, last %+v", tries, s.Last)
		}
		end()
	})
}

// At rest at its minimum, or held by what was needed before, a target tells the same between two looks at shrinking as at them.
func TestAtRestNothingSwings(t *testing.T) {
	for _, f := range []struct {
		name, policy string
		want         string // AbleToScale, ScalingLimited, the decision's reason
	}{
		{"minimum", strings.Replace(plain, "minReplicas: 1", "minReplicas: 3, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}", 1), "ReadyForNewScale TooFewReplicas TooFewReplicas"},
		{"memory", strings.Replace(plain, "minReplicas: 1", "minReplicas: 1, behavior: {scaleDown: {stabilizationWindowSeconds: 1800}}", 1), "ScaleDownStabilized DesiredWithinRange ScaleDownStabilized"},
		{"dry run", strings.Replace(plain, "minReplicas: 1", "minReplicas: 1, mode: DryRun, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}", 1), "ReadyForNewScale DesiredWithinRange DryRun"},
		{"raise only", strings.Replace(plain, "minReplicas: 1", "minReplicas: 1, raiseOnly: true, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}", 1), "ReadyForNewScale DesiredWithinRange RaiseOnly"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(3, steps(map[time.Duration]float64{0: 0.2}))
			said := map[string]int{}
			_, end := begin(t, w, Options{Policies: []Policy{compiled(t, f.policy)}, Told: func(o Outcome) {
				if time.Since(w.began) < 2*time.Minute {
					return
				}
				of := map[string]string{}
				for _, c := range o.Decision.Conditions {
					of[c.Type] = string(c.Reason)
				}
				said[of["AbleToScale"]+" "+of["ScalingLimited"]+" "+string(o.Decision.Reason)]++
			}})
			time.Sleep(5 * time.Minute)
			end()
			if len(said) != 1 || said[f.want] < 170 {
				t.Errorf("%s: told %v, want %q", f.name, said, f.want)
			}
		})
	}
}

// Two targets of one kind and name, of other API groups, have a metric each.
func TestMetricsOfTwoGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		a, b := compiled(t, plain), compiled(t, plain)
		b.Target.APIVersion = "x.example/v1"
		reg := prometheus.NewRegistry()
		_, end := begin(t, w, Options{Policies: []Policy{a, b}, Registerer: reg})
		time.Sleep(5 * time.Second)
		all, err := reg.Gather()
		if err != nil {
			t.Error(err)
		}
		for _, f := range all {
			if f.GetName() == "plimsoll_autoscaler_desired_replicas" && len(f.Metric) != 2 {
				t.Errorf("got %v", f.Metric)
			}
		}
		end()
	})
}
