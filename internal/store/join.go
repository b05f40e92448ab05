package store

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Joiner joins series that agree in a query's By, for backends whose engine does not. It has one user at a time.
type Joiner struct {
	by     []string
	join   Func
	first  int64
	step   int64
	groups map[string]*group
	points int
	cells  int
}

// group is what series with the same labels are together.
type group struct {
	labels []metric.Label
	from   int // the step that cells[0] is
	cells  []cell
	there  map[int][]Span // by step, when a member was there, in time order, apart from one another; nil where that is not asked
}

// cell is what the members are at one step.
type cell struct {
	v float64
	n int
}

// Span is a stretch of time, Unix milliseconds.
type Span struct{ From, To int64 }

// Length is how long spans are that do not overlap.
func Length(spans []Span) (ms int64) {
	for _, s := range spans {
		ms += s.To - s.From
	}
	return ms
}

// NewJoiner returns a joiner that has no series yet.
func NewJoiner(q *Query) *Joiner {
	by := slices.Clone(q.By)
	slices.Sort(by)
	first, _, step := q.Grid()
	return &Joiner{by: slices.Compact(by), join: cmp.Or(q.Join, Sum), first: first, step: step, groups: map[string]*group{}}
}

// Add joins a series with those that came before. value gives the values of its labels. Samples lie on the query's grid. there, if not nil,
// says for each sample when in its window the series was there: a sum then counts each for as long, of the time that any was.
func (j *Joiner) Add(value func(label string) string, samples []Sample, there [][]Span) {
	if len(samples) == 0 {
		return
	}
	g := j.group(value)
	for i, x := range samples {
		step := int((x.T - j.first) / j.step)
		c := j.cell(g, step)
		v := x.V
		if there != nil {
			v *= float64(Length(there[i]))
			if g.there == nil {
				g.there = map[int][]Span{}
			}
			g.there[step] = union(g.there[step], there[i])
		}
		switch {
		case c.n == 0:
			c.v = v
			j.points++
		case j.join == Max:
			c.v = max(c.v, v)
		case j.join == Min:
			c.v = min(c.v, v)
		default:
			c.v += v
		}
		c.n++
	}
}

// Has says whether the group of a series has a value at a time of the grid.
func (j *Joiner) Has(value func(label string) string, t int64) bool {
	g, step := j.groups[j.key(value)], int((t-j.first)/j.step)
	return g != nil && step >= g.from && step < g.from+len(g.cells) && g.cells[step-g.from].n > 0
}

// union adds spans to others. It keeps none of the second slice.
func union(a, b []Span) []Span {
	if len(a) == 1 && len(b) == 1 && a[0].From <= b[0].From && a[0].To >= b[0].To {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y Span) int { return cmp.Compare(x.From, y.From) })
	out := all[:0]
	for _, s := range all {
		if k := len(out); k > 0 && s.From <= out[k-1].To {
			out[k-1].To = max(out[k-1].To, s.To)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// Points is how many points the answer has so far.
func (j *Joiner) Points() int { return j.points }

// Cells is how many there are in memory, those without a value between others included.
func (j *Joiner) Cells() int { return j.cells }

// key is that of the group of a series.
func (j *Joiner) key(value func(string) string) string {
	var key strings.Builder
	for _, name := range j.by {
		key.WriteString(value(name))
		key.WriteByte(0)
	}
	return key.String()
}

// group returns the group of a series; it makes it where there is none.
func (j *Joiner) group(value func(string) string) *group {
	key := j.key(value)
	g := j.groups[key]
	if g == nil {
		g = &group{}
		for _, name := range j.by {
			if v := value(name); v != "" {
				g.labels = append(g.labels, metric.Label{Name: name, Value: strings.Clone(v)})
			}
		}
		j.groups[key] = g
	}
	return g
}

// cell returns a group's cell of a step. The pointer holds until the next one.
func (j *Joiner) cell(g *group, step int) *cell {
	before := len(g.cells)
	switch {
	case before == 0:
		g.from = step
	case step < g.from:
		g.cells = append(make([]cell, g.from-step), g.cells...)
		g.from = step
	}
	for step >= g.from+len(g.cells) {
		g.cells = append(g.cells, cell{})
	}
	j.cells += len(g.cells) - before
	return &g.cells[step-g.from]
}

// Series returns the answer, sorted by labels.
func (j *Joiner) Series() []Series {
	out := make([]Series, 0, len(j.groups))
	for _, g := range j.groups {
		s := Series{Labels: g.labels}
		for i, c := range g.cells {
			if c.n == 0 {
				continue
			}
			switch {
			case j.join == Count:
				c.v = float64(c.n)
			case j.join == Avg:
				c.v /= float64(c.n)
			case g.there != nil:
				c.v /= float64(Length(g.there[g.from+i]))
			}
			s.Samples = append(s.Samples, Sample{T: j.first + int64(g.from+i)*j.step, V: c.v})
		}
		out = append(out, s)
	}
	SortSeries(out)
	return out
}

// SortSeries sorts series by their labels.
func SortSeries(in []Series) {
	slices.SortFunc(in, func(a, b Series) int { return CompareLabels(a.Labels, b.Labels) })
}

// CompareLabels is the order of series.
func CompareLabels(a, b []metric.Label) int {
	return slices.CompareFunc(a, b, func(x, y metric.Label) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Value, y.Value))
	})
}
