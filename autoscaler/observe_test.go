package autoscaler

import (
	"math"
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
	if !h.since.Equal(at) {
		t.Errorf("seen since %v, want %v", h.since, at)
	}
	h.add(at.Add(time.Minute), use("a", "b"), pods)
	if want := at.Add(time.Minute); !h.since.Equal(want) {
		t.Errorf("after a long gap seen since %v, want %v", h.since, want)
	}
}
