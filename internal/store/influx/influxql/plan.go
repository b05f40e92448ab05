package influxql

import (
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Options say what the engine is like. The zero value is an engine without limits and without roll-ups.
type Options struct {
	// Database is the name that InfluxQL has for the database; only roll-ups need it.
	Database string
	// Value maps a label's value to the one that its tag has; nil: they are the same.
	Value func(string) string
	// Piece is the longest time that a statement may cover; zero: any.
	Piece time.Duration
	// Rollups are the roll-ups that there are, the finest first.
	Rollups []Rollup
}

// Rollup is where aggregates of whole hours or days are, in the fields mean_f, min_f, max_f, p95_f, count_f of each gauge or rate
// f, and last_f of each counter.
type Rollup struct {
	Policy string        // the retention policy that it is in: "plimsoll_1h"
	Suffix string        // what follows the level in the measurement's name: "_1h"
	Every  time.Duration // how much time a point stands for, beginning at its own time
	// From and Until bound the time for which the roll-up is complete.
	From, Until time.Time
	// Beyond is the range above which it is used.
	Beyond time.Duration
}

// kind says what rows are.
type kind uint8

const (
	points kind = iota // a row is a point of the answer
	pieces             // a row is a piece of a series' windows, to be put together
	values             // a row is a sample
)

// Statement is one InfluxQL statement. Its columns are time, v and in some plans w.
type Statement struct {
	Text   string
	single bool  // the point's time is t, whatever the row says
	t      int64 // Unix milliseconds; if not single, what is to be added to the row's time
}

// Plan is how a query is answered.
type Plan struct {
	// Statements are to be sent in this order, as many as Together in one request. There are none when no series can match.
	Statements []Statement
	Together   int

	query  store.Query
	window int64 // milliseconds
	kind   kind
	join   bool           // the answer joins the series; else the engine did
	labels []metric.Label // that every series has
}

// grid returns the times of the answer's points, Unix milliseconds.
func grid(q *store.Query) (first, last, step int64) {
	last = q.End.UnixMilli()
	if q.Step == 0 {
		return last, last, 1
	}
	first, step = q.Start.UnixMilli(), q.Step.Milliseconds()
	return first, first + (last-first)/step*step, step
}

// isTag says whether schema v1 has a tag at a level.
func isTag(l metric.Level, name string) bool {
	switch name {
	case "cluster":
		return true
	case "node":
		return l <= metric.Pod || l == metric.Node
	case "namespace":
		return l <= metric.Namespace
	case "workload", "workload_kind":
		return l <= metric.Workload
	case "pod":
		return l <= metric.Pod
	case "container":
		return l == metric.Container
	}
	return false
}
