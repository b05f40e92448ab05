package tsdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"plimsoll.dev/plimsoll/internal/store"
)

// work is what the range selectors of an expression may cost: a sample costs its reading, and once more for each point of the answer in whose range it lies. How many
// samples a range has is known when they are read, and not before; but all of a range are read before the engine works on it. The engine itself looks whether anybody
// waits any more before each series, not before each of its points.
type work struct {
	ctx        context.Context
	most, left float64
	// again is how often a range is looked at that is read once.
	again float64
	// each says that every series has as much as left, and all together what time they have.
	each bool
}

// settles is how much may be owed.
const settles = 1e6

// over counts what is read of ranges from a storage.
func (w *work) over(from storage.Queryable) storage.Queryable {
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		q, err := from.Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		return &countedQuerier{q, w}, nil
	})
}

type countedQuerier struct {
	storage.Querier
	work *work
}

// Select implements storage.Querier.
func (q *countedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := q.Querier.Select(ctx, sorted, hints, ms...)
	if hints == nil || hints.Range == 0 {
		return set
	}
	return &countedSet{set, q.work, q.work.cost(hints)}
}

// cost is that of a sample of a range.
func (w *work) cost(hints *storage.SelectHints) float64 {
	points := 1.0
	if hints.Step > 0 {
		all := (hints.End-hints.Start+1-hints.Range)/hints.Step + 1 // a range is without its begin
		points = float64(min(all, (hints.Range+hints.Step-1)/hints.Step))
	}
	return 1 + max(points, w.again)*costOf(hints.Func)
}

type countedSet struct {
	storage.SeriesSet
	work *work
	cost float64
}

// At implements storage.SeriesSet.
func (s *countedSet) At() storage.Series { return &countedSeries{s.SeriesSet.At(), s.work, s.cost} }

type countedSeries struct {
	storage.Series
	work *work
	cost float64
}

// Iterator implements storage.Series.
func (s *countedSeries) Iterator(old chunkenc.Iterator) chunkenc.Iterator {
	it, ok := old.(*countedIterator)
	if !ok {
		it = &countedIterator{}
		it.Iterator = s.Series.Iterator(old)
	} else {
		it.Iterator = s.Series.Iterator(it.Iterator)
	}
	it.work, it.cost, it.err = s.work, s.cost, nil
	if s.work.each {
		it.left, it.owed = s.work.left, 0
	}
	return it
}

// countedIterator pays for the samples that it reads.
type countedIterator struct {
	chunkenc.Iterator
	work             *work
	cost, owed, left float64
	err              error
}

// Next implements chunkenc.Iterator. What is sought comes next to nothing: the engine seeks once for each point of the answer at most.
func (i *countedIterator) Next() chunkenc.ValueType {
	if i.owed += i.cost; i.owed > settles && !i.settle() {
		return chunkenc.ValNone
	}
	return i.Iterator.Next()
}

// settle pays what is owed, and says whether it can, and anybody waits.
func (i *countedIterator) settle() bool {
	left := &i.work.left
	if i.work.each {
		left = &i.left
	}
	*left -= i.owed
	i.owed = 0
	switch err := i.work.ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		i.err = promql.ErrQueryTimeout("reading samples")
	case err != nil:
		i.err = promql.ErrQueryCanceled("reading samples")
	case *left < 0:
		i.err = fmt.Errorf("%w: the ranges look at more points than %.0f, each counted for every point of the answer in whose range it is: take fewer series, a shorter range or a longer step", store.ErrTooLarge, i.work.most)
	}
	return i.err == nil
}

// Err implements chunkenc.Iterator.
func (i *countedIterator) Err() error {
	if i.err != nil {
		return i.err
	}
	return i.Iterator.Err()
}
