package tsdb

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

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"plimsoll.dev/plimsoll/internal/store"
	render "plimsoll.dev/plimsoll/internal/store/promql"
)

// rates answers queries about a counter's growth, and about sums of a gauge, from the samples. PromQL's rate() does not say the same: it divides by the window, of
// which it only guesses how much the counter was there for, and leaves out what was between two windows.
func (db *DB) rates(ctx context.Context, q store.Checked) (out []store.Series, err error) {
	began := time.Now()
	defer func() { db.met.query.WithLabelValues(structured).Observe(time.Since(began).Seconds()) }()
	err = db.use(ctx, db.opts.queryTimeout, func(ctx context.Context, gen *generation) error {
		err := guard(func() (err error) {
			r := &rater{ctx: ctx, q: &q, now: db.opts.Now().UnixMilli(), limit: cmp.Or(q.Limit, maxPoints), max: db.opts.maxSamples}
			if q.By != nil {
				joined := q.Query
				if q.Newest() { // each group is one series by then
					joined.Join = store.Sum
				}
				r.join = store.NewJoiner(&joined)
			}
			out, err = r.answer(gen)
			return err
		})
		if err != nil {
			return db.classify(gen, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot query the samples of %s: %w", render.Selector(q.Metric, q.Level, q.Matchers), err)
	}
	return out, nil
}

// rater makes one answer.
type rater struct {
	ctx        context.Context
	q          *store.Checked
	now        int64
	limit, max int // points of the answer, samples in memory

	join   *store.Joiner // nil: series stay by themselves
	lives  lives
	inner  []store.Sample
	out    []store.Series
	points int
	at     []store.Sample // one series' points
	there  [][]store.Span
	sort   []float64
}

func (r *rater) answer(gen *generation) ([]store.Series, error) {
	first, last, _ := r.q.Grid()
	from := first - (r.q.Back + r.q.RateOver + store.MaxInterval).Milliseconds()
	matchers, err := matchersOf(r.q)
	if err != nil {
		return nil, err
	}
	if r.q.Newest() || r.q.Meets() && r.q.Func != store.Rate { // what comes after the end tells who was there at it
		last += store.MaxInterval.Milliseconds()
	}
	querier, err := gen.tsdb.Querier(from, last)
	if err != nil {
		return nil, promql.ErrStorage{Err: err}
	}
	defer func() { _ = querier.Close() }() // it only read
	set := querier.Select(r.ctx, false, &storage.SelectHints{Start: from, End: last, Func: "rate"}, matchers...)
	var sum adder
	if s := newSummer(r); s != nil {
		sum = s
	} else if r.q.Newest() {
		sum = newNewest(r)
	}
	if sum != nil {
		if err := r.groups(set, sum); err != nil {
			return nil, err
		}
		return r.join.Series(), nil
	}
	var it chunkenc.Iterator
	for set.Next() {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		s := set.At()
		it = s.Iterator(it)
		if err := r.read(it); err != nil {
			return nil, err
		}
		if err := r.windows(); err != nil {
			return nil, err
		}
		if err := r.add(s.Labels()); err != nil {
			return nil, err
		}
	}
	if err := set.Err(); err != nil {
		return nil, promql.ErrStorage{Err: err}
	}
	if r.join != nil {
		return r.join.Series(), nil
	}
	store.SortSeries(r.out)
	return r.out, nil
}

// adder adds up the members of a group.
type adder interface {
	begin()
	member(it chunkenc.Iterator) error
	windows() // makes the group's points
}

// groups adds up all series. They are held group by group, as the engine does, and their samples are not.
func (r *rater) groups(set storage.SeriesSet, to adder) error {
	groups := map[string][]storage.Series{}
	for set.Next() {
		var key strings.Builder
		for _, name := range r.q.By {
			key.WriteString(set.At().Labels().Get(name) + "\x00")
		}
		groups[key.String()] = append(groups[key.String()], set.At())
	}
	if err := set.Err(); err != nil {
		return promql.ErrStorage{Err: err}
	}
	var it chunkenc.Iterator
	for _, members := range groups {
		to.begin()
		for _, m := range members {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			it = m.Iterator(it)
			if err := to.member(it); err != nil {
				return err
			}
		}
		r.at, r.there = r.at[:0], r.there[:0]
		to.windows()
		if err := r.add(members[0].Labels()); err != nil {
			return err
		}
	}
	return nil
}

// matchersOf are the engine's matchers of a query.
func matchersOf(q *store.Checked) ([]*labels.Matcher, error) {
	var out []*labels.Matcher
	add := func(t labels.MatchType, name, value string) error {
		m, err := labels.NewMatcher(t, name, value)
		out = append(out, m)
		return err
	}
	err := add(labels.MatchEqual, metricName, q.Metric.At(q.Level))
	if q.Level == q.Metric.Levels[0] {
		for _, f := range q.Metric.Fixed {
			err = cmp.Or(err, add(labels.MatchEqual, f.Name, f.Value))
		}
	}
	types := map[store.MatchOp]labels.MatchType{store.Equal: labels.MatchEqual, store.NotEqual: labels.MatchNotEqual,
		store.Regexp: labels.MatchRegexp, store.NotRegexp: labels.MatchNotRegexp}
	for _, m := range q.Matchers {
		err = cmp.Or(err, add(types[m.Op], m.Name, m.Value))
	}
	if err != nil {
		return nil, &queryError{err, store.ErrBadQuery}
	}
	return out, nil
}

// floats are a series' samples, with the marks of an end among them, until there are no more of them or the query ends; err is why they are not all.
func (r *rater) floats(it chunkenc.Iterator, err *error) iter.Seq2[int64, float64] {
	return func(yield func(t int64, v float64) bool) {
		for n := 0; ; n++ {
			switch it.Next() {
			case chunkenc.ValNone:
				if why := it.Err(); why != nil {
					*err = promql.ErrStorage{Err: why}
				}
				return
			case chunkenc.ValFloat:
				if !yield(it.At()) {
					return
				}
			}
			if n%(1<<16) == 0 && r.ctx.Err() != nil {
				*err = r.ctx.Err()
				return
			}
		}
	}
}

// read reads a series' samples. Staleness markers are none: a counter that was not seen for a while, and did not fall, went on.
func (r *rater) read(it chunkenc.Iterator) (err error) {
	r.lives.reset()
	for t, v := range r.floats(it, &err) {
		if !value.IsStaleNaN(v) {
			r.lives.sample(t, v)
		}
		if len(r.lives.at) > r.max {
			return fmt.Errorf("%w: more than %d samples of one series", store.ErrTooLarge, r.max)
		}
	}
	return err
}

// windows makes the points of the series that was read.
func (r *rater) windows() error {
	r.at, r.there = r.at[:0], r.there[:0]
	if r.q.RateOver > 0 {
		return r.overTime()
	}
	meets := r.q.Meets()
	back := r.q.Back.Milliseconds()
	first, last, step := r.q.Grid()
	from, to := 0, 0
	for t := first; t <= last; t += step {
		from, to = r.lives.upTo(from, t-back), r.lives.upTo(to, t)
		grown, length := r.lives.between(from, to)
		if length == 0 {
			continue
		}
		v := grown
		if r.q.Func == store.Rate {
			v = grown * 1000 / length
		}
		r.at = append(r.at, store.Sample{T: t, V: v})
		if meets {
			r.there = append(r.there, r.lives.there(nil, t-back, t))
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

// add puts the points of a series into the answer.
func (r *rater) add(ls labels.Labels) error {
	switch {
	case len(r.at) == 0:
		return nil
	case r.join == nil:
		r.out = append(r.out, store.Series{Labels: plain(ls), Samples: slices.Clone(r.at)})
		r.points += len(r.at)
	default:
		there := r.there
		if len(there) == 0 {
			there = nil
		}
		r.join.Add(ls.Get, r.at, there)
		r.points = r.join.Points()
		if r.join.Cells() > r.max {
			return fmt.Errorf("%w: more than %d moments in memory", store.ErrTooLarge, r.max)
		}
	}
	if r.points > r.limit {
		return fmt.Errorf("%w: more than %d points", store.ErrTooLarge, r.limit)
	}
	return nil
}
