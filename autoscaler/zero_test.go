package autoscaler

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

const toZero = `{minReplicas: 0, maxReplicas: 9, stableWindow: 5s, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}, metrics: [{type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: "10"}}}]}`

// Whose a count of 0 is, is known to a new process from the policy's status, and from the log where that is newer.
func TestZeroAfterARestart(t *testing.T) {
	bubble := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when it begins in one
	logged := func(ago time.Duration, ours bool) *memory {
		detail, err := json.Marshal(policy.Decision{State: policy.State{ScaledToZero: ours}})
		if err != nil {
			t.Fatal(err)
		}
		return &memory{ds: []cluster.Decision{{Time: time.Now().Add(-ago), Target: web, Action: "Hold", Detail: detail}}}
	}
	for _, f := range []struct {
		name string
		zero *Zero
		log  func() *memory
		want cluster.DesiredReplicas
	}{
		{"the status says it, and there is no log", &Zero{Ours: true}, nil, 2},
		{"the status says it, the log is empty", &Zero{Ours: true}, func() *memory { return &memory{} }, 2},
		{"the status says it, the log is too old", &Zero{Ours: true}, func() *memory { return logged(2*time.Hour, false) }, 2},
		{"the status says it, the log of another server has an older state", &Zero{Ours: true}, func() *memory { return logged(10*time.Minute, false) }, 2},
		{"the log says it, the status was not written any more", nil, func() *memory { return logged(time.Minute, true) }, 2},
		{"the log says it, and is newer", &Zero{Since: bubble.Add(-time.Hour)}, func() *memory { return logged(time.Minute, true) }, 2},
		{"the status says that somebody raised it, and is newer than the log", &Zero{Since: bubble.Add(-time.Minute)}, func() *memory { return logged(2*time.Minute, true) }, 0},
		{"nobody says it", nil, nil, 0},
		{"the status says that somebody else did it", &Zero{}, nil, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(0, steps(nil))
			o := Options{Meter: &gauge{value: 20000}}
			p := compiled(t, toZero)
			p.Zero = f.zero
			if o.Policies = []Policy{p}; f.log != nil {
				o.Log = f.log()
			}
			l, end := begin(t, w, o)
			time.Sleep(5 * time.Second)
			if n := w.count(); n != f.want {
				t.Errorf("%s: %d replicas, want %d: %s", f.name, n, f.want, l.Scaled(time.Now())[0].Last.Message)
			}
			end()
		})
	}
}

// Before a count is made 0 it is kept that this is a decision; where that fails the count stays, and it is tried again.
func TestZeroIsKeptFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, steps(nil))
		var mu sync.Mutex
		var told policy.Decision
		tries := 0
		tell := func(o Outcome) {
			mu.Lock()
			defer mu.Unlock()
			told = *o.Decision
		}
		_, end := begin(t, w, Options{Meter: &gauge{}, Policies: []Policy{compiled(t, toZero)}, Told: tell,
			ToZero: func(_ context.Context, of cluster.Target) error {
				mu.Lock()
				defer mu.Unlock()
				if tries++; of != web || w.count() != 1 {
					t.Errorf("%s is told of when there are %d replicas", of, w.count())
				}
				if tries < 5 {
					return context.DeadlineExceeded
				}
				return nil
			}})
		for range 60 {
			time.Sleep(time.Second)
			mu.Lock()
			if tries == 3 && (told.Reason != failedUpdateScale && told.Reason != waitingToRetry || slices.ContainsFunc(told.Conditions, func(c policy.Condition) bool { return c.Type == "ScaledToZero" && c.Status == "True" })) {
				t.Errorf("told %+v", told)
			}
			mu.Unlock()
		}
		end()
		if tries != 5 || len(w.made()) != 1 {
			t.Errorf("%d tries, changes %v", tries, w.made())
		}
	})
}

// A count that Plimsoll made 0 and somebody raised is somebody's: a 0 that comes then stays, and the condition says so.
func TestZeroThatSomebodyRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g := newWorld(1, steps(nil)), &gauge{}
		var told Outcome
		conditions := map[string]policy.Condition{}
		_, end := begin(t, w, Options{Meter: g, Policies: []Policy{compiled(t, toZero)}, Told: func(o Outcome) {
			told = o
			for _, c := range o.Decision.Conditions {
				conditions[c.Type] = c
			}
		}})
		defer end()
		time.Sleep(20 * time.Second)
		if c := conditions["ScaledToZero"]; w.count() != 0 || c.Status != "True" {
			t.Fatalf("%d replicas, %+v", w.count(), c)
		}
		w.set(func() { w.resize(2) })
		g.set(20000, "")
		time.Sleep(20 * time.Second)
		if c := conditions["ScaledToZero"]; w.count() != 2 || c.Status != "False" || c.Reason != policy.NotScaledToZero {
			t.Errorf("%d replicas, %+v", w.count(), c)
		}
		w.set(func() { w.resize(0) })
		time.Sleep(time.Minute)
		if w.count() != 0 || told.Decision.Reason != policy.ScalingDisabled {
			t.Errorf("%d replicas, %+v", w.count(), told.Decision)
		}
	})
}

// Who may not write, and who boosts another scaler, follow what that one's status says.
func TestZeroOfAnother(t *testing.T) {
	for _, f := range []struct {
		name string
		gate cluster.Gate
		zero Zero
		want cluster.DesiredReplicas
	}{
		{"a follower", &gate{closed: errNotLeader}, Zero{Ours: true}, 0},
		{"a boosted HPA's", cluster.Open{}, Zero{Ours: true, Another: true}, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, p := newWorld(0, steps(nil)), compiled(t, toZero)
			l, end := begin(t, w, Options{Meter: &gauge{value: 20000}, Gate: f.gate, Policies: []Policy{p}})
			time.Sleep(5 * time.Second)
			if s := l.Scaled(time.Now())[0]; s.State != "somebody set it to 0" {
				t.Errorf("%s: state %q", f.name, s.State)
			}
			p.Zero = &f.zero
			if err := l.Apply([]Policy{p}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			if s := l.Scaled(time.Now())[0]; s.State != "" || w.count() != f.want {
				t.Errorf("%s: state %q, %d replicas", f.name, s.State, w.count())
			}
			end()
		})
	}
}
