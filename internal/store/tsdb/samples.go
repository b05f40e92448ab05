package tsdb

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	render "plimsoll.dev/plimsoll/internal/store/promql"
	"plimsoll.dev/plimsoll/internal/store/samples"
)

// ofSamples answers a query from the samples. PromQL's rate() does not say the same: it divides by the window, of which it only guesses how much the counter was there for, and
// leaves out what was between two windows.
func (db *DB) ofSamples(ctx context.Context, q store.Checked) (out []store.Series, err error) {
	began := time.Now()
	defer func() { db.met.query.WithLabelValues(structured).Observe(time.Since(began).Seconds()) }()
	err = db.use(ctx, db.opts.queryTimeout, func(ctx context.Context, gen *generation) error {
		err := guard(func() (err error) {
			out, err = db.sampled(ctx, gen, &q)
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

func (db *DB) sampled(ctx context.Context, gen *generation, q *store.Checked) ([]store.Series, error) {
	matchers, err := matchersOf(q)
	if err != nil {
		return nil, err
	}
	from, to := samples.Reach(q)
	querier, err := gen.tsdb.Querier(from, to)
	if err != nil {
		return nil, promql.ErrStorage{Err: err}
	}
	defer func() { _ = querier.Close() }() // it only read
	set := querier.Select(ctx, false, &storage.SelectHints{Start: from, End: to, Func: "rate"}, matchers...)
	return samples.Answer(ctx, q, samples.Options{Now: db.opts.Now().UnixMilli(), Limit: cmp.Or(q.Limit, maxPoints), Most: db.opts.maxSamples}, membersOf(set))
}

// membersOf are the series of a set.
func membersOf(set storage.SeriesSet) iter.Seq2[samples.Member, error] {
	return func(yield func(samples.Member, error) bool) {
		var it chunkenc.Iterator // one is read after the other
		for set.Next() {
			if !yield(&member{set.At(), &it}, nil) {
				return
			}
		}
		if err := set.Err(); err != nil {
			yield(nil, promql.ErrStorage{Err: err})
		}
	}
}

// member is a series of the engine.
type member struct {
	storage.Series
	it *chunkenc.Iterator
}

// Label implements samples.Member.
func (m *member) Label(name string) string { return m.Labels().Get(name) }

// All implements samples.Member.
func (m *member) All() []metric.Label { return plain(m.Labels()) }

// Read implements samples.Member.
func (m *member) Read(each func(t int64, v float64) bool) error {
	*m.it = m.Iterator(*m.it)
	for it := *m.it; ; {
		switch it.Next() {
		case chunkenc.ValNone:
			if err := it.Err(); err != nil {
				return promql.ErrStorage{Err: err}
			}
			return nil
		case chunkenc.ValFloat:
			if !each(it.At()) {
				return nil
			}
		}
	}
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
