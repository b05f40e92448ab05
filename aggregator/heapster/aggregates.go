package heapster

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

func (a *API) answerAggregates(ctx context.Context, w http.ResponseWriter, q ask, p params, pic picture) error {
	if err := p.needStart(); err != nil {
		return err
	}
	width := p.bucket
	whole := max(p.end.Sub(p.start), time.Millisecond)
	if width == 0 {
		width = whole
	}
	if n := whole / width; n > maxBuckets {
		return badRequest("bucket %q makes %d buckets of the time from start to end: at most %d are allowed", width, n, maxBuckets)
	}
	list := AggregateList{Items: make([]Aggregate, 0, len(q.targets))}
	s := a.specs.find(q.metric)
	for _, t := range q.targets {
		one := Aggregate{Buckets: []Bucket{}, BucketSize: width.Nanoseconds()}
		if t = pic.named(t); s.fits(t, p.labels) {
			var err error
			if one.Buckets, err = a.aggregate(ctx, s, t, p, q.aggs, width); err != nil {
				return err
			}
		}
		list.Items = append(list.Items, one)
	}
	if q.many {
		return write(w, list)
	}
	return write(w, list.Items[0])
}

// aggregate asks the store once for each kind of look that the aggregations need, in steps that are short
// against a bucket, and puts the steps together. A sum of several containers is added up first, step by step: the
// most that a pod used is not the sum of the most that each container did.
func (a *API) aggregate(ctx context.Context, s *spec, t target, p params, aggs []string, width time.Duration) ([]Bucket, error) {
	h := a.history()
	g := h.stepsOf(p.start, p.end, width)
	looks := map[store.Func][]sum{}
	out := []Bucket{}
	at := map[int64]int{}
	for _, agg := range aggs {
		how := lookOf(agg)
		if s.since || s.cumulative && how == store.Avg {
			how = store.Last
		}
		sums, ok := looks[how]
		if !ok {
			points, err := h.points(ctx, s, t, p.labels["resource_id"], g, how)
			if err != nil {
				return nil, err
			}
			sums = buckets(points, p.start, width)
			looks[how] = sums
		}
		for i := range sums {
			k := sums[i].start.UnixNano()
			n, known := at[k]
			if !known {
				n = len(out)
				at[k] = n
				out = append(out, Bucket{Timestamp: sums[i].start.UTC()})
			}
			out[n].set(s, agg, &sums[i])
		}
	}
	slices.SortFunc(out, func(a, b Bucket) int { return a.Timestamp.Compare(b.Timestamp) })
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

// lookOf says what an aggregation needs of each step.
func lookOf(agg string) store.Func {
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
func (b *Bucket) set(s *spec, agg string, x *sum) {
	number := func(v float64) *Number { n := numberOf(s, v); return &n }
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
		n := uint64(max(x.total(), 0))
		b.Count = &n
	default:
		which := strings.TrimSuffix(agg, "-perc")
		q := map[string]float64{"50": .5, "95": .95, "99": .99}[which]
		if b.Percentiles == nil {
			b.Percentiles = map[string]Number{}
		}
		b.Percentiles[which] = *number(x.quantile(q))
	}
}
