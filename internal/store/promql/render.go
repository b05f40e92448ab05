// Package promql renders the structured query of package store to PromQL, for the embedded store and for every engine that is
// read through Prometheus' HTTP API. It is pure text and imports no engine.
package promql

import (
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Render writes a structured query in PromQL. It is to be evaluated at q.Start, q.Start+q.Step and so on up to
// q.End, or, with Step zero, at q.End alone. Every point looks back over the window, its left end excluded;
// without Window and Step the window reaches from q.Start to q.End, both included. The error wraps
// store.ErrBadQuery, or store.ErrTooLarge if a series would have more than store.MaxSteps points.
func Render(q store.Query) (string, error) {
	row, window, err := q.Check()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	join := q.Join
	if join == "" {
		join = store.Sum
	}
	if q.By != nil {
		b.WriteString(string(join))
		if len(q.By) > 0 {
			b.WriteString(" by (" + strings.Join(q.By, ", ") + ") ")
		}
		b.WriteByte('(')
	}
	b.WriteString(function(q, row, window))
	if q.By != nil {
		b.WriteByte(')')
	}
	return b.String(), nil
}

// function renders the function over time and what it is applied to.
func function(q store.Query, row *metric.Row, window time.Duration) string {
	of := selector(q, row) + "[" + Duration(window) + "]"
	if q.RateOver > 0 {
		of = "rate(" + selector(q, row) + "[" + Duration(q.RateOver) + "])[" + Duration(window) + ":" + Duration(q.RateOver) + "]"
	}
	switch q.Func {
	case store.Rate:
		return "rate(" + of + ")"
	case store.Quantile:
		return "quantile_over_time(" + strconv.FormatFloat(q.Q, 'g', -1, 64) + ", " + of + ")"
	}
	return string(q.Func) + "_over_time(" + of + ")"
}

// selector renders the metric's name and its matchers, the catalogue's fixed labels first.
func selector(q store.Query, row *metric.Row) string {
	var ms []string
	if q.Level == row.Levels[0] {
		for _, f := range row.Fixed {
			ms = append(ms, f.Name+"="+strconv.Quote(f.Value))
		}
	}
	for _, m := range q.Matchers {
		ms = append(ms, m.Name+string(m.Op)+strconv.Quote(m.Value))
	}
	name := row.At(q.Level)
	if len(ms) == 0 {
		return name
	}
	return name + "{" + strings.Join(ms, ",") + "}"
}

// Duration writes whole milliseconds as PromQL does: 1h30m, 1500ms as 1s500ms.
func Duration(d time.Duration) string {
	var b strings.Builder
	for _, u := range [...]struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if n := d / u.unit; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + u.name)
			d -= n * u.unit
		}
	}
	return b.String()
}
