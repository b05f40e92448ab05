package autoscaler

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// placed is a world whose pods are on nodes, in turn.
type placed struct {
	*world
	nodes []string
}

func (p placed) Pods(t cluster.Target) ([]*cluster.Pod, error) {
	pods, err := p.world.Pods(t)
	for i, x := range pods {
		x.Node = p.nodes[i%len(p.nodes)]
	}
	return pods, err
}

// beats calls Fresh for a node each second from a moment on, with some jitter.
func beats(l *Loop, node string, phase time.Duration, jitter func(i int) time.Duration, n int) {
	start := time.Now()
	for i := range n {
		time.Sleep(time.Until(start.Add(phase + time.Duration(i)*time.Second + jitter(i))))
		l.Fresh(node)
	}
}

func steady(int) time.Duration { return 0 }

// A pass is made when the batch of the target's node is in, not at a time of its own; once in each interval, and no second of the history is lost
// to a batch that comes a little early or late.
func TestPassesFollowBatches(t *testing.T) {
	for _, phase := range []time.Duration{0, 130 * time.Millisecond, 500 * time.Millisecond, 990 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
			var mu sync.Mutex
			var made []time.Time
			w.seen = func() { mu.Lock(); defer mu.Unlock(); made = append(made, time.Now()) }
			taken := func() []time.Time {
				mu.Lock()
				defer mu.Unlock()
				out := made
				made = nil
				return out
			}
			l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Inventory: placed{w, []string{"n1"}}})
			began := time.Now()
			beats(l, "n1", phase, func(i int) time.Duration { return time.Duration(i*7919%41-20) * time.Millisecond }, 120)
			synctest.Wait()
			passes := taken()
			on, late := 0, 0
			for i, at := range passes[5:] {
				off := at.Sub(began.Add(phase)) % time.Second
				if off > 500*time.Millisecond {
					off -= time.Second
				}
				if off.Abs() <= 20*time.Millisecond {
					on++
				}
				if i > 0 && (at.Sub(passes[5+i-1]) < 950*time.Millisecond || at.Sub(passes[5+i-1]) > 1050*time.Millisecond) {
					late++
				}
			}
			if on < len(passes)-6 || late > 1 || len(passes) < 118 || len(passes) > 122 {
				t.Errorf("phase %s: %d of %d passes with a batch, %d at another distance than a second", phase, on, len(passes), late)
			}
			end()
			series := l.targets[web].histories[corev1.ResourceCPU].Series()
			if holes := len(slices.DeleteFunc(slices.Clone(series), func(v float64) bool { return !math.IsNaN(v) })); holes > 1 || len(series) < 115 {
				t.Errorf("phase %s: %d holes in a history of %d s", phase, holes, len(series))
			}
		})
	}
}

// A node that falls silent delays no pass by more than a quarter of an interval.
func TestSilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Inventory: placed{w, []string{"n1"}}})
		beats(l, "n1", 300*time.Millisecond, steady, 30)
		var mu sync.Mutex
		var passes []time.Time
		w.set(func() { w.seen = func() { mu.Lock(); defer mu.Unlock(); passes = append(passes, time.Now()) } })
		time.Sleep(20 * time.Second)
		end()
		for i := range passes[1:] {
			if d := passes[i+1].Sub(passes[i]); d > 1300*time.Millisecond {
				t.Errorf("%s between two passes", d)
			}
		}
		if n := len(passes); n < 19 {
			t.Errorf("%d passes in 20 s", n)
		}
	})
}

// Of several nodes that one is followed at whose batch all pods' samples are youngest.
func TestWhichNodeIsFollowed(t *testing.T) {
	f := func(want string, pods []int, at ...time.Duration) {
		t.Helper()
		now := time.Now()
		p, x := pacer{}, &target{}
		for i, d := range at {
			node := string(rune('a' + i))
			p[node] = &beat{at: now.Add(-d), waiting: map[*target]struct{}{}}
			x.on = append(x.on, onNode{node, pods[i]})
		}
		p.choose(x, now, time.Second)
		if x.follow != want || want != "" && len(p[want].waiting) != 1 {
			t.Errorf("%v %v: got %q, want %q", pods, at, x.follow, want)
		}
		p.follow(x, "")
		for n, b := range p {
			if len(b.waiting) != 0 {
				t.Errorf("%q has a target that waits no more", n)
			}
		}
	}
	const ms = time.Millisecond
	f("", nil)
	f("a", []int{1}, 300*ms)
	f("", []int{1}, 3*time.Second)                                     // silent
	f("a", []int{1, 1}, 100*ms, 200*ms)                                // the later of two that follow one another
	f("a", []int{1, 1}, 900*ms, 100*ms)                                // 0.2 s after the other one's
	f("b", []int{1, 19}, 100*ms, 200*ms)                               // most pods
	f("b", []int{1, 1, 1}, 2600*ms, 100*ms, 200*ms)                    // one is silent
	f("b", []int{2, 2, 2}, 1500*ms, 1400*ms, 600*ms)                   // the last of a group, its batch now due
	f("a", slices.Repeat([]int{1}, 4), 100*ms, ms*350, 600*ms, 850*ms) // all the same
}

// A change says in the log when its stages were.
func TestTimesOfAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 2 * time.Minute: 3}))
		w.slow = 30 * time.Millisecond
		log := &memory{}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log, Inventory: placed{w, []string{"n1"}}})
		beats(l, "n1", 25*time.Millisecond, steady, 130)
		end()
		for _, d := range log.ds {
			if d.Action != string(policy.Up) {
				continue
			}
			if lines := policy.Logged(d).Lines(""); !strings.Contains(lines[len(lines)-1], "taken in +0.025 s, looked +0.025 s, decided +0.025 s, written +0.055 s") {
				t.Errorf("got %q", lines)
			}
			return
		}
		t.Errorf("no raise: %v", log.reasons())
	})
}

// A target whose calls hang is not asked more often for the batches that come in.
func TestHangingTargetFollowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Inventory: placed{w, []string{"n1"}}, CallTimeout: time.Second})
		beats(l, "n1", 300*time.Millisecond, steady, 20)
		w.set(func() { w.hang, w.reads = true, 0 })
		beats(l, "n1", 300*time.Millisecond, steady, 60)
		if n := w.asked(); n < 10 || n > 16 {
			t.Errorf("asked %d times in a minute, want once in five seconds", n)
		}
		w.set(func() { w.hang, w.reads = false, 0 })
		beats(l, "n1", 300*time.Millisecond, steady, 30)
		if n := w.asked(); n < 24 {
			t.Errorf("asked %d times in half a minute once calls are answered", n)
		}
		end()
	})
}
