package tsdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store"
	render "plimsoll.dev/plimsoll/internal/store/promql"
	"plimsoll.dev/plimsoll/internal/store/samples"
)

// maxPoints is the most points in an answer to a query without a limit.
const maxPoints = 2_000_000

// Query answers a structured query: from samples where PromQL does not say the same, else rendered to PromQL and evaluated in the engine. Series are sorted by their
// labels. Besides the contract's errors it may return context.DeadlineExceeded (the query took too long).
func (db *DB) Query(ctx context.Context, q store.Query) ([]store.Series, error) {
	checked, err := q.Check()
	if err != nil {
		return nil, err
	}
	if samples.Needs(&checked) {
		return db.ofSamples(ctx, checked)
	}
	expr := render.Render(checked)
	e := evaluation{expr: expr, end: q.End, step: q.Step, within: scope.Whole(), kind: structured}
	if q.Step > 0 {
		e.start = q.Start
	}
	limit := cmp.Or(q.Limit, maxPoints)
	var out []store.Series
	err = db.evaluate(ctx, e, func(r *promql.Result) error {
		out, err = convert(r.Value, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot query %s: %w", expr, err)
	}
	return out, nil
}

// evaluation is one run of the engine.
type evaluation struct {
	expr       string
	start, end time.Time // only end with step zero
	step       time.Duration
	lookback   time.Duration // zero: the store's
	timeout    time.Duration // zero, or more than the store's: the store's
	within     scope.Scope   // what may be read
	kind       string        // for the metric
}

// structured is the kind of a query that was not written as PromQL.
const structured = "structured"

// evaluate runs a query when there is a slot for it, and gives the result to use before its memory is reused.
func (db *DB) evaluate(ctx context.Context, e evaluation, use func(*promql.Result) error) error {
	began := time.Now()
	defer func() { db.met.query.WithLabelValues(e.kind).Observe(time.Since(began).Seconds()) }()
	timeout := db.opts.queryTimeout
	if e.timeout > 0 {
		timeout = min(timeout, e.timeout)
	}
	return db.use(ctx, timeout, func(ctx context.Context, gen *generation) error {
		expr, err := db.parse(e.expr, maxNesting)
		if err != nil {
			return err
		}
		again, err := judge(expr, e.length())
		if err != nil {
			return err
		}
		// The reports and the page ask for the same of many series, within what time they have; no series of theirs is a load by itself.
		query, err := e.query(gen, &work{ctx: ctx, most: db.opts.maxWork, left: db.opts.maxWork, again: again, each: e.kind == structured})
		if err != nil {
			return &queryError{err, store.ErrBadQuery}
		}
		defer query.Close()
		result := query.Exec(ctx)
		if result.Err != nil {
			return db.classify(gen, result.Err)
		}
		return use(result)
	})
}

// use runs f on the engine when there is a slot, with a context that ends with the timeout and with the engine. It
// does not wait for an engine that is being reopened.
func (db *DB) use(ctx context.Context, timeout time.Duration, f func(context.Context, *generation) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case db.slots <- struct{}{}:
	default:
		select {
		case db.slots <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("waited for %d other queries: %w", cap(db.slots), ctx.Err())
		}
	}
	defer func() { <-db.slots }()
	if db.closed.Load() {
		return store.ErrClosed
	}
	if !db.mu.TryRLock() {
		return fmt.Errorf("history is being reopened: %w", store.ErrReadOnly)
	}
	defer db.mu.RUnlock()
	if db.gen == nil {
		c, _ := db.cond.Get(ReasonWriteFailed)
		return fmt.Errorf("history could not be reopened: %s: %w", c.Message, store.ErrReadOnly)
	}
	defer context.AfterFunc(db.gen.ctx, cancel)()
	return f(ctx, db.gen)
}

// length is the time that a query is evaluated over.
func (e *evaluation) length() time.Duration {
	if e.step == 0 {
		return 0
	}
	return e.end.Sub(e.start)
}

func (e *evaluation) query(gen *generation, w *work) (promql.Query, error) {
	ctx, opts, from := w.ctx, promql.NewPrometheusQueryOpts(false, e.lookback), w.over(within(gen.tsdb, e.within))
	if e.step == 0 {
		return gen.engine.NewInstantQuery(ctx, from, opts, e.expr, e.end)
	}
	return gen.engine.NewRangeQuery(ctx, from, opts, e.expr, e.start, e.end, e.step)
}

// queryError is an error of the engine with the contract's error that it amounts to.
type queryError struct{ engine, contract error }

// Error tells the engine's text, which Prometheus' API gives too.
func (e *queryError) Error() string { return e.engine.Error() }

// Unwrap gives both.
func (e *queryError) Unwrap() []error { return []error{e.engine, e.contract} }

// classify turns the engine's errors into the contract's.
func (db *DB) classify(gen *generation, err error) error {
	var (
		tooMany  promql.ErrTooManySamples
		timeout  promql.ErrQueryTimeout
		canceled promql.ErrQueryCanceled
		disk     promql.ErrStorage
	)
	switch {
	case errors.As(err, &tooMany):
		return &queryError{err, store.ErrTooLarge}
	case errors.As(err, &timeout):
		return &queryError{err, context.DeadlineExceeded}
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		if gen.ctx.Err() != nil {
			return &queryError{err, store.ErrClosed}
		}
		return &queryError{err, context.Canceled}
	case errors.As(err, &disk):
		db.met.errors.WithLabelValues(classRead).Inc()
		if s := err.Error(); strings.Contains(s, "checksum") || strings.Contains(s, "cannot populate chunk") {
			if db.cond.Say(ReasonDamaged, s) {
				db.log.Warn("query met damaged data", "err", err)
			}
		}
	default:
		db.met.errors.WithLabelValues(classQuery).Inc()
	}
	return err
}

// convert copies an answer out of the engine's memory.
func convert(v parser.Value, limit int) ([]store.Series, error) {
	var out []store.Series
	points := 0
	switch v := v.(type) {
	case promql.Matrix:
		for i := range v {
			points += len(v[i].Floats)
		}
		if points > limit {
			break
		}
		for i := range v {
			s := store.Series{Labels: plain(v[i].Metric), Samples: make([]store.Sample, 0, len(v[i].Floats))}
			for _, p := range v[i].Floats {
				s.Samples = append(s.Samples, store.Sample{T: p.T, V: p.F})
			}
			out = append(out, s)
		}
	case promql.Vector:
		points = len(v)
		if points > limit {
			break
		}
		for i := range v {
			out = append(out, store.Series{Labels: plain(v[i].Metric), Samples: []store.Sample{{T: v[i].T, V: v[i].F}}})
		}
	default:
		return nil, fmt.Errorf("answer of type %q", v.Type())
	}
	if points > limit {
		return nil, fmt.Errorf("%w: %d points, limit %d", store.ErrTooLarge, points, limit)
	}
	store.SortSeries(out)
	return out, nil
}

// plain copies labels without the metric name.
func plain(ls labels.Labels) []metric.Label {
	out := make([]metric.Label, 0, ls.Len())
	ls.Range(func(l labels.Label) {
		if l.Name != metricName {
			out = append(out, metric.Label{Name: strings.Clone(l.Name), Value: strings.Clone(l.Value)})
		}
	})
	return out
}

// metricName is the label that holds a series' metric name.
const metricName = "__name__"
