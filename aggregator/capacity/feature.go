package capacity

import (
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// feature is one thing that is asked about every member of a level.
type feature struct {
	query store.Query   // without level, range and labels
	step  time.Duration // zero: one point over the whole window
	take  func(*story, []store.Sample)
}

// features are the questions of a capacity report about a level.
func features(g grid, l metric.Level) []feature {
	cpu := func(s *story) *past { return s.cpu }
	memory := func(s *story) *past { return s.memory }
	one := func(p **float64, in []store.Sample) {
		if n := len(in); n > 0 {
			*p = &in[n-1].V
		}
	}
	out := []feature{{
		query: store.Query{Row: metric.MemoryWorkingSet, Func: store.Count}, step: g.cover,
		take: func(s *story, in []store.Sample) {
			for _, x := range in {
				if x.V > 0 {
					s.seen = append(s.seen, x.T)
				}
			}
		},
	}}
	if l == metric.Node || l == metric.Pool || l == metric.Cluster {
		out = append(out, feature{store.Query{Row: metric.CPUCapacity, Func: store.Max}, g.step, func(s *story, in []store.Sample) {
			for _, x := range in {
				s.cores[x.T/1000] = x.V
			}
		}})
	}
	for _, r := range []struct {
		row  metric.ID
		of   func(*story) *past
		rate time.Duration
	}{{metric.CPUUsage, cpu, g.rate}, {metric.MemoryWorkingSet, memory, 0}} {
		ask := func(f store.Func, q float64) store.Query {
			return store.Query{Row: r.row, Func: f, Q: q, RateOver: r.rate}
		}
		each := func(f store.Func, q float64, set func(*Point, *float64)) feature {
			return feature{ask(f, q), g.step, func(s *story, in []store.Sample) {
				for _, x := range in {
					set(r.of(s).point(x.T), &x.V)
				}
			}}
		}
		out = append(out,
			feature{ask(store.Quantile, 0.5), 0, func(s *story, in []store.Sample) { one(&r.of(s).p50, in) }},
			feature{ask(store.Quantile, 0.95), 0, func(s *story, in []store.Sample) { one(&r.of(s).p95, in) }},
			each(store.Avg, 0, func(p *Point, v *float64) { p.Avg = v }),
			each(store.Quantile, 0.95, func(p *Point, v *float64) { p.P95 = v }),
			each(store.Max, 0, func(p *Point, v *float64) { p.Max = v }))
	}
	return out
}
