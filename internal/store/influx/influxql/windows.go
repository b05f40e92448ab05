package influxql

import (
	"math"
	"slices"

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
	first, last, step := p.query.Grid()
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
	switch k {
	case values:
		return rank(cells, q.Q)
	case meetings:
		return met(q, cells)
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
