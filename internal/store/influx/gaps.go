package influx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/influx/influxql"
)

const (
	// gapsBack is how far back gaps are looked for: a day more than what is queued may be old, by default.
	gapsBack = 8 * 24 * time.Hour
	// gapsTimeout is the deadline of one question for gaps.
	gapsTimeout = 2 * time.Minute
	// dayDelay is how long after its end a day is rolled up for good: its last hour is, and the day's roll-up runs each hour.
	dayDelay = rollupDelay + time.Hour
)

// gap is an hour or a day that was rolled up from fewer points than there are.
type gap struct {
	level metric.Level
	r     RollUp
	start int64 // Unix seconds
}

// witness is the row whose points are counted. Every node and the cluster have it in each tick, so that few series tell of all.
const witness = metric.MemoryWorkingSet

// gaps looks for gaps and rolls them up. One that was not closed is tried again only when there are more points in it.
func (b *backfiller) gaps(ctx context.Context, now time.Time) error {
	for _, r := range []RollUp{Hour, Day} {
		open, err := b.openGaps(ctx, r, now)
		if err != nil {
			return fmt.Errorf("cannot look for gaps in the roll-ups: %w", err)
		}
		var starts []time.Time
		for g, points := range open {
			if b.tried[g] < points {
				starts = append(starts, time.Unix(g.start, 0))
			}
		}
		slices.SortFunc(starts, time.Time.Compare)
		for len(starts) > 0 { // one stretch of neighbours after the other
			n := 1
			for n < len(starts) && starts[n].Sub(starts[n-1]) <= r.Every() {
				n++
			}
			from, to := starts[0], starts[n-1]
			b.opts.Logger.Info("rolling up what roll-ups lack", "resolution", r, "from", from, "to", to.Add(r.Every()))
			resolutions := []RollUp{Hour, Day}[r-Hour:] // what hours change, days must follow
			if err := b.rollUp(ctx, from, to, resolutions...); err != nil {
				return err
			}
			starts = starts[n:]
		}
		for g, points := range open {
			b.tried[g] = points
		}
	}
	for g := range b.tried {
		if now.Sub(time.Unix(g.start, 0)) > gapsBack+24*time.Hour {
			delete(b.tried, g)
		}
	}
	return nil
}

// openGaps are the hours or days that the server should have rolled up from more points, and how many there are now.
func (b *backfiller) openGaps(ctx context.Context, r RollUp, now time.Time) (map[gap]float64, error) {
	v, err := b.conn.Detect(ctx)
	if err != nil || v.Major > 2 {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, gapsTimeout)
	defer cancel()
	p := b.conn.Place(v)
	from, to := now.Add(-gapsBack).Truncate(24*time.Hour), now.Add(-rollupDelay).Truncate(time.Hour)
	if r == Day {
		to = now.Add(-dayDelay).Truncate(24 * time.Hour)
	}
	field := metric.Get(witness).Field
	out := map[gap]float64{}
	for _, l := range []metric.Level{metric.Node, metric.Cluster} {
		count := fmt.Sprintf("count(%s)", ident(field))
		if r == Day {
			count = fmt.Sprintf("sum(%s)", ident(PrefixCount+field))
		}
		have, err := b.counts(ctx, count, p.From(l, r-1), r, from, to)
		if err != nil {
			return nil, err
		}
		rolled, err := b.counts(ctx, fmt.Sprintf("sum(%s)", ident(PrefixCount+field)), p.From(l, r), r, from, to)
		if err != nil {
			return nil, err
		}
		for start, n := range have {
			if n > rolled[start] {
				out[gap{l, r, start}] = n
			}
		}
	}
	return out, nil
}

// counts returns a count for each hour or day, by its start.
func (b *backfiller) counts(ctx context.Context, count, from string, r RollUp, since, until time.Time) (map[int64]float64, error) {
	where := timeRange(since, until)
	if b.opts.Cluster != "" {
		where = influxql.Equals(TagCluster, TagValue(b.opts.Cluster)) + " AND " + where
	}
	ts, err := b.conn.influxQL(ctx, fmt.Sprintf("SELECT %s AS n FROM %s WHERE %s GROUP BY time(%s) fill(none)", count, from, where, r))
	var answer *status
	if errors.As(err, &answer) && (strings.Contains(answer.message, "retention policy not found") || strings.Contains(answer.message, "database not found")) {
		return nil, fmt.Errorf("the roll-ups are not set up, or %w to read them: %w", ErrForbidden, err)
	}
	if err != nil {
		return nil, err
	}
	out := map[int64]float64{}
	for _, t := range ts {
		for _, row := range t.Values {
			at, err := time.Parse(time.RFC3339, t.col(row, "time"))
			if err != nil {
				return nil, fmt.Errorf("cannot read a time of the roll-ups: %w", err)
			}
			if out[at.Unix()], err = strconv.ParseFloat(t.col(row, "n"), 64); err != nil {
				return nil, fmt.Errorf("cannot read a count of the roll-ups: %w", err)
			}
		}
	}
	return out, nil
}
