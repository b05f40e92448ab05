// Package samples answers structured queries of package store from the samples themselves, for backends whose engine does not say the same: how long a counter's intervals
// are, who was there beside whom, and who came after whom, is seen in the samples alone. What it says is the contract's, whoever brings them.
package samples

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Member is a series that a query selects.
type Member interface {
	// Label returns the value of a label, "" if the series has none of that name.
	Label(name string) string
	// All are all labels, sorted by name, without the metric's name.
	All() []metric.Label
	// Read gives the samples in the order of their times, in Unix milliseconds, those of Reach at least, and NaN where an end was said; each says whether it
	// wants another.
	Read(each func(t int64, v float64) bool) error
}

// Held is a member whose samples are in memory.
type Held store.Series

// Label implements Member.
func (h *Held) Label(name string) string { return (*store.Series)(h).Label(name) }

// All implements Member.
func (h *Held) All() []metric.Label { return h.Labels }

// Read implements Member.
func (h *Held) Read(each func(t int64, v float64) bool) error {
	for _, x := range h.Samples {
		if !each(x.T, x.V) {
			break
		}
	}
	return nil
}

// Options bound an answer.
type Options struct {
	Now   int64 // Unix milliseconds
	Limit int   // points of the answer
	Most  int   // samples of one series, and moments, in memory
}

// Needs says whether a query is one of those that are to be answered from samples.
func Needs(q *store.Checked) bool {
	return q.Func == store.Rate || q.Func == store.Increase || q.RateOver > 0 || q.Newest() || newSummer(&rater{q: q}) != nil
}

// Within says whether a query is about so much time at most. Of more it may take an engine longer to count samples than to add them up.
func Within(q *store.Checked, most time.Duration) bool {
	span := q.Back
	if q.Step > 0 {
		span = max(span, q.End.Sub(q.Start))
	}
	return span <= most+time.Millisecond
}

// Reach returns the time of the samples that an answer is made of, both ends included, in Unix milliseconds.
func Reach(q *store.Checked) (from, to int64) {
	first, last, _ := q.Grid()
	from = first - (q.Back + q.RateOver + store.MaxInterval).Milliseconds()
	if q.Newest() || q.Sums() { // what comes after the end tells who was there at it
		last += store.MaxInterval.Milliseconds()
	}
	return from, last
}

// Answer makes the answer to a query that Needs samples of the members that it selects. Series are sorted by their labels. The error wraps store.ErrTooLarge, or is the context's or a
// member's.
func Answer(ctx context.Context, q *store.Checked, o Options, members iter.Seq2[Member, error]) ([]store.Series, error) {
	r := &rater{ctx: ctx, q: q, Options: o, flows: map[string]*flow{}}
	if q.By != nil {
		joined := q.Query
		if q.Newest() { // each group is one series by then
			joined.Join = store.Sum
		}
		r.join = store.NewJoiner(&joined)
	}
	if s := newSummer(r); s != nil {
		return r.groups(members, s)
	}
	if q.Newest() {
		return r.groups(members, newNewest(r))
	}
	return r.each(members)
}

// rater makes one answer.
type rater struct {
	Options
	ctx    context.Context
	q      *store.Checked
	join   *store.Joiner // nil: series stay by themselves
	lives  lives
	inner  []store.Sample
	out    []store.Series
	points int
	at     []store.Sample // one series' points
	there  [][]store.Span
	sort   []float64
	beside []beside
	flows  map[string]*flow
}

// each makes the points of every member by itself, and joins them if they are to be.
func (r *rater) each(members iter.Seq2[Member, error]) ([]store.Series, error) {
	for m, err := range members {
		if err == nil {
			err = cmp.Or(r.ctx.Err(), r.read(m))
		}
		if err == nil {
			err = r.windows()
		}
		if err == nil {
			err = r.add(m)
		}
		if err != nil {
			return nil, err
		}
		if r.q.Sums() {
			r.note(m)
		}
	}
	if r.join != nil {
		r.stay()
		return r.join.Series(), nil
	}
	store.SortSeries(r.out)
	return r.out, nil
}

// flow is who begins and who ends in a group whose rates are added up.
type flow struct {
	of     Member // one of them
	begins []int64
	gone   []*leaving
	beside []beside
}

// beside is what a member adds to a window in which none of its intervals ends, where one of others does.
type beside struct {
	t     int64
	rate  float64
	there store.Span
}

// key is that of a member's group.
func (r *rater) key(m Member) string {
	var key strings.Builder
	for _, name := range r.q.By {
		key.WriteString(m.Label(name) + "\x00")
	}
	return key.String()
}

// note notes when the member that was read began and ended.
func (r *rater) note(m Member) {
	if len(r.lives.runs) == 0 {
		return
	}
	key := r.key(m)
	f := r.flows[key]
	if f == nil {
		f = &flow{of: m}
		r.flows[key] = f
	}
	f.beside = append(f.beside, r.beside...)
	for _, x := range r.lives.runs {
		if f.begins = append(f.begins, x.From); x.due < r.Now { // else it is there while its next sample may still come
			f.gone = append(f.gone, &leaving{at: x.To, until: x.next, begun: x.From, v: x.rate})
		}
	}
}

// stay adds who is there between samples of its own, and who has ended for as long as it may have been there: until its next sample was to come, or another came after it.
func (r *rater) stay() {
	first, last, step := r.q.Grid()
	back := r.q.Back.Milliseconds()
	for _, f := range r.flows {
		succeed(f.gone, f.begins)
		for _, g := range f.gone {
			t := first
			if g.at >= first {
				t += ((g.at-first)/step + 1) * step
			}
			for ; t <= last && t-back < g.until; t += step {
				if there := (store.Span{From: max(g.at, t-back), To: min(g.until, t)}); there.From < there.To {
					f.beside = append(f.beside, beside{t, g.v, there})
				}
			}
		}
		for _, x := range f.beside {
			if r.join.Has(f.of.Label, x.t) {
				r.join.Add(f.of.Label, []store.Sample{{T: x.t, V: x.rate}}, [][]store.Span{{x.there}})
			}
		}
	}
}

// adder adds up the members of a group.
type adder interface {
	begin()
	member(Member) error
	windows() // makes the group's points
}

// groups adds up all series. They are held group by group, and their samples are not.
func (r *rater) groups(members iter.Seq2[Member, error], to adder) ([]store.Series, error) {
	groups := map[string][]Member{}
	for m, err := range members {
		if err != nil {
			return nil, err
		}
		key := r.key(m)
		groups[key] = append(groups[key], m)
	}
	for _, members := range groups {
		to.begin()
		for _, m := range members {
			if err := cmp.Or(r.ctx.Err(), to.member(m)); err != nil {
				return nil, err
			}
		}
		r.at, r.there = r.at[:0], r.there[:0]
		to.windows()
		if err := r.add(members[0]); err != nil {
			return nil, err
		}
	}
	return r.join.Series(), nil
}

// floats are a member's samples, with the marks of an end among them, until there are no more of them or the query ends; err is why they are not all.
func (r *rater) floats(m Member, err *error) iter.Seq2[int64, float64] {
	return func(yield func(t int64, v float64) bool) {
		n := 0
		why := m.Read(func(t int64, v float64) bool {
			if n++; n%(1<<16) == 0 && r.ctx.Err() != nil {
				*err = r.ctx.Err()
				return false
			}
			return yield(t, v)
		})
		*err = cmp.Or(*err, why)
	}
}

// read reads a series' samples. Ends that were said are none: a counter that was not seen for a while, and did not fall, went on.
func (r *rater) read(m Member) (err error) {
	r.lives.reset()
	for t, v := range r.floats(m, &err) {
		if !math.IsNaN(v) {
			r.lives.sample(t, v)
		}
		if len(r.lives.at) > r.Most {
			return fmt.Errorf("%w: more than %d samples of one series", store.ErrTooLarge, r.Most)
		}
	}
	return err
}

// windows makes the points of the series that was read.
func (r *rater) windows() error {
	r.at, r.there, r.beside = r.at[:0], r.there[:0], r.beside[:0]
	if r.q.RateOver > 0 {
		return r.overTime()
	}
	meets := r.q.Sums()
	back := r.q.Back.Milliseconds()
	first, last, step := r.q.Grid()
	from, to := 0, 0
	for t := first; t <= last; t += step {
		from, to = r.lives.upTo(from, t-back), r.lives.upTo(to, t)
		grown, length := r.lives.between(from, to)
		if length == 0 {
			if v, begun, ok := r.lives.spanning(to); ok && meets && begun < t {
				r.beside = append(r.beside, beside{t, v, store.Span{From: max(begun, t-back), To: t}})
			}
			continue
		}
		v := grown
		if r.q.Func == store.Rate {
			v = grown * 1000 / length
		}
		r.at = append(r.at, store.Sample{T: t, V: v})
		if meets {
			r.there = append(r.there, r.lives.there(nil, t-back, t, r.Now))
		}
	}
	return nil
}

// overTime makes points of rates that are each over a while.
func (r *rater) overTime() error {
	first, last, step := r.q.Grid()
	r.inner = r.lives.rates(r.inner[:0], r.q.RateOver.Milliseconds(), first)
	back := r.q.Back.Milliseconds()
	lo, hi := 0, 0
	for t := first; t <= last; t += step {
		for hi < len(r.inner) && r.inner[hi].T <= t {
			hi++
		}
		for lo < hi && r.inner[lo].T <= t-back {
			lo++
		}
		if lo == hi {
			continue
		}
		if err := r.ctx.Err(); err != nil {
			return err
		}
		r.at = append(r.at, store.Sample{T: t, V: r.apply(r.inner[lo:hi])})
	}
	return nil
}

// apply is the query's function of some rates.
func (r *rater) apply(in []store.Sample) float64 {
	v := in[0].V
	switch r.q.Func {
	case store.Last:
		return in[len(in)-1].V
	case store.Count:
		return float64(len(in))
	case store.Max:
		for _, x := range in[1:] {
			v = max(v, x.V)
		}
	case store.Min:
		for _, x := range in[1:] {
			v = min(v, x.V)
		}
	case store.Quantile:
		r.sort = r.sort[:0]
		for _, x := range in {
			r.sort = append(r.sort, x.V)
		}
		return quantile(r.sort, r.q.Q)
	default:
		for _, x := range in[1:] {
			v += x.V
		}
		if r.q.Func == store.Avg {
			v /= float64(len(in))
		}
	}
	return v
}

// quantile interpolates between ranks, as PromQL does. It sorts.
func quantile(in []float64, q float64) float64 {
	sort.Float64s(in)
	rank := q * float64(len(in)-1)
	lower := math.Floor(rank)
	upper := min(int(lower)+1, len(in)-1)
	w := rank - lower
	return in[int(lower)]*(1-w) + in[upper]*w
}

// add puts the points of a series, or of the group that it is of, into the answer.
func (r *rater) add(m Member) error {
	switch {
	case len(r.at) == 0:
		return nil
	case r.join == nil:
		r.out = append(r.out, store.Series{Labels: m.All(), Samples: slices.Clone(r.at)})
		r.points += len(r.at)
	default:
		there := r.there
		if len(there) == 0 {
			there = nil
		}
		r.join.Add(m.Label, r.at, there)
		r.points = r.join.Points()
		if r.join.Cells() > r.Most {
			return fmt.Errorf("%w: more than %d moments in memory", store.ErrTooLarge, r.Most)
		}
	}
	if r.points > r.Limit {
		return fmt.Errorf("%w: more than %d points", store.ErrTooLarge, r.Limit)
	}
	return nil
}
