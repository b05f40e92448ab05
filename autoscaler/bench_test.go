package autoscaler

import (
	"testing"
	"time"
)

// BenchmarkPass is one pass over a target of ten pods, with a fake observer: looks, decision, status.
func BenchmarkPass(b *testing.B) {
	w := newWorld(10, func(time.Duration) float64 { return 3.5 })
	l, err := New(Options{Node: "n1", Observer: w, Inventory: w, Scaler: w, Policies: []Policy{compiled(b, plain)}})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().Add(-2 * time.Hour)
	for _, p := range w.pods {
		p.start = now.Add(-time.Hour)
	}
	target := l.targets[web]
	step := func() {
		now = now.Add(time.Second)
		for _, p := range w.pods {
			p.samples = append(p.samples, sample{now, 0.35})
			if len(p.samples) > 100 {
				p.samples = p.samples[1:]
			}
		}
		l.pass(b.Context(), target, now, now)
	}
	for range 300 {
		step()
	}
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	if s := l.Scaled(now)[0]; s.Last.Reason != "AtTarget" && s.Last.Reason != "WithinTolerance" {
		b.Fatalf("last decision: %+v", s.Last)
	}
}
