package autoscaler

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// hand is a fake Scaler: web is the world's, the others are of four replicas each, and their calls hang until their deadline from a
// time on.
type hand struct {
	*world
	from  time.Duration
	write bool // only writes hang; else reads
	deaf  bool // calls do not hear of their deadline either
	until chan struct{}
	hands sync.Map // by target: how many are at it
	calls atomic.Int64
}

func (h *hand) hang(ctx context.Context) error {
	if h.deaf {
		<-h.until
		return errBroken
	}
	<-ctx.Done()
	return ctx.Err()
}

func (h *hand) Scale(ctx context.Context, t cluster.Target) (Scale, error) {
	h.calls.Add(1)
	n, _ := h.hands.LoadOrStore(t, new(atomic.Int32))
	if n := n.(*atomic.Int32); n.Add(1) > 1 {
		panic(t.String() + " is in two hands")
	} else {
		defer n.Add(-1)
	}
	switch {
	case t == web:
		return h.world.Scale(ctx, t)
	case !h.write && time.Since(h.began) >= h.from:
		return Scale{}, h.hang(ctx)
	}
	return Scale{Desired: 4, Observed: 4}, nil
}

func (h *hand) SetScale(ctx context.Context, t cluster.Target, from, to cluster.DesiredReplicas) error {
	if t != web {
		return h.hang(ctx)
	}
	return h.world.SetScale(ctx, t, from, to)
}

// others are policies for n targets beside web.
func others(t testing.TB, n int, text string) []Policy {
	ps := []Policy{compiled(t, plain)}
	for i := range n {
		p := compiled(t, text)
		p.Target.Name = fmt.Sprintf("other-%d", i)
		ps = append(ps, p)
	}
	return ps
}

const (
	still = `{minReplicas: 4, maxReplicas: 4}`
	eager = `{minReplicas: 5, maxReplicas: 9}` // than the four there are
)

// reaction is how long web takes from a step of its load to its change beside n other targets.
func reaction(t *testing.T, n int, text string, h *hand) (took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		const step = 2 * time.Minute
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, step: 2.8}))
		h.world, h.until = w, make(chan struct{})
		l, end := begin(t, w, Options{Policies: others(t, n, text), Scaler: h})
		time.Sleep(step + time.Second)
		if hung := testutil.ToFloat64(l.metrics.hung); !h.write && !h.deaf && h.from == 0 && hung != float64(n) {
			t.Errorf("%g targets are said to hang, want %d", hung, n)
		}
		time.Sleep(time.Minute)
		if err := l.Health(); err != nil {
			t.Error(err)
		}
		end()
		close(h.until)
		if len(w.made()) == 0 {
			t.Fatal("no change")
		}
		took = w.made()[0].at - step
	})
	return took
}

// A target whose calls hang delays no other, whatever the call, however many they are, and from their first call on.
func TestHangingTargetsDelayNoOther(t *testing.T) {
	alone := reaction(t, 0, still, &hand{})
	for _, n := range []int{1, 3, 10, 100} {
		for name, h := range map[string]*hand{
			"reads hang": {}, "reads begin to hang": {from: 2 * time.Minute}, "writes hang": {write: true}, "reads hang for good": {deaf: true},
		} {
			text := still
			if h.write {
				text = eager
			}
			if got := reaction(t, n, text, h); got-alone > 50*time.Millisecond {
				t.Errorf("beside %d targets (%s) the change came after %s, alone after %s", n, name, got, alone)
			}
		}
	}
}

// A target that hangs is asked less often, and looked after again soon when it answers.
func TestHangingTargetIsAskedLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		w.hang = true
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}})
		time.Sleep(time.Minute)
		if n := w.asked(); n < 6 || n > 9 {
			t.Errorf("%d calls in a minute in which each takes 5 s, want a rest of up to 4 s between two", n)
		}
		w.set(func() { w.hang = false })
		time.Sleep(10 * time.Second)
		n := w.asked()
		time.Sleep(10 * time.Second)
		if got := w.asked() - n; got != 10 || testutil.ToFloat64(l.metrics.hung) != 0 {
			t.Errorf("%d calls in 10 s after it answers again, want 10", got)
		}
		end()
	})
}

// Policies that come, go and come back while calls hang leave each target in one hand, and what is gone alone.
func TestApplyWhileCallsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		h := &hand{world: w}
		all := others(t, 20, still)
		l, end := begin(t, w, Options{Policies: all, Scaler: h})
		for i := range 300 {
			if err := l.Apply(all[:1+i*7%21]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(137 * time.Millisecond)
		}
		if err := l.Apply(all[:1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		l.mu.Lock()
		n := len(l.targets)
		l.mu.Unlock()
		if n != 1 || testutil.ToFloat64(l.metrics.hung) != 0 {
			t.Errorf("%d targets are kept, %g of them hang, want 1 and 0", n, testutil.ToFloat64(l.metrics.hung))
		}
		before := h.calls.Load()
		time.Sleep(10 * time.Second)
		if got := h.calls.Load() - before; got != 10 {
			t.Errorf("%d calls in 10 s for one target", got)
		}
		end()
	})
}

// A policy that changes while a pass waits for its calls is not overruled by that pass.
func TestPolicyChangedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		log := &memory{}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, eager)}, Log: log})
		w.set(func() {
			w.seen = func() {
				if err := l.Apply([]Policy{compiled(t, still)}); err != nil {
					t.Error(err)
				}
				w.set(func() { w.seen = nil })
			}
		})
		time.Sleep(5 * time.Second)
		end()
		if len(w.made()) != 0 || log.reasons()[0] != "Hold PolicyChanged" {
			t.Errorf("changes %v, decisions %v", w.made(), log.reasons())
		}
	})
}

// The end cuts reads that hang, brings a write to its end, and keeps the state; it waits no longer than a call may take.
func TestEndWhileCallsHang(t *testing.T) {
	for name, h := range map[string]*hand{"reads": {}, "writes": {write: true}, "deaf": {deaf: true}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
			log := &memory{}
			h.world, h.until = w, make(chan struct{})
			_, end := begin(t, w, Options{Policies: others(t, 3, eager), Scaler: h, Log: log})
			time.Sleep(time.Minute + 500*time.Millisecond)
			asked := time.Now()
			end()
			took := time.Since(asked)
			if took > 5*time.Second || name == "reads" && took > 0 {
				t.Errorf("%s hang: the end took %s", name, took)
			}
			close(h.until)
			kept := false
			for _, d := range log.ds {
				kept = kept || d.Target == web && d.Reason == string(shuttingDown)
				if strings.Contains(d.Message, context.Canceled.Error()) {
					t.Errorf("%s hang: the end is told as a fault: %+v", name, d)
				}
			}
			if !kept {
				t.Errorf("%s hang: web's state was not kept", name)
			}
		})
	}
}

// A write that is under way at the end is finished, and what it did is in the state.
func TestEndFinishesAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		w.slow = 3 * time.Second
		log := &memory{}
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, eager)}, Log: log})
		time.Sleep(1500 * time.Millisecond)
		end()
		if len(w.made()) != 1 || len(log.ds) != 2 || log.ds[0].Action != "Up" || log.ds[1].To != 5 {
			t.Errorf("changes %v, log %+v", w.made(), log.ds)
		}
	})
}
