package influx

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx/influxql"
	"plimsoll.dev/plimsoll/internal/store/samples"
)

// newestOnly is which part of as many samples as may be read is read for the newest values of one window: the server tells these of each series, with their times.
const newestOnly = 20

// sampled answers a query from the samples, exactly, where there are not too many of them: nil if there are.
func (r *Reader) sampled(ctx context.Context, p Place, q store.Checked, o influxql.Options) ([]store.Series, error) {
	plan := influxql.RenderSamples(&q, o, LabelValue)
	n, most := 0.0, r.opts.MaxSamples
	if q.Newest() && q.Step == 0 {
		most /= newestOnly
	}
	for _, text := range plan.Count { // one after the other: a server may be asked for a limited time in one request
		err := ask(ctx, r, p, text, func(_ int, s *rows[numbers]) error {
			for row := range s.Values.all() {
				if v := row.at(s.column("v")); v > 0 {
					n += v
				}
			}
			return nil
		})
		if err != nil || n > float64(most) {
			return nil, err
		}
	}
	if n == 0 {
		return []store.Series{}, nil
	}
	for _, text := range plan.Text {
		err := ask(ctx, r, p, text, func(_ int, s *rows[numbers]) error {
			t, value, rate := s.column("time"), s.column("w"), s.column("v")
			if t < 0 || value < 0 {
				return fmt.Errorf("answer with columns %q", s.Columns)
			}
			series := plan.Of(s.Tags)
			for row := range s.Values.all() {
				plan.Row(series, int64(row.at(t)), row.at(value), row.at(rate))
			}
			if plan.N() > 2*most+1000 { // more came since they were counted
				return fmt.Errorf("%w: more than %d samples", store.ErrTooLarge, plan.N())
			}
			return nil
		})
		switch {
		case errors.Is(err, store.ErrTooLarge): // the server's own limits
			return nil, nil
		case err != nil:
			return nil, err
		}
	}
	out, err := samples.Answer(ctx, &q, samples.Options{Now: o.Now.UnixMilli(), Limit: cmp.Or(q.Limit, r.opts.maxPoints), Most: r.opts.maxPoints}, plan.Members)
	if out == nil {
		out = []store.Series{}
	}
	return out, err
}
