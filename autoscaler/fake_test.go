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
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

var web = cluster.Target{APIVersion: cluster.APIVersion, Kind: cluster.ProcessService, Namespace: "test", Name: "web"}

// world is a service in a synctest bubble: pods that share a demand, start after a delay and are seen every second.
type world struct {
	mu      sync.Mutex
	demand  func(at time.Duration) float64 // cores, of the time since the world began
	began   time.Time
	delay   time.Duration // from start to ready
	request cluster.Milli
	rng     *rand.Rand
	pods    []*fakePod
	next    int
	desired cluster.DesiredReplicas
	blind   bool      // the observer sees nothing
	frozen  time.Time // the observer sees nothing newer
	fail    error     // of SetScale
	gone    bool
	trouble string        // of Scale
	hang    bool          // Scale hangs until its deadline
	slow    time.Duration // SetScale takes so long
	seen    func()        // Scale calls it before it answers
	refuse  func() error  // SetScale asks it first
	lose    func() bool   // a change is made and its answer lost
	reads   int           // of Scale
	changes []change
}

type change struct {
	at       time.Duration
	from, to cluster.DesiredReplicas
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
	w.desired = cluster.DesiredReplicas(n)
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

func (w *world) Usage(now time.Time, pods []*cluster.Pod, name corev1.ResourceName, d time.Duration) (out []cluster.PodUsage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blind {
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
		out = append(out, cluster.PodUsage{Pod: p.name, Timestamp: ss[len(ss)-1].at, Window: time.Duration(n) * time.Second,
			Containers: []cluster.ContainerUsage{{Name: "web", Usage: cluster.Resources{{Name: name, Milli: cluster.MilliOfFloat(sum / float64(n))}}}}})
	}
	return out
}

func (w *world) Gap(now time.Time, pod *cluster.Pod) (string, time.Time) {
	return "", time.Time{}
}

func (w *world) Scale(ctx context.Context, t cluster.Target) (Scale, error) {
	w.mu.Lock()
	w.reads++
	hang, seen := w.hang, w.seen
	w.mu.Unlock()
	if hang {
		<-ctx.Done()
		return Scale{}, ctx.Err()
	}
	if seen != nil {
		seen()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone || t != web {
		return Scale{}, cluster.ErrNoTarget
	}
	return Scale{Desired: w.desired, Observed: cluster.ObservedReplicas(len(w.pods)), Trouble: w.trouble}, nil
}

func (w *world) All() []*cluster.Pod { panic("not asked for") }

func (w *world) Pods(cluster.Target) (pods []*cluster.Pod, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.pods {
		pod := cluster.Pod{Name: p.name, Status: cluster.Status{State: "ready"}, Phase: corev1.PodRunning, StartTime: p.start, Ready: corev1.ConditionFalse, ReadyTransition: p.start,
			Containers: []cluster.Container{{Name: "web", Requests: cluster.Resources{{Name: corev1.ResourceCPU, Milli: w.request}}}}}
		if time.Since(p.start) > w.delay {
			pod.Ready, pod.ReadyTransition = corev1.ConditionTrue, p.start.Add(w.delay)
		}
		pods = append(pods, &pod)
	}
	return pods, nil
}

func (w *world) SetScale(ctx context.Context, t cluster.Target, from, to cluster.DesiredReplicas) error {
	select {
	case <-time.After(w.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		if err := w.refuse(); err != nil {
			return err
		}
	}
	switch {
	case w.fail != nil:
		return w.fail
	case w.desired != from:
		return ErrConflict
	}
	w.changes = append(w.changes, change{time.Since(w.began), from, to})
	w.resize(int(to))
	if w.lose != nil && w.lose() {
		return context.DeadlineExceeded
	}
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
	ds      []cluster.Decision
	batches []*metric.Batch
	fail    error
	unread  error // of Decisions
}

func (m *memory) AppendDecision(_ context.Context, d cluster.Decision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.ds = append(m.ds, d)
	return nil
}

func (m *memory) Decisions(_ context.Context, q store.DecisionQuery) (out []cluster.Decision, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unread != nil {
		return nil, m.unread
	}
	for _, d := range slices.Backward(m.ds) {
		if len(q.Actions) > 0 && !slices.Contains(q.Actions, d.Action) || !q.End.IsZero() && d.Time.After(q.End) {
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

// set has Decisions fail, or answer again.
func (m *memory) set(unread error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unread = unread
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
	return Policy{Name: "web", By: "ScalePolicy web", Declared: []cluster.Declaration{{Kind: "ScalePolicy", Name: "web"}}, Target: web, Compiled: p, Text: text}
}

const plain = `{minReplicas: 1, maxReplicas: 20, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}`

// begin starts a world and a loop on it; end ends both.
func begin(t *testing.T, w *world, o Options) (l *Loop, end func()) {
	t.Helper()
	o.Node = "n1"
	if o.Inventory == nil {
		o.Inventory = w
	}
	if o.Observer == nil {
		o.Observer = w
	}
	if o.Scaler == nil {
		o.Scaler = w
	}
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

func detailOf(t *testing.T, d cluster.Decision) (out struct {
	Schema string
	State  policy.State
}) {
	t.Helper()
	if err := json.Unmarshal(d.Detail, &out); err != nil {
		t.Fatalf("detail of %+v: %v", d, err)
	}
	return out
}

// asked is how often its scale was read.
func (w *world) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reads
}

// count is the number of replicas asked for, made the changes so far.
func (w *world) count() cluster.DesiredReplicas {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.desired
}

func (w *world) made() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes)
}
