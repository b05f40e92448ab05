package autoscaler

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// late is the inventory of a world that does not know its pods yet at first.
type late struct {
	*world
	until time.Time
}

func (i late) Pods(t cluster.Target) ([]*cluster.Pod, error) {
	if time.Now().Before(i.until) {
		return nil, fmt.Errorf("not told of all: %w", cluster.ErrNotYet)
	}
	return i.world.Pods(t)
}

// While the pods are not known yet nothing is decided, told or kept, least of all that none of them is ready; the loop is well meanwhile, and
// goes on as soon as they are.
func TestPodsNotYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		kept, live, told := &memory{}, &memory{}, 0
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Inventory: late{w, time.Now().Add(40 * time.Second)}, Log: kept, History: kept, Live: lively{live}, Told: func(Outcome) { told++ }})
		time.Sleep(39 * time.Second)
		s := l.Scaled(time.Now())[0]
		if told != 0 || len(kept.batches) != 0 || len(live.batches) != 0 || len(kept.ds) != 0 || s.Updated != nil || s.Gap != nil || s.Last != nil {
			t.Errorf("%d passes were told, %d points kept, %d shown, decisions %v, status %+v", told, len(kept.batches), len(live.batches), kept.ds, s)
		}
		if err := l.Health(); err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Second)
		if s := l.Scaled(time.Now())[0]; s.Updated == nil || s.Ready != 4 || s.Replicas != 4 || len(kept.batches) != 1 {
			t.Errorf("%d points kept, status %+v", len(kept.batches), s)
		}
		end()
		for _, b := range append(kept.batches, live.batches...) {
			for _, p := range b.Groups[0].Points {
				if p.ID == metric.ReplicasReady && p.V != 4 {
					t.Errorf("at %v: %g ready", b.Time, p.V)
				}
			}
		}
		if len(w.made()) != 0 {
			t.Errorf("changes %v", w.made())
		}
	})
}

// empty is the inventory of a world that has no pods for its target.
type empty struct{ *world }

func (empty) Pods(cluster.Target) ([]*cluster.Pod, error) { return nil, nil }

// Where a target that is to have pods has none, whatever it is scaled on, the decision says what the cluster knows of it.
func TestNoPods(t *testing.T) {
	const why = "no pod belongs to it by its controllers"
	f := func(text, want string, more Options) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(2, steps(nil))
			w.blind = true // the world's observer knows its pods by itself
			more.Policies, more.Inventory = []Policy{compiled(t, text)}, empty{w}
			l, end := begin(t, w, more)
			defer end()
			time.Sleep(3 * time.Second)
			if last := l.Scaled(time.Now())[0].Last; !strings.Contains(last.Message, want) {
				t.Errorf("got %q, want %q", last.Message, want)
			}
		})
	}
	says := func(context.Context, cluster.Target) string { return why }
	f(plain, "The metric cpu failed: "+why+". Nothing is scaled on missing data.", Options{NoPods: says})
	f(plain, "no pod has a sample that counts", Options{NoPods: func(context.Context, cluster.Target) string { return "" }})
	f(plain, "no pod has a sample that counts", Options{})
	f(`{minReplicas: 1, maxReplicas: 9, metrics: [{type: Pods, pods: {metric: {name: qps}, target: {type: AverageValue, averageValue: "10"}}}]}`, "The metric qps failed: "+why+".", Options{NoPods: says, Meter: &gauge{}})
}

// Where the pods are not known for long, as there is no right to list them, the target and its policy say so and why, and nothing is decided or kept; with
// the first decision that is over.
func TestPodsNeverKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		kept := &memory{}
		var mu sync.Mutex
		var told []Outcome
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Inventory: late{w, time.Now().Add(3 * time.Minute)}, Log: kept, Told: func(o Outcome) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, o)
		}})
		time.Sleep(150 * time.Second)
		s := l.Scaled(time.Now())[0]
		mu.Lock()
		if s.Gap == nil || s.Gap.Detail != "nothing is decided, as its pods are not known yet: not told of all" || time.Since(s.Gap.Since) < 148*time.Second || s.Updated != nil || s.Last != nil || len(kept.ds) != 0 {
			t.Errorf("status %+v with gap %+v, kept %v", s, s.Gap, kept.ds)
		}
		if len(told) == 0 {
			t.Fatal("nothing is told")
		}
		d := told[len(told)-1].Decision
		if told[0].Seen || d.Action != policy.Hold || d.Reason != podsNotKnown || d.Message != "Nothing is decided, as the target's pods are not known yet: not told of all." || d.Conditions[0].Type != "ScalingActive" || d.Conditions[0].Status != "False" {
			t.Errorf("told %+v", d)
		}
		mu.Unlock()
		time.Sleep(33 * time.Second)
		if s := l.Scaled(time.Now())[0]; s.Gap != nil || s.Last == nil || s.Replicas != 4 {
			t.Errorf("once they are known: %+v with gap %+v", s, s.Gap)
		}
		end()
	})
}

// lively is a memory that the live picture's points go to.
type lively struct{ *memory }

func (l lively) Apply(b *metric.Batch) error { return l.memory.Append(context.Background(), b) }
