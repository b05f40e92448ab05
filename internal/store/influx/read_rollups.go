package influx

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx/influxql"
)

// rollupKinds are the roll-ups that a set-up server makes, the finest first; From and Until are left open. An hour is rolled
// up for good within 30 minutes of its end, a day within an hour of the last of its hours.
func rollupKinds(p Place) []influxql.Rollup {
	kind := func(r RollUp, beyond time.Duration) influxql.Rollup {
		return influxql.Rollup{Policy: p.PolicyOf(r), Suffix: "_" + r.String(), Every: r.Every(), Beyond: beyond}
	}
	return []influxql.Rollup{kind(Hour, 48*time.Hour), kind(Day, 60*24*time.Hour)}
}

// rollupDelay is how long after its end an hour or day is rolled up for good.
const rollupDelay = 35 * time.Minute

// rollups remembers since when each roll-up has a field.
type rollups struct {
	mu    sync.Mutex
	since map[rollupField]rollupStart
}

type rollupField struct{ measurement, field string }

type rollupStart struct {
	from  int64 // Unix milliseconds; zero: it has nothing
	asked time.Time
}

// rollupMemory is how long the answer to "since when" holds.
const rollupMemory = 10 * time.Minute

// usable returns the roll-ups that a query may be answered from. An error leaves them out: the raw points are there too.
func (r *Reader) usable(ctx context.Context, p Place, q store.Checked) []influxql.Rollup {
	if p.Major == 3 {
		return nil
	}
	span := max(q.End.Sub(q.Start), q.Window)
	var out []influxql.Rollup
	for _, k := range rollupKinds(p) {
		if span <= k.Beyond {
			break
		}
		from, err := r.rolledSince(ctx, p, &k, q)
		if err != nil {
			r.opts.Logger.Warn("cannot ask for roll-ups", "measurement", q.Level.String()+k.Suffix, "err", err)
			break
		}
		if from == 0 {
			continue
		}
		k.From, k.Until = time.UnixMilli(from), time.Now().Add(-rollupDelay).Truncate(k.Every)
		out = append(out, k)
	}
	return out
}

// rolledSince asks since when a roll-up has the query's field.
func (r *Reader) rolledSince(ctx context.Context, p Place, k *influxql.Rollup, q store.Checked) (int64, error) {
	row := q.Metric
	field := PrefixMean + row.Field
	switch {
	case q.Func == store.Rate || q.RateOver > 0:
		field = PrefixMean + row.Rate
	case row.Kind == metric.Counter:
		field = PrefixLast + row.Field
	}
	key, now := rollupField{q.Level.String() + k.Suffix, field}, time.Now()
	r.rollups.mu.Lock()
	known, some := r.rollups.since[key]
	r.rollups.mu.Unlock()
	if age := now.Sub(known.asked); some && age >= 0 && age < rollupMemory {
		return known.from, nil
	}
	text := fmt.Sprintf("SELECT FIRST(%s) AS v FROM %s.%s.%s", influxql.Ident(field), influxql.Ident(p.Database), influxql.Ident(k.Policy), influxql.Ident(key.measurement))
	if r.opts.Cluster != "" {
		text += " WHERE " + influxql.Equals(TagCluster, TagValue(r.opts.Cluster))
	}
	var from int64
	err := ask(ctx, r, p, text, func(_ int, s *rows[numbers]) error {
		for row := range s.Values.all() {
			if t := row.at(s.column("time")); !math.IsNaN(t) {
				from = int64(t)
			}
		}
		return nil
	})
	if err != nil && !missing(err) {
		return 0, err
	}
	r.rollups.mu.Lock()
	defer r.rollups.mu.Unlock()
	if r.rollups.since == nil {
		r.rollups.since = map[rollupField]rollupStart{}
	}
	r.rollups.since[key] = rollupStart{from, now} // as many as the catalogue has fields
	return from, nil
}
