package tsdb

import (
	"fmt"
	"math"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// maxSteps is the most points one series of an answer may have, as in Prometheus' API.
const maxSteps = 11000

// Render writes a structured query in PromQL. It is to be evaluated at q.Start, q.Start+q.Step and so on up to
// q.End, or, with Step zero, at q.End alone. Every point looks back over the window, its left end excluded;
// without Window and Step the window reaches from q.Start to q.End, both included. The error wraps
// store.ErrBadQuery, or store.ErrTooLarge if a series would have more than 11,000 points.
func Render(q store.Query) (string, error) {
	row, window, err := check(q)
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
	of := selector(q, row) + "[" + duration(window) + "]"
	if q.RateOver > 0 {
		of = "rate(" + selector(q, row) + "[" + duration(q.RateOver) + "])[" + duration(window) + ":" + duration(q.RateOver) + "]"
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

// duration writes whole milliseconds as PromQL does: 1h30m, 1500ms as 1s500ms.
func duration(d time.Duration) string {
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

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{store.ErrBadQuery}, args...)...)
}

// check says what in the query cannot be answered, and returns its row and its window.
func check(q store.Query) (*metric.Row, time.Duration, error) {
	if int(q.Row) >= len(metric.Rows()) {
		return nil, 0, bad("row \"%d\" is not in the catalogue", q.Row)
	}
	row := metric.Get(q.Row)
	if !row.Has(q.Level) {
		return nil, 0, bad("metric %q does not exist at level %q", row.Name, q.Level)
	}
	window, err := checkTime(q)
	if err != nil {
		return nil, 0, err
	}
	if err := checkFunc(q, row, window); err != nil {
		return nil, 0, err
	}
	if err := checkLabels(q); err != nil {
		return nil, 0, err
	}
	return row, window, nil
}

func checkTime(q store.Query) (window time.Duration, err error) {
	for _, d := range []time.Duration{q.Step, q.Window, q.RateOver} {
		if d < 0 || d%time.Millisecond != 0 {
			return 0, bad("%q is not a number of milliseconds", d)
		}
	}
	whole := q.Step == 0 && q.Window == 0 // the one case in which an instant needs a start
	switch {
	case q.End.IsZero():
		return 0, bad("no end")
	case q.Start.IsZero() && (q.Step > 0 || whole):
		return 0, bad("no start")
	case q.End.Before(q.Start):
		return 0, bad("end %q is before start %q", q.End.Format(time.RFC3339), q.Start.Format(time.RFC3339))
	case outside(q.End) || !q.Start.IsZero() && outside(q.Start):
		return 0, bad("time %q is out of range", q.End.Format(time.RFC3339))
	}
	if q.Step > 0 && q.End.Sub(q.Start)/q.Step >= maxSteps {
		return 0, fmt.Errorf("%w: more than %d points a series; take a longer step than %q", store.ErrTooLarge, maxSteps, q.Step)
	}
	switch {
	case q.Window > 0:
		return q.Window, nil
	case q.Step > 0:
		return q.Step, nil
	}
	return q.End.Sub(q.Start).Truncate(time.Millisecond) + time.Millisecond, nil
}

// outside says whether a time is so far away that its distance to others does not fit a Duration.
func outside(t time.Time) bool { return t.Year() < 1900 || t.Year() > 2100 }

func checkFunc(q store.Query, row *metric.Row, window time.Duration) error {
	switch q.Func {
	case store.Rate:
		if row.Kind != metric.Counter {
			return bad("metric %q is a gauge and has no rate", row.Name)
		}
		if q.RateOver != 0 {
			return bad("rate of a rate")
		}
	case store.Quantile:
		if math.IsNaN(q.Q) || q.Q < 0 || q.Q > 1 {
			return bad("quantile \"%g\" is not between 0 and 1", q.Q)
		}
	case store.Last, store.Avg, store.Max, store.Min, store.Sum, store.Count:
	default:
		return bad("%q is not a function", q.Func)
	}
	if q.RateOver != 0 && row.Kind != metric.Counter {
		return bad("metric %q is a gauge and has no rate", row.Name)
	}
	if q.RateOver != 0 && window/q.RateOver > 10*maxSteps {
		return fmt.Errorf("%w: more than %d rates a point; take a longer one than %q", store.ErrTooLarge, 10*maxSteps, q.RateOver)
	}
	switch q.Join {
	case "", store.Sum, store.Avg, store.Max, store.Min, store.Count:
	default:
		return bad("%q cannot join series", q.Join)
	}
	if q.Limit < 0 {
		return bad("limit \"%d\" is negative", q.Limit)
	}
	return nil
}

func checkLabels(q store.Query) error {
	for _, l := range q.By {
		if !isLabelName(l) {
			return bad("%q is not a label name", l)
		}
	}
	for _, m := range q.Matchers {
		if !isLabelName(m.Name) {
			return bad("%q is not a label name", m.Name)
		}
		switch m.Op {
		case store.Equal, store.NotEqual:
		case store.Regexp, store.NotRegexp:
			if _, err := syntax.Parse("^(?s:"+m.Value+")$", syntax.Perl); err != nil {
				return bad("%q is not a regular expression: %v", m.Value, err)
			}
		default:
			return bad("%q is not a comparison", m.Op)
		}
	}
	return nil
}
