// Package store is the contract of the history: batches are appended, structured queries are answered,
// decisions are logged. Every backend (tsdb, influx, remote) passes the acceptance test of storetest.
package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
)

// Errors that callers can test for with errors.Is.
var (
	// ErrBadQuery is a query that no backend could answer: an unknown metric, an end before the start.
	ErrBadQuery = errors.New("bad query")
	// ErrTooLarge is an answer that would exceed the backend's limit on points.
	ErrTooLarge = errors.New("answer too large")
	// ErrReadOnly is a store that cannot accept data at present (the disk is full); the live picture goes on.
	ErrReadOnly = errors.New("store accepts no data at present")
	// ErrUnavailable is an engine that cannot be asked at present: it is not reached, or says so itself.
	ErrUnavailable = errors.New("the store cannot be asked at present")
	// ErrClosed is a store that was closed.
	ErrClosed = errors.New("store is closed")
)

// Appender accepts what was measured. When Append returns nil the batch survives kill -9. Points that can
// never be stored (NaN, too old) are left out and counted, and are not an error. Safe for concurrent use.
type Appender interface {
	Append(ctx context.Context, b *metric.Batch) error
}

// Querier answers structured queries. Safe for concurrent use.
type Querier interface {
	Query(ctx context.Context, q Query) ([]Series, error)
}

// DecisionLog keeps the autoscaler's decisions.
type DecisionLog interface {
	AppendDecision(ctx context.Context, d cluster.Decision) error
	// Decisions returns the newest first.
	Decisions(ctx context.Context, q DecisionQuery) ([]cluster.Decision, error)
}

// Store is a whole backend.
type Store interface {
	Appender
	Querier
	DecisionLog
	// Close ends the store; everything appended is on disk when it returns.
	Close() error
}

// Func is the function over time that a query applies to each series.
type Func string

// The functions. Last is the newest value of the window. Where a gauge's series are joined by Sum, Avg or Count, those are joined that are there at
// the window's end, or else at the newest moment of it at which any is, and not the newest value that each ever had: who has ended is not beside who came after it.
//
// Rate and Increase are about a counter's intervals between two samples that follow one another. An interval belongs to the window
// in which its later sample lies, whole; it does not count if it is longer than MaxInterval, or if the counter fell in it: that is another
// one that began again. Increase is by how much the counter grew in the window's intervals. Rate is that by the intervals' own time, not by
// the window's: a container that used one core since it was made 20 s ago has a rate of one core over any window, and where there are
// no two samples there is no rate. Where rates are joined by Sum, members count for as long as they were there, of the
// time that any of them was: two one after the other are not two at a time.
const (
	Last     Func = "last"
	Avg      Func = "avg"
	Max      Func = "max"
	Min      Func = "min"
	Sum      Func = "sum"
	Count    Func = "count"
	Rate     Func = "rate"
	Increase Func = "increase"
	Quantile Func = "quantile"
)

// MaxInterval is the longest distance between two samples of a counter that still gives a rate.
const MaxInterval = 5 * time.Minute

// MatchOp is how a matcher compares; the regular expressions are RE2 and match the whole value.
type MatchOp string

// The ways to compare.
const (
	Equal     MatchOp = "="
	NotEqual  MatchOp = "!="
	Regexp    MatchOp = "=~"
	NotRegexp MatchOp = "!~"
)

// Matcher is one condition on a label. A label that a series does not have has the value "".
type Matcher struct {
	Name  string
	Op    MatchOp
	Value string
}

// Query is the one query model: the page, the reports, the historical API and the boards are drawn from it,
// and each backend renders it to its language with the aggregation done in the engine.
type Query struct {
	Row      metric.ID
	Level    metric.Level
	Matchers []Matcher

	// Start and End bound the answer, both included. With Step zero there is one point, at End, over the whole range.
	Start, End time.Time
	Step       time.Duration
	// Window is how far each point reaches back; zero means Step (or the whole range).
	Window time.Duration

	Func Func
	Q    float64 // for Quantile, 0 to 1
	// RateOver, for a counter and every Func but Rate, applies Func to the counter's rate per second, over
	// and every so much time, instead of to the counter itself: the 95th percentile of the CPU usage over an
	// hour is Quantile with Q 0.95, Window 1h and RateOver 1m. Zero: the counter itself. An engine that keeps the
	// rate as another field may use that.
	RateOver time.Duration

	// By joins series that agree in these labels with Join; nil leaves each series by itself, an empty
	// slice that is not nil joins all into one.
	By   []string
	Join Func // Sum (the default), Avg, Max, Min or Count
	// Limit is the most points in the answer; zero means the backend's.
	Limit int
}

// Grid returns the times of the answer's points, Unix milliseconds.
func (q *Query) Grid() (first, last, step int64) {
	last = q.End.UnixMilli()
	if q.Step == 0 {
		return last, last, 1
	}
	first, step = q.Start.UnixMilli(), q.Step.Milliseconds()
	return first, first + (last-first)/step*step, step
}

// Newest says whether the answer is the newest value of several series of a gauge together, for which it matters which are there at that moment.
func (c *Checked) Newest() bool {
	return c.Func == Last && c.Metric.Kind == metric.Gauge && c.By != nil && c.Join != Max && c.Join != Min && !c.alone()
}

// Sums says whether the answer is a sum of rates, or of a gauge's values, over time, so that it matters which members were there at once.
func (c *Checked) Sums() bool {
	if c.By == nil || c.Join != "" && c.Join != Sum {
		return false
	}
	switch c.Func {
	case Rate:
	case Avg, Max, Min, Quantile:
		if c.Metric.Kind != metric.Gauge {
			return false
		}
	default:
		return false
	}
	return !c.alone()
}

// Meets is Sums of windows in which members have several samples: history has one every ten seconds.
func (c *Checked) Meets() bool { return c.Back > 10*time.Second && c.Sums() }

// alone says whether each series is joined with no other.
func (c *Checked) alone() bool {
	if c.Metric.Sub == "" && !slices.ContainsFunc(identity.Names(c.Level), func(name string) bool { return !slices.Contains(c.By, name) }) {
		return true
	}
	return c.Level == metric.Cluster || (c.Level == metric.Namespace || c.Level == metric.Node || c.Level == metric.Pool) && slices.Contains(c.By, c.Level.String())
}

// JoinOf is how a row's series make one, as the catalogue says: Sum, Max or Min.
func JoinOf(id metric.ID) Func { return Func(metric.Get(id).Join.String()) }

// Sample is one point of an answer.
type Sample struct {
	T int64 // Unix milliseconds
	V float64
}

// Series is one member of an answer. Labels are sorted by name and do not hold the metric name.
type Series struct {
	Labels  []metric.Label
	Samples []Sample
}

// Label returns the value of a label, "" if the series has none of that name.
func (s *Series) Label(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// DecisionQuery selects decisions; empty fields select all. Of a target's API version the group alone is compared.
type DecisionQuery struct {
	cluster.Target
	Start, End time.Time
	Actions    []string
	Limit      int // zero: 100
	// Within is what of them may be seen; nil: all.
	Within *scope.Scope
}
