package tsdb

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store"
)

// within limits what is read to what a scope sees: below the engine, so that no expression, selector or function, of now or of a later
// engine, reads past it. What matchers of the asker's own say is looked at beside it.
func within(from storage.Queryable, s scope.Scope) storage.Queryable {
	if s.IsWhole() {
		return from
	}
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		q, err := from.Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		m, all := store.NamespacesOf(s)
		if all {
			return q, nil
		}
		t := labels.MatchRegexp
		if m.Op == store.NotRegexp {
			t = labels.MatchNotRegexp
		}
		only, err := labels.NewMatcher(t, m.Name, m.Value)
		if err != nil {
			_ = q.Close() // it has read nothing
			return nil, err
		}
		return &limited{q, only}, nil
	})
}

// limited is a querier that adds a matcher to whatever is asked.
type limited struct {
	storage.Querier
	only *labels.Matcher
}

func (q *limited) with(ms []*labels.Matcher) []*labels.Matcher {
	return append(ms[:len(ms):len(ms)], q.only)
}

// Select implements storage.Querier.
func (q *limited) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return q.Querier.Select(ctx, sorted, hints, q.with(ms)...)
}

// LabelValues implements storage.Querier.
func (q *limited) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.Querier.LabelValues(ctx, name, hints, q.with(ms)...)
}

// LabelNames implements storage.Querier.
func (q *limited) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.Querier.LabelNames(ctx, hints, q.with(ms)...)
}
