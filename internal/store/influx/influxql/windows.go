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
		return met(q.Func, cells)
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

// met is what members were together, of the time that any was there. One that is there for a whole piece has as many samples in it as any has
// in any of its length; where all have fewer than that together, they were there for that part of it. Of the piece that goes on there are the
// moments, each of which says what was there; they are as long as one member has samples in them at least, since a moment may hold two of them.
func met(f store.Func, cells []cell) float64 {
	v, n := math.NaN(), 0.0
	add := func(c cell, there float64) {
		switch {
		case f == store.Max:
			v, n = larger(v, max(c.v/there, c.y)), 1
		case f == store.Min:
			v, n = -larger(-v, -c.v/there), 1
		case n == 0:
			v, n = c.v, there
		default:
			v, n = v+c.v, n+there
		}
	}
	var now cell
	for len(cells) > 0 {
		run, whole := 0, 0.0
		for run < len(cells) && cells[run].length == cells[0].length && cells[run].going == cells[0].going {
			whole = max(whole, cells[run].x)
			run++
		}
		for _, c := range cells[:run] {
			switch c.going {
			case moments:
				now.v, now.w, now.y = now.v+c.v, now.w+1, max(now.y, c.y)
			case counts:
				now.x += c.x
			default:
				add(c, min(c.w, whole))
			}
		}
		cells = cells[run:]
	}
	if now.w > 0 {
		add(now, max(now.w, now.x))
	}
	return v / n
}

// larger is the larger of two, a NaN being nothing.
func larger(a, b float64) float64 {
	if math.IsNaN(a) {
		return b
	}
	return max(a, b)
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
