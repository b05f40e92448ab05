package heapster

import (
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
)

// A pod one of whose containers has begun anew has no CPU rate until that one has one: the rest of a pod is not the pod. Its memory is whole.
func TestPodLacksAPart(t *testing.T) {
	p, err := live.New(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := []*metric.Entity{web("a", "/web/a"), web("b", "/web/b")}
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 5 {
		at := began.Add(time.Duration(i) * time.Second)
		b := &metric.Batch{Node: "n1", Time: at, Fast: true}
		for k, e := range all {
			used := 10 + float64(i*(k+1))/2
			if i == 3 && k == 1 {
				used = 0
			}
			b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: used}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 100}}})
		}
		if err := p.Apply(b); err != nil {
			t.Fatal(err)
		}
		pic := newPicture(p.Snapshot(at))
		in := pic.scope(target{level: model.Pod, namespace: "demo", pod: "web-1"})
		got := map[string]float64{}
		for _, s := range model.New() {
			if v, ok := pic.values(&s, in)[""]; ok {
				got[s.Name] = v.v
			}
		}
		rate, ok := got["cpu/usage_rate"]
		if want := i > 0 && i != 3; ok != want || i < 3 && want && rate != 1500 || got["memory/working_set"] != 200 {
			t.Errorf("second %d: rate %g (%v), memory %g", i, rate, ok, got["memory/working_set"])
		}
	}
}
