package store

import (
	"cmp"
	"fmt"
	"math"
	"regexp/syntax"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// MaxSteps is the most points one series of an answer may have, as in Prometheus' API.
const MaxSteps = 11000

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadQuery}, args...)...)
}

// Checked is a query that a backend can answer. Query.Check makes it at the backend's door, and renderers accept no other.
type Checked struct {
	Query
	// Metric is the query's row in the catalogue.
	Metric *metric.Row
	// Back is how far each point reaches back: the window, else the step, else the whole range, both ends included, and so a
	// millisecond more.
	Back time.Duration
}

// Check says what in the query no backend could answer. The error wraps ErrBadQuery, or ErrTooLarge if a series would have more
// than MaxSteps points.
func (q Query) Check() (Checked, error) {
	if int(q.Row) >= len(metric.Rows()) {
		return Checked{}, bad("row \"%d\" is not in the catalogue", q.Row)
	}
	row := metric.Get(q.Row)
	if !row.Has(q.Level) {
		return Checked{}, bad("metric %q does not exist at level %q", row.Name, q.Level)
	}
	window, err := q.checkTime()
	if err != nil {
		return Checked{}, err
	}
	if err := q.checkFunc(row, window); err != nil {
		return Checked{}, err
	}
	if err := q.checkLabels(); err != nil {
		return Checked{}, err
	}
	return Checked{q, row, window}, nil
}

func (q Query) checkTime() (window time.Duration, err error) {
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
	if q.Step > 0 && q.End.Sub(q.Start)/q.Step >= MaxSteps {
		return 0, fmt.Errorf("%w: more than %d points a series; use a longer step than %q", ErrTooLarge, MaxSteps, q.Step)
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

func (q Query) checkFunc(row *metric.Row, window time.Duration) error {
	switch q.Func {
	case Rate, Increase:
		if row.Kind != metric.Counter {
			return bad("metric %q is a gauge and has no %s", row.Name, q.Func)
		}
		if q.RateOver != 0 {
			return bad("%s of a rate", q.Func)
		}
	case Quantile:
		if math.IsNaN(q.Q) || q.Q < 0 || q.Q > 1 {
			return bad("quantile \"%g\" is not between 0 and 1", q.Q)
		}
	case Last, Avg, Max, Min, Sum, Count:
	default:
		return bad("%q is not a function", q.Func)
	}
	if q.RateOver != 0 && row.Kind != metric.Counter {
		return bad("metric %q is a gauge and has no rate", row.Name)
	}
	if q.RateOver != 0 && window/q.RateOver > 10*MaxSteps {
		return fmt.Errorf("%w: more than %d rates a point; use a longer one than %q", ErrTooLarge, 10*MaxSteps, q.RateOver)
	}
	switch q.Join {
	case "", Sum, Avg, Max, Min, Count:
	default:
		return bad("%q cannot join series", q.Join)
	}
	if q.Limit < 0 {
		return bad("limit \"%d\" is negative", q.Limit)
	}
	return nil
}

func (q Query) checkLabels() error {
	for _, l := range q.By {
		if !IsLabelName(l) {
			return bad("%q is not a label name", l)
		}
	}
	for _, m := range q.Matchers {
		if !IsLabelName(m.Name) {
			return bad("%q is not a label name", m.Name)
		}
		switch m.Op {
		case Equal, NotEqual:
		case Regexp, NotRegexp:
			if _, err := syntax.Parse("^(?s:"+m.Value+")$", syntax.Perl); err != nil {
				return bad("%q is not a regular expression: %v", m.Value, err)
			}
		default:
			return bad("%q is not a comparison", m.Op)
		}
	}
	return nil
}

// IsLabelName says whether s is a label name of the old alphabet, the only one the catalogue uses, and not the metric's name.
func IsLabelName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case i > 0 && '0' <= c && c <= '9':
		default:
			return false
		}
	}
	return s != "" && s != "__name__"
}

const (
	defaultDecisions = 100
	// MaxDecisions is the most decisions of one answer.
	MaxDecisions = 10_000
)

// Check says what in the query no backend could answer, and returns how many decisions the answer has at most. The error wraps
// ErrBadQuery.
func (q DecisionQuery) Check() (limit int, err error) {
	switch {
	case q.Limit < 0:
		return 0, bad("limit \"%d\" is negative", q.Limit)
	case !q.End.IsZero() && q.End.Before(q.Start):
		return 0, bad("end is before start")
	}
	return min(cmp.Or(q.Limit, defaultDecisions), MaxDecisions), nil
}
