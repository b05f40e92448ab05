package api

import (
	"context"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// steps are those that are chosen from.
var steps = [...]time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 10 * time.Minute,
	15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour}

const (
	// clocks is how far ahead of this machine's clock another's may be.
	clocks = time.Hour
	// probes is into how many parts a range is cut to see where data begins.
	probes = 64
)

// withStep chooses a query's step: the finest that gives at most so many points from where data begins to the end. A week of which there are
// forty minutes is drawn as forty minutes.
func (a *API) withStep(ctx context.Context, q store.Query, points int) (store.Query, error) {
	if q.Start.IsZero() || !q.Start.Before(q.End) {
		return q, nil // the store says what is wrong with it
	}
	for { // the part in which data begins is cut again, and so on
		begin, err := a.begins(ctx, q)
		if err != nil {
			return q, err
		}
		whole := q.End.Sub(q.Start)
		if begin.After(q.Start) {
			q.Start = begin
		}
		if left := q.End.Sub(q.Start); left > whole/4 || int(left/steps[0]) < points {
			break
		}
	}
	longest := steps[len(steps)-1]
	q.Step = (q.End.Sub(q.Start)/longest/time.Duration(points) + 1) * longest
	for _, s := range steps {
		if int(q.End.Sub(q.Start)/s) < points {
			q.Step = s
			break
		}
	}
	q.Start = q.Start.Truncate(q.Step)
	return q, nil
}

// inTime cuts a query to the times of which there can be data: from the beginning of Unix time up to now. What lies wholly outside is left as it is.
func inTime(q store.Query, now time.Time) store.Query {
	if first := time.Unix(0, 0).UTC(); q.Start.Before(first) && q.End.After(first) {
		q.Start = first
	}
	if q.End.After(now.Add(clocks)) && q.Start.Before(now) {
		q.End = now.UTC().Truncate(time.Second)
	}
	return q
}

// begins returns a time shortly before a query's first data; its start if there is none.
func (a *API) begins(ctx context.Context, q store.Query) (time.Time, error) {
	start := q.Start
	q.Func, q.Q, q.RateOver, q.Window, q.By, q.Join = store.Count, 0, 0, 0, []string{}, store.Max
	q.Step = max((q.End.Sub(q.Start)/probes).Truncate(time.Second)+time.Second, steps[0])
	q.End = q.End.Add(q.Step) // the last part, too, is looked at to its end
	found, err := a.opts.History.Query(ctx, q)
	if err != nil || len(found) == 0 || len(found[0].Samples) == 0 {
		return start, err
	}
	return time.UnixMilli(found[0].Samples[0].T).UTC().Add(-q.Step), nil
}
