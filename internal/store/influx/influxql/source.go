package influxql

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// source is a measurement, raw or rolled up, and the time within which it is to be read.
type source struct {
	rollup *Rollup // nil: raw
	lo, hi int64   // (lo, hi], Unix milliseconds
}

// shift is how much later than its time a source's point stands: an hour's stands for its middle.
func (s *source) shift() int64 {
	if s.rollup == nil {
		return 0
	}
	return s.rollup.Every.Milliseconds() / 2
}

// reading is what a query reads of a row.
type reading struct {
	q          *store.Query
	row        *metric.Row
	rate       bool   // the rate, not the value
	field      string // "" for a rate that is not kept
	conditions []string
	database   string
	extra      []string // more conditions: one series' tags
	first      int64    // a point of the grid, by which rates are aligned
	interval   time.Duration
}

func newReading(q *store.Query, row *metric.Row, conditions []string, database string, interval time.Duration) *reading {
	r := &reading{q: q, row: row, rate: q.Func == store.Rate || q.Func == store.Increase || q.RateOver > 0, field: row.Field, conditions: conditions, database: database, interval: interval}
	if r.rate {
		r.field = row.Rate
	}
	r.first, _, _ = q.Grid()
	return r
}

// from renders the measurement and the conditions for a time, without GROUP BY.
func (r *reading) from(s *source, lo, hi int64) string {
	from := Ident(r.q.Level.String())
	if s.rollup != nil {
		from = Ident(r.database) + "." + Ident(s.rollup.Policy) + "." + Ident(r.q.Level.String()+s.rollup.Suffix)
	}
	return from + " WHERE " + strings.Join(slices.Concat(r.conditions, r.extra, []string{between(lo, hi)}), " AND ")
}

// raw renders what a statement reads from when it is not a roll-up: the column that has the value, and what follows FROM.
func (r *reading) raw(s *source, lo, hi int64) (column, from string) {
	column, from = Ident(r.field), r.from(s, lo, hi)
	nested := func(sub string) string { return "(" + sub + ") WHERE " + until(hi) }
	if f := r.derivative(); f != "" { // the answer drops the groups before the first
		column, from = Ident("r"), nested("SELECT "+f+" AS r FROM "+r.from(s, lo-store.MaxInterval.Milliseconds(), hi)+" GROUP BY *")
	}
	if r.q.RateOver > 0 {
		column, from = Ident("r"), nested("SELECT MEAN("+column+") AS r FROM "+from+" GROUP BY "+every(r.q.RateOver, r.first)+", * fill(none)")
	}
	return column, from
}

// derivative renders what is made of a counter's samples where no field has it; "" where one has.
func (r *reading) derivative() string {
	switch {
	case r.q.Func == store.Increase:
		return "NON_NEGATIVE_DIFFERENCE(" + Ident(r.row.Field) + ")"
	case r.rate && r.field == "":
		return "NON_NEGATIVE_DERIVATIVE(" + Ident(r.row.Field) + ", 1s)"
	}
	return ""
}

// rolled says whether roll-ups have what the query asks for.
func (r *reading) rolled() bool {
	switch r.q.Func {
	case store.Last:
		return !r.rate && r.row.Kind == metric.Counter
	case store.Increase:
		return true
	case store.Sum, store.Count:
		return r.q.RateOver == 0 && (r.row.Kind == metric.Gauge)
	case store.Max, store.Min, store.Avg, store.Rate, store.Quantile:
		return r.field != "" && (r.rate || r.row.Kind == metric.Gauge)
	}
	return false
}

// columns renders what is selected, and from where.
func (r *reading) columns(s *source, k kind, lo, hi int64) string {
	if s.rollup != nil {
		return r.rolledColumns(s, k, lo, hi)
	}
	c, from := r.raw(s, lo, hi)
	call := func(f string) string { return f + "(" + c + ")" }
	if k == values {
		return c + " AS v FROM " + from
	}
	switch fn := r.q.Func; fn {
	case store.Avg, store.Rate:
		if k == pieces {
			return call("SUM") + " AS v, " + call("COUNT") + " AS w FROM " + from
		}
		return call("MEAN") + " AS v FROM " + from
	case store.Quantile:
		return r.quantile(c, c, c) + " FROM " + from
	case store.Increase:
		return call("SUM") + " AS v FROM " + from
	default:
		return call(strings.ToUpper(string(fn))) + " AS v FROM " + from
	}
}

// high is from where on a quantile is made of the 95th percentiles of parts of the time, and not of their means.
const high = 0.9

// rolledColumns is columns for a roll-up.
func (r *reading) rolledColumns(s *source, k kind, lo, hi int64) string {
	if r.q.Func == store.Increase && r.field == "" {
		return "SUM(r) AS v FROM (SELECT NON_NEGATIVE_DIFFERENCE(" + Ident("last_"+r.row.Field) + ") AS r FROM " +
			r.from(s, lo-s.rollup.Every.Milliseconds(), hi) + " GROUP BY *) WHERE " + until(hi)
	}
	from, name := r.from(s, lo, hi), func(f string) string { return Ident(f + "_" + r.field) }
	greatest, least := "max", "min"
	if r.q.RateOver >= s.rollup.Every {
		greatest, least = "mean", "mean"
	}
	// products gives each hour's sum and count.
	products := "(SELECT " + name("mean") + " * " + name("count") + " AS s, " + name("count") + " AS n FROM " + from + " GROUP BY *) WHERE " + until(hi)
	switch r.q.Func {
	case store.Max:
		return "MAX(" + name(greatest) + ") AS v FROM " + from
	case store.Min:
		return "MIN(" + name(least) + ") AS v FROM " + from
	case store.Last:
		return "LAST(" + name("last") + ") AS v FROM " + from
	case store.Count:
		return "SUM(" + name("count") + ") AS v FROM " + from
	case store.Sum:
		return "SUM(s) AS v FROM " + products
	case store.Increase:
		return "SUM(s) * " + strconv.FormatFloat(r.interval.Seconds(), 'f', -1, 64) + " AS v FROM " + products
	case store.Quantile:
		c := name("mean")
		if r.q.Q >= high && r.q.RateOver < s.rollup.Every {
			c = name("p95")
		}
		return r.quantile(c, name(greatest), name(least)) + " FROM " + from
	}
	if k == pieces {
		return "SUM(s) AS v, SUM(n) AS w FROM " + products
	}
	return "MEAN(" + name("mean") + ") AS v FROM " + from
}

// quantile renders a quantile. Under the median of few samples InfluxQL's has no rank, and the least stands for it.
func (r *reading) quantile(c, greatest, least string) string {
	switch p := r.q.Q * 100; {
	case p >= 100:
		return "MAX(" + greatest + ") AS v"
	case p <= 0:
		return "MIN(" + least + ") AS v"
	case p < 50:
		return "PERCENTILE(" + c + ", " + percent(p) + ") AS v, MIN(" + c + ") AS w"
	default:
		return "PERCENTILE(" + c + ", " + percent(p) + ") AS v"
	}
}

func percent(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) }

// list renders a statement whose answer has the tags of every series that a source has. LAST reads one block of each, where COUNT reads all.
func (r *reading) list(s *source) string {
	field := r.field
	switch {
	case s.rollup != nil:
		field = "mean_" + r.field
	case field == "":
		field = r.row.Field
	}
	lo, hi := s.lo-s.shift(), s.hi-s.shift()
	return "SELECT LAST(" + Ident(field) + ") AS v FROM " + r.from(s, lo, hi) + " GROUP BY *"
}

// single says whether a roll-up's groups of so many milliseconds hold one point each, and the field that this point's value is.
func (r *reading) single(s *source, group int64) (field string, ok bool) {
	if s.rollup == nil || group != s.rollup.Every.Milliseconds() {
		return "", false
	}
	switch r.q.Func {
	case store.Avg, store.Rate:
		return "mean_" + r.field, true
	case store.Max, store.Min:
		if r.q.RateOver >= s.rollup.Every {
			return "mean_" + r.field, true
		}
		return string(r.q.Func) + "_" + r.field, true
	case store.Count:
		return "count_" + r.field, true
	case store.Last:
		return "last_" + r.field, true
	}
	return "", false
}

// low says whether the answer may have to be the least instead of the quantile, so that the engine cannot join.
func (r *reading) low() bool { return r.q.Func == store.Quantile && r.q.Q > 0 && r.q.Q < 0.5 }
