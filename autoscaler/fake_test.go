package autoscaler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

var web = Target{"test", "Service", "web"}

// world is a service in a synctest bubble: pods that share a demand, start after a delay and are seen every second.
type world struct {
	mu      sync.Mutex
	demand  func(at time.Duration) float64 // cores, of the time since the world began
	began   time.Time
	delay   time.Duration // from start to ready
	request policy.Milli
	rng     *rand.Rand
	pods    []*fakePod
	next    int
	wished  policy.WishedReplicas
	blind   bool      // the observer sees nothing
	frozen  time.Time // the observer sees nothing newer
	fail    error     // of SetScale
	gone    bool
	changes []change
}

type change struct {
	at       time.Duration
	from, to policy.WishedReplicas
}

type fakePod struct {
	name    string
	start   time.Time
	samples []sample // one a second
}

type sample struct {
	at time.Time
	v  float64
}

func newWorld(n int, demand func(time.Duration) float64) *world {
	w := &world{demand: demand, began: time.Now(), request: 500, rng: rand.New(rand.NewPCG(1, 2))}
	w.resize(n)
	return w
}

func (w *world) resize(n int) {
	for len(w.pods) < n {
		w.next++
		w.pods = append(w.pods, &fakePod{name: fmt.Sprintf("web-%d", w.next), start: time.Now()})
	}
	w.pods = w.pods[:n]
	w.wished = policy.WishedReplicas(n)
}

// run makes a sample every second until ctx ends.
func (w *world) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.mu.Lock()
		now := time.Now()
		var ready []*fakePod
		for _, p := range w.pods {
			if now.Sub(p.start) > w.delay {
				ready = append(ready, p)
			} else {
				p.samples = append(p.samples, sample{now, 0.001})
			}
		}
		for _, p := range ready {
			share := w.demand(now.Sub(w.began)) / float64(len(ready))
			v := min(1, max(0, share*(1+0.05*w.rng.NormFloat64())))
			p.samples = append(p.samples, sample{now, v})
		}
		w.mu.Unlock()
	}
}

func (w *world) Look(now time.Time, t Target, id metric.ID, d time.Duration) (out []PodUsage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blind || t != web {
		return nil
	}
	for _, p := range w.pods {
		ss := p.samples
		if !w.frozen.IsZero() {
			ss = slices.DeleteFunc(slices.Clone(ss), func(s sample) bool { return s.at.After(w.frozen) })
		}
		n := min(len(ss), int(d/time.Second))
		if n == 0 {
			continue
		}
		sum := 0.0
		for _, s := range ss[len(ss)-n:] {
			sum += s.v
		}
		out = append(out, PodUsage{Pod: p.name, Timestamp: ss[len(ss)-1].at, Window: time.Duration(n) * time.Second,
			Containers: []ContainerUsage{{Name: "web", Value: sum / float64(n)}}})
	}
	return out
}

func (w *world) Gap(now time.Time, t Target, pod string) (string, time.Time) { return "", time.Time{} }

func (w *world) Scale(_ context.Context, t Target) (Scale, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone || t != web {
		return Scale{}, ErrNoTarget
	}
	sc := Scale{Wished: w.wished, Observed: policy.ObservedReplicas(len(w.pods))}
	for _, p := range w.pods {
		pod := policy.Pod{Name: p.name, Phase: corev1.PodRunning, StartTime: p.start, Ready: corev1.ConditionFalse, ReadyTransition: p.start,
			Containers: []policy.Container{{Name: "web", Requests: policy.Resources{{Name: corev1.ResourceCPU, Milli: w.request}}}}}
		if time.Since(p.start) > w.delay {
			pod.Ready, pod.ReadyTransition = corev1.ConditionTrue, p.start.Add(w.delay)
		}
		sc.Pods = append(sc.Pods, pod)
		sc.Members = append(sc.Members, Member{Name: p.name, State: "ready", Ready: pod.Ready == corev1.ConditionTrue})
	}
	return sc, nil
}

func (w *world) SetScale(_ context.Context, t Target, from, to policy.WishedReplicas) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.fail != nil:
		return w.fail
	case w.wished != from:
		return ErrConflict
	}
	w.changes = append(w.changes, change{time.Since(w.began), from, to})
	w.resize(int(to))
	return nil
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// memory is a decision log and a history in memory.
type memory struct {
	mu      sync.Mutex
	ds      []store.Decision
	batches []*metric.Batch
	fail    error
}

func (m *memory) AppendDecision(_ context.Context, d store.Decision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.ds = append(m.ds, d)
	return nil
}

func (m *memory) Decisions(_ context.Context, q store.DecisionQuery) (out []store.Decision, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range slices.Backward(m.ds) {
		if len(q.Actions) > 0 && !slices.Contains(q.Actions, d.Action) {
			continue
		}
		if out = append(out, d); len(out) == q.Limit {
			break
		}
	}
	return out, nil
}

func (m *memory) Append(_ context.Context, b *metric.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches = append(m.batches, b)
	return nil
}

func (m *memory) reasons() (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.ds {
		out = append(out, d.Action+" "+d.Reason)
	}
	return out
}

func compiled(t testing.TB, text string) Policy {
	t.Helper()
	var s policy.Spec
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return Policy{Name: "web", Target: web, Compiled: p, Text: text}
}

const plain = `{minReplicas: 1, maxReplicas: 20, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}`

// begin starts a world and a loop on it; end ends both.
func begin(t *testing.T, w *world, o Options) (l *Loop, end func()) {
	t.Helper()
	o.Node, o.Observer, o.Scaler = "n1", w, w
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() { w.run(ctx) })
	return l, func() { cancel(); wg.Wait() }
}

// steps is a demand in cores that changes at given times.
func steps(at map[time.Duration]float64) func(time.Duration) float64 {
	return func(d time.Duration) float64 {
		best, v := time.Duration(math.MinInt64), 0.0
		for from, x := range at {
			if from <= d && from > best {
				best, v = from, x
			}
		}
		return v
	}
}

var errBroken = errors.New("the hand is broken")

func detailOf(t *testing.T, d store.Decision) (out struct {
	Schema string
	State  policy.State
}) {
	t.Helper()
	if err := json.Unmarshal(d.Detail, &out); err != nil {
		t.Fatalf("detail of %+v: %v", d, err)
	}
	return out
}

// count is the number of replicas asked for, made the changes so far.
func (w *world) count() policy.WishedReplicas {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wished
}

func (w *world) made() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes)
}
