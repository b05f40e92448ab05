package influxql

import (
	"math"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/samples"
)

// Samples plans how the samples that a query Needs are read, if they are few enough.
type Samples struct {
	// Count are statements whose rows, together, are how many samples there are. There are none when no series can match.
	Count []string
	// Text are the statements that read them, in the order of their times.
	Text []string

	labels []metric.Label // that every series has
	rates  bool           // a row is the rate of the interval that ends at it
	label  func(string) string
	series map[string]*sampled
	n      int
}

// RenderSamples plans how to read a query's samples. label is the reverse of Options.Value; nil: they are the same.
func RenderSamples(q *store.Checked, o Options, label func(string) string) *Samples {
	if o.Value == nil {
		o.Value = func(s string) string { return s }
	}
	if label == nil {
		label = func(s string) string { return s }
	}
	p := &Plan{labels: fixed(q.Metric, q.Level)}
	out := &Samples{labels: p.labels, label: label, series: map[string]*sampled{}}
	conds, never := conditions(q.Matchers, func(l string) bool { return isTag(q.Level, l) }, p.constant, o.Value)
	if never {
		return out
	}
	r := newReading(&q.Query, q.Metric, conds, o.Database, o.Interval)
	columns := Ident(q.Metric.Field) + " AS w"
	counted := q.Metric.Field
	if out.rates = r.rate && r.field != ""; out.rates {
		columns += ", " + Ident(r.field) + " AS v"
		counted = r.field
	}
	from, to := samples.Reach(q)
	w := &writer{Plan: p, opts: o, reading: r}
	w.cut(source{lo: from - 1, hi: to}, 0, 0, func(s *source) {
		of := r.from(s, s.lo, s.hi)
		out.Count = append(out.Count, "SELECT COUNT("+Ident(counted)+") AS v FROM "+of)
		out.Text = append(out.Text, "SELECT "+columns+" FROM "+of+" GROUP BY *")
	})
	return out
}

// sampled is a series whose samples were read.
type sampled struct {
	samples.Held
	grown float64 // of rates, up to the newest sample
}

// Of returns the series of a statement's answer with these tags; it may be called again for the same.
func (p *Samples) Of(tags map[string]string) *sampled {
	labels := labelled(tags, p.label, p.labels)
	key := keyOf(labels)
	s := p.series[key]
	if s == nil {
		s = &sampled{Held: samples.Held{Labels: labels}}
		p.series[key] = s
	}
	return s
}

// Row adds a row of a series: its time in Unix milliseconds, its value and the rate of the interval that ends at it, NaN where they are null or not there.
func (p *Samples) Row(s *sampled, t int64, value, rate float64) {
	switch last := len(s.Samples) - 1; {
	case !p.rates && math.IsNaN(value), math.IsNaN(value) && math.IsNaN(rate):
		return
	case p.rates && last >= 0 && math.IsNaN(rate): // it falls, as nothing is known of this interval
		value = s.grown - 1
		s.grown = value
	case p.rates:
		if last >= 0 {
			s.grown += rate * float64(t-s.Samples[last].T) / 1000
		}
		value = s.grown
	}
	s.Samples = append(s.Samples, store.Sample{T: t, V: value})
	p.n++
}

// N is how many samples there are so far.
func (p *Samples) N() int { return p.n }

// Members are the series that were read.
func (p *Samples) Members(yield func(samples.Member, error) bool) {
	for _, s := range p.series {
		if !yield(s, nil) {
			return
		}
	}
}
