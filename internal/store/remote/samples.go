package remote

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/promql"
	"plimsoll.dev/plimsoll/internal/store/samples"
)

// sampled answers a query from the samples, exactly: nil where there are too many of them, or the engine gives none.
func (r *Reader) sampled(ctx context.Context, q *store.Checked) ([]store.Series, error) {
	from, to := samples.Reach(q)
	of := promql.Selector(q.Metric, q.Level, q.Matchers) + "[" + promql.Duration(time.Duration(to-from+1)*time.Millisecond) + "]"
	ask := func(expr string, limit int) ([]store.Series, error) {
		out, err := r.ask(ctx, "/api/v1/query", url.Values{"query": {expr}, "time": {seconds(time.UnixMilli(to))}, "timeout": {r.opts.timeout.String()}, "nocache": {"1"}}, limit)
		if errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrBadQuery) || errors.Is(err, store.ErrLongValue) { // the engine's own limits, or a series of weeks
			return nil, nil
		}
		return out, err
	}
	n, err := ask("sum(count_over_time("+of+"))", 1)
	switch {
	case err != nil, len(n) == 0:
		return nil, err
	case len(n[0].Samples) > 0 && n[0].Samples[0].V > float64(r.opts.MaxSamples):
		return nil, nil
	}
	read, err := ask(of, 2*r.opts.MaxSamples)
	if err != nil || read == nil {
		return nil, err
	}
	out, err := samples.Answer(ctx, q, samples.Options{Now: time.Now().UnixMilli(), Limit: cmp.Or(q.Limit, r.opts.maxPoints), Most: r.opts.maxPoints}, func(yield func(samples.Member, error) bool) {
		for i := range read {
			if !yield((*samples.Held)(&read[i]), nil) {
				return
			}
		}
	})
	if out == nil && err == nil {
		out = []store.Series{}
	}
	return out, err
}
