package autoscaler

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// A pod that has been ready for 20 s counts in a look of 60 s with what it used since, for a third of the look; one
// that was there all the time counts in full.
func TestYoungPodInALongLook(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	w := &world{pods: []*fakePod{{name: "old"}, {name: "young"}}}
	for s := 120; s >= 0; s-- {
		at := now.Add(time.Duration(-s) * time.Second)
		v := 0.8 // before the young one was ready the old one carried all
		if s < 20 {
			v = 0.4
			w.pods[1].samples = append(w.pods[1].samples, sample{at, 0.4})
		} else if s < 25 {
			w.pods[1].samples = append(w.pods[1].samples, sample{at, 0.9}) // its start
		}
		w.pods[0].samples = append(w.pods[0].samples, sample{at, v})
	}
	ready := now.Add(-20 * time.Second)
	in := policy.Input{Policy: compiled(t, plain).Compiled, Pods: []cluster.Pod{
		{Name: "old", Phase: corev1.PodRunning, Ready: corev1.ConditionTrue, ReadyTransition: now.Add(-time.Hour)},
		{Name: "young", Phase: corev1.PodRunning, Ready: corev1.ConditionTrue, ReadyTransition: ready},
	}}
	l, err := New(Options{Observer: w, Inventory: w, Scaler: w})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	l.windows(&in, newTarget("n1", web), corev1.ResourceCPU, nil, now, now, seen)
	long := in.Looks[len(in.Looks)-1]
	if long.Window != time.Minute || len(long.Usage) != 2 {
		t.Fatalf("longest look: %+v", long)
	}
	total := 0.0
	for _, u := range long.Usage {
		for _, c := range u.Containers {
			total += c.Usage[0].Milli.Float()
		}
		if u.Pod == "young" && u.Timestamp.Add(-u.Window).Before(ready) {
			t.Errorf("the young pod's sample of %s reaches back into its start", u.Window)
		}
	}
	if math.Abs(total-0.8) > 0.005 {
		t.Errorf("total over a minute: got %.3f cores, want 0.8", total)
	}
	if !seen["old"] || !seen["young"] {
		t.Errorf("seen: %v", seen)
	}
}

// A second in which a ready pod has no value is not known, and does not look like a fall of the load.
func TestHistoryOfAGap(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	pods := []cluster.Pod{{Name: "a", Ready: corev1.ConditionTrue}, {Name: "b", Ready: corev1.ConditionTrue}}
	use := func(names ...string) (out []cluster.PodUsage) {
		for _, n := range names {
			out = append(out, cluster.PodUsage{Pod: n, Containers: []cluster.ContainerUsage{{Name: "c", Usage: cluster.Resources{{Name: "cpu", Milli: 1000}}}}})
		}
		return out
	}
	h := &history{History: policy.NewHistory([]time.Duration{3 * time.Second})}
	h.add(at, use("a", "b"), pods)
	h.add(at.Add(time.Second), use("a"), pods)
	h.add(at.Add(2*time.Second), nil, pods)
	h.add(at.Add(3*time.Second), use("a", "b"), pods)
	got := h.Series()
	if len(got) != 4 || got[0] != 2 || !math.IsNaN(got[1]) || !math.IsNaN(got[2]) || got[3] != 2 {
		t.Errorf("series %v", got)
	}
}

// partial is an observer that does not know the container "b" of a pod.
type partial struct{ of string }

func (x partial) Usage(now time.Time, pods []*cluster.Pod, name cluster.ResourceName, w time.Duration) (out []cluster.PodUsage) {
	for _, p := range pods {
		u := cluster.PodUsage{Pod: p.Name, Timestamp: now, Window: w, Containers: []cluster.ContainerUsage{
			{Name: "a", Usage: cluster.Resources{{Name: name, Milli: 500}}}, {Name: "b", Usage: cluster.Resources{{Name: name, Milli: 2000}}}}}
		if p.Name == x.of {
			u.Containers[1].Usage = nil
		}
		out = append(out, u)
	}
	return out
}

func (partial) Gap(time.Time, *cluster.Pod) (string, time.Time) {
	return "one sample so far, a rate needs two", time.Time{}
}

// A pod one of whose containers has no rate is missing for what asks for the whole pod, with the reason, and is there for what asks for the other
// container. The target's total is not known meanwhile.
func TestPodLacksAPart(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	request := cluster.Resources{{Name: "cpu", Milli: 1000}}
	var pods []*cluster.Pod
	for _, name := range []string{"p1", "p2"} {
		pods = append(pods, &cluster.Pod{Name: name, Namespace: "demo", Phase: corev1.PodRunning, Ready: corev1.ConditionTrue, ReadyTransition: now.Add(-time.Hour), StartTime: now.Add(-time.Hour),
			Containers: []cluster.Container{{Name: "a", Requests: request}, {Name: "b", Requests: request}}})
	}
	inv := fixed(pods)
	for _, f := range []struct {
		metrics string
		missing int
		load    float64
	}{
		{"[{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 100}}}]", 1, 1.25},
		{"[{type: ContainerResource, containerResource: {name: cpu, container: a, target: {type: Utilization, averageUtilization: 100}}}]", 0, 0.5},
		{"[{type: ContainerResource, containerResource: {name: cpu, container: b, target: {type: Utilization, averageUtilization: 100}}}]", 1, 2},
	} {
		p := compiled(t, "{minReplicas: 1, maxReplicas: 10, metrics: "+f.metrics+"}")
		l, err := New(Options{Observer: partial{"p2"}, Inventory: inv, Scaler: inv})
		if err != nil {
			t.Fatal(err)
		}
		to := newTarget("n1", web)
		in, _ := l.observe(t.Context(), to, p.Compiled, now, now)
		d := policy.Decide(in)
		m := d.Metrics[0]
		if len(m.Pods.Missing) != f.missing || math.Abs(m.Load-f.load) > 1e-9 {
			t.Errorf("%s: %d missing, load %g; want %d, %g (%s)", f.metrics, len(m.Pods.Missing), m.Load, f.missing, f.load, d.Message)
		}
		if in.Pods[1].Gap == "" || in.Pods[0].Gap != "" {
			t.Errorf("%s: gaps %q, %q", f.metrics, in.Pods[0].Gap, in.Pods[1].Gap)
		}
		if h := to.histories["cpu"].Series(); slices.ContainsFunc(h, func(v float64) bool { return !math.IsNaN(v) }) {
			t.Errorf("%s: the total is %v", f.metrics, h)
		}
	}
}

// fixed are pods that do not change.
type fixed []*cluster.Pod

func (f fixed) All() []*cluster.Pod                         { return f }
func (f fixed) Pods(cluster.Target) ([]*cluster.Pod, error) { return f, nil }
func (f fixed) Scale(context.Context, cluster.Target) (Scale, error) {
	return Scale{Desired: cluster.DesiredReplicas(len(f)), Observed: cluster.ObservedReplicas(len(f))}, nil
}
func (f fixed) SetScale(context.Context, cluster.Target, cluster.DesiredReplicas, cluster.DesiredReplicas) error {
	return nil
}

// crashed is a world whose pods of even numbers do not run, as whoever runs them says; the observer only knows that nothing comes of them.
type crashed struct{ half }

func (c crashed) Pods(t cluster.Target) ([]*cluster.Pod, error) {
	pods, err := c.world.Pods(t)
	for _, p := range pods {
		if (p.Name[len(p.Name)-1]-'0')%2 == 0 {
			p.Gap, p.GapSince = "exited with status 3", time.Now()
		}
	}
	return pods, err
}

func (c crashed) Gap(now time.Time, _ *cluster.Pod) (string, time.Time) { return "it has ended", now }

// Why a pod has no sample is what the inventory says, where it knows.
func TestGapOfTheInventory(t *testing.T) {
	c := crashed{half{newWorld(2, steps(map[time.Duration]float64{0: 1}))}}
	l, err := New(Options{Node: "n1", Observer: c, Inventory: c, Scaler: c, Policies: []Policy{compiled(t, plain)}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	in, _ := l.observe(t.Context(), newTarget("n1", web), compiled(t, plain).Compiled, now, now)
	if got := in.Pods[0].Gap + ", " + in.Pods[1].Gap; got != "it has ended, exited with status 3" {
		t.Errorf("got %q", got)
	}
}
