package influxql

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Answer puts the rows of a plan's statements together. It has one user at a time.
type Answer struct {
	plan   *Plan
	label  func(string) string // from a tag's value to the label's
	limit  int
	most   int // rows
	rows   int
	series map[string]*Series
	paces  []pace // the slowest of any series at each time, for those of which none was seen
}

// Series is one series of an answer.
type Series struct {
	answer *Answer
	labels []metric.Label
	cells  []cell
	paces  []pace // of members
}

// cell is a row: a point, or a piece of windows that ends at t.
type cell struct {
	t             int64
	v, w, x, y, z float64
	length        int64
	moment        int64
	rolled        bool
	tells         tells
}

// Answer returns an empty answer. It accepts rows until there are more than the query's limit, or limit where it has none; of
// rows that are not points themselves it accepts limit at most. label is the reverse of Options.Value; nil: they are the same.
func (p *Plan) Answer(limit int, label func(string) string) *Answer {
	a := &Answer{plan: p, label: label, limit: limit, most: limit, series: map[string]*Series{}}
	if a.label == nil {
		a.label = func(s string) string { return s }
	}
	if p.query.Limit > 0 {
		a.limit = p.query.Limit
	}
	if p.kind == points && !p.join {
		a.most = a.limit
	}
	return a
}

// Of returns the series of a statement's answer with these tags; it may be called again for the same.
func (a *Answer) Of(tags map[string]string) *Series {
	var fixed []metric.Label
	for _, l := range a.plan.labels {
		if by := a.plan.query.By; by == nil || a.plan.join || slices.Contains(by, l.Name) {
			fixed = append(fixed, l)
		}
	}
	labels := labelled(tags, a.label, fixed)
	key := keyOf(labels)
	l := a.series[key]
	if l == nil {
		l = &Series{answer: a, labels: labels}
		a.series[key] = l
	}
	return l
}

// labelled are the labels of a series, sorted: those of its tags, and those that every series has.
func labelled(tags map[string]string, label func(string) string, fixed []metric.Label) []metric.Label {
	labels := slices.Clone(fixed)
	for k, v := range tags {
		if v != "" {
			labels = append(labels, metric.Label{Name: k, Value: label(v)})
		}
	}
	slices.SortFunc(labels, byName)
	return labels
}

func byName(x, y metric.Label) int { return strings.Compare(x.Name, y.Name) }

func keyOf(labels []metric.Label) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(l.Name)
		b.WriteByte(0)
		b.WriteString(l.Value)
		b.WriteByte(0)
	}
	return b.String()
}

// Columns are the names that a row's columns may have, beside its time.
var Columns = [...]string{"v", "w", "x", "y", "z"}

// Row adds a row of a statement: its time in Unix milliseconds, and its Columns, NaN where they are null or not there.
// The error wraps store.ErrTooLarge.
func (l *Series) Row(s *Statement, t int64, columns [len(Columns)]float64) error {
	p := l.answer.plan
	if s.single {
		t = s.t
	} else if p.kind != values {
		t += s.t
	}
	v := columns[0]
	if math.IsNaN(v) && p.kind == points {
		v = columns[1]
	}
	first, last, _ := p.query.Grid()
	if math.IsNaN(v) && (s.tells == nothing || s.tells == sums || s.tells == paces) || p.kind == points && (t < first || t > last) || p.kind != values && !s.single && t <= s.after {
		return nil
	}
	if l.answer.rows++; l.answer.rows > l.answer.most {
		return fmt.Errorf("%w: more than %d points", store.ErrTooLarge, l.answer.most)
	}
	if s.tells == paces {
		l.paces = append(l.paces, pace{t, v})
		all := &l.answer.paces
		if i := slices.IndexFunc(*all, func(p pace) bool { return p.t == t }); i >= 0 {
			(*all)[i].apart = max((*all)[i].apart, v)
		} else {
			*all = append(*all, pace{t, v})
		}
		return nil
	}
	l.cells = append(l.cells, cell{t, v, columns[1], columns[2], columns[3], columns[4], s.length, s.moment, s.rolled, s.tells})
	return nil
}

// Series returns the answer, sorted by labels. The error wraps store.ErrTooLarge.
func (a *Answer) Series() ([]store.Series, error) {
	all := make([]*Series, 0, len(a.series))
	for _, l := range a.series {
		slices.SortStableFunc(l.cells, func(x, y cell) int { return cmp.Or(cmp.Compare(x.t, y.t), cmp.Compare(x.tells, y.tells)) })
		of := l.paces
		if len(of) == 0 {
			of = a.paces
		}
		for i := range l.cells {
			if c := &l.cells[i]; c.moment > 0 {
				c.count(nearest(of, c.t))
			}
		}
		if a.plan.kind == meetings {
			l.cells = fold(l.cells)
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(x, y *Series) int { return store.CompareLabels(x.labels, y.labels) })
	if a.plan.kind == latest {
		return a.joined(a.plan.together(all))
	}
	var out []store.Series
	n := 0
	for _, l := range all {
		samples := l.samples()
		l.cells = nil
		if len(samples) == 0 {
			continue
		}
		if n += len(samples); !a.plan.join && n > a.limit {
			return nil, fmt.Errorf("%w: more than %d points", store.ErrTooLarge, a.limit)
		}
		out = append(out, store.Series{Labels: l.labels, Samples: samples})
	}
	if !a.plan.join {
		return out, nil
	}
	j := store.NewJoiner(&a.plan.query)
	for i := range out {
		j.Add(out[i].Label, out[i].Samples, nil)
	}
	return a.joined(j)
}

// joined is the answer of series that were joined here.
func (a *Answer) joined(j *store.Joiner) ([]store.Series, error) {
	if j.Points() > a.limit {
		return nil, fmt.Errorf("%w: %d points, limit %d", store.ErrTooLarge, j.Points(), a.limit)
	}
	return j.Series(), nil
}
