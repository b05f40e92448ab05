package heapster

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/model"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

func (h history) answerAggregates(ctx context.Context, w http.ResponseWriter, q ask, s *model.Metric, p params, pic picture) error {
	if err := p.needStart(); err != nil {
		return err
	}
	whole := max(p.end.Sub(p.start), time.Millisecond)
	width := cmp.Or(p.bucket, whole)
	if n := whole / width; n > maxBuckets {
		return serve.BadRequest("bucket %q makes %d buckets of the time from start to end: at most %d are allowed", width, n, maxBuckets)
	}
	return each(w, q, pic, func(t target) (Aggregate, error) {
		if !pic.fits(s, t, p.labels) {
			return Aggregate{[]Bucket{}, width.Nanoseconds()}, nil
		}
		found, err := h.aggregate(ctx, s, t, p, q.aggs, width)
		return Aggregate{found, width.Nanoseconds()}, err
	})
}

// aggregate asks the store once for each kind of look that the aggregations need, in steps that are short
// against a bucket, and puts the steps together. A sum of several containers is added up first, step by step: the
// most that a pod used is not the sum of the most that each container did.
func (h history) aggregate(ctx context.Context, s *model.Metric, t target, p params, aggs []string, width time.Duration) ([]Bucket, error) {
	looks := map[store.Func][]sum{}
	at := map[int64]*Bucket{}
	for _, agg := range aggs {
		how := funcOf(agg)
		if s.Since || s.Cumulative && how == store.Avg {
			how = store.Last
		}
		sums, ok := looks[how]
		if !ok {
			points, err := h.cut(p.start, p.end, func(start time.Time) (span, []point, error) {
				g := h.stepsOf(start, p.end, width)
				points, err := h.points(ctx, s, t, p.labels["resource_id"], g, how)
				return g, points, err
			})
			if err != nil {
				return nil, err
			}
			sums = buckets(points, p.start, width)
			looks[how] = sums
		}
		for i := range sums {
			k := sums[i].start.UnixNano()
			if at[k] == nil {
				at[k] = &Bucket{Timestamp: sums[i].start.UTC()}
			}
			at[k].set(s, agg, &sums[i])
		}
	}
	out := make([]Bucket, 0, len(at))
	for _, k := range slices.Sorted(maps.Keys(at)) {
		out = append(out, *at[k])
	}
	return out, nil
}

// stepsOf lays the grid for aggregation: it ends where the range does, and a bucket is never shorter than a step.
func (h history) stepsOf(start, end time.Time, width time.Duration) span {
	step := min(h.stepFor(start, end), width)
	if whole := end.Sub(start); step > whole {
		step = max(whole, time.Millisecond)
	}
	n := (end.Sub(start) - 1) / step // the first point looks at the time after start
	return span{end.Add(-n * step), end, step}
}

// funcOf says what an aggregation needs of each step.
func funcOf(agg string) store.Func {
	switch agg {
	case "max":
		return store.Max
	case "min":
		return store.Min
	case "count":
		return store.Count
	}
	return store.Avg
}

// set fills in one aggregation.
func (b *Bucket) set(s *model.Metric, agg string, x *sum) {
	number := func(v float64) *Number { return new(numberOf(s, v)) }
	switch agg {
	case "average":
		b.Average = number(x.avg)
	case "max":
		b.Maximum = number(x.max)
	case "min":
		b.Minimum = number(x.min)
	case "median":
		b.Median = number(x.quantile(.5))
	case "count":
		b.Count = new(uint64(max(x.total(), 0)))
	default:
		which := strings.TrimSuffix(agg, "-perc")
		q := map[string]float64{"50": .5, "95": .95, "99": .99}[which]
		if b.Percentiles == nil {
			b.Percentiles = map[string]Number{}
		}
		b.Percentiles[which] = numberOf(s, x.quantile(q))
	}
}
