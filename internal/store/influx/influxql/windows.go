package influxql

import (
	"math"
	"slices"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// samples makes a series' points of its rows, which are sorted by time.
func (l *Series) samples() []store.Sample {
	p := l.answer.plan
	if p.kind == points {
		out := make([]store.Sample, len(l.cells))
		for i, c := range l.cells {
			out[i] = store.Sample{T: c.t, V: c.v}
		}
		return out
	}
	var out []store.Sample
	first, last, step := grid(&p.query)
	from, to := 0, 0
	for t := first; t <= last; t += step {
		for to < len(l.cells) && l.cells[to].t <= t {
			to++
		}
		for from < to && l.cells[from].t <= t-p.window {
			from++
		}
		if from == to {
			if to == len(l.cells) {
				break
			}
			continue
		}
		if v := combine(&p.query, p.kind, l.cells[from:to]); !math.IsNaN(v) {
			out = append(out, store.Sample{T: t, V: v})
		}
	}
	return out
}

// combine is the function over one window's rows.
func combine(q *store.Query, k kind, cells []cell) float64 {
	if k == values {
		return rank(cells, q.Q)
	}
	v, n := cells[0].v, cells[0].w
	for _, c := range cells[1:] {
		switch q.Func {
		case store.Max:
			v = max(v, c.v)
		case store.Min:
			v = min(v, c.v)
		case store.Last:
			v = c.v
		default:
			v, n = v+c.v, n+c.w
		}
	}
	if q.Func == store.Avg || q.Func == store.Rate {
		return v / n
	}
	return v
}

// rank is the quantile of samples by the nearest rank, as InfluxQL's PERCENTILE has it.
func rank(cells []cell, q float64) float64 {
	vs := make([]float64, len(cells))
	for i, c := range cells {
		vs[i] = c.v
	}
	slices.Sort(vs)
	i := int(math.Floor(float64(len(vs))*q+0.5)) - 1
	return vs[min(max(i, 0), len(vs)-1)]
}

// sum is what several series are at one moment.
type sum struct {
	v float64
	n int
}

// join joins series that agree in the query's labels. The answer is sorted by labels.
func join(q *store.Query, in []store.Series) []store.Series {
	type group struct {
		labels []metric.Label
		at     map[int64]sum
	}
	groups := map[string]*group{}
	for i := range in {
		var labels []metric.Label
		for _, l := range in[i].Labels {
			if slices.Contains(q.By, l.Name) {
				labels = append(labels, l)
			}
		}
		key := keyOf(labels)
		g := groups[key]
		if g == nil {
			g = &group{labels, map[int64]sum{}}
			groups[key] = g
		}
		for _, x := range in[i].Samples {
			s, some := g.at[x.T]
			switch {
			case !some:
				s.v = x.V
			case q.Join == store.Max:
				s.v = max(s.v, x.V)
			case q.Join == store.Min:
				s.v = min(s.v, x.V)
			default:
				s.v += x.V
			}
			s.n++
			g.at[x.T] = s
		}
	}
	out := make([]store.Series, 0, len(groups))
	for _, g := range groups {
		s := store.Series{Labels: g.labels}
		for t, x := range g.at {
			switch q.Join {
			case store.Avg:
				x.v /= float64(x.n)
			case store.Count:
				x.v = float64(x.n)
			}
			s.Samples = append(s.Samples, store.Sample{T: t, V: x.v})
		}
		slices.SortFunc(s.Samples, func(a, b store.Sample) int { return int(a.T - b.T) })
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b store.Series) int { return compareLabels(a.Labels, b.Labels) })
	return out
}
