package influxql

import (
	"maps"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/identity"
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
	// Interval is how often history has a sample of each series. Default 10 s.
	Interval time.Duration
	// Now is when the query is asked; zero: long after its end.
	Now time.Time
	// Rollups are the roll-ups that there are, the finest first.
	Rollups []Rollup
}

// Rollup is where aggregates of whole hours or days are, in the fields mean_f, min_f, max_f, p95_f, count_f of each gauge or rate
// f, and last_f of each counter.
type Rollup struct {
	Policy string        // the retention policy that it is in: "plimsoll_1h"
	Suffix string        // what follows the level in the measurement's name: "_1h"
	Every  time.Duration // how much time a point stands for, beginning at its time
	// From and Until bound the time for which the roll-up is complete.
	From, Until time.Time
	// Beyond is the range above which it is used.
	Beyond time.Duration
}

// kind says what rows are.
type kind uint8

const (
	points   kind = iota // a row is a point of the answer
	pieces               // a row is a piece of a series' windows, to be put together
	meetings             // a row is a piece of what series are together
	values               // a row is a sample
	latest               // a row is the newest sample of a series in a part of its windows
)

// Statement is one InfluxQL statement. Its columns are time and some of Columns.
type Statement struct {
	Text   string
	single bool  // the point's time is t, whatever the row says
	t      int64 // Unix milliseconds; if not single, what is to be added to the row's time
	after  int64 // rows that end up at or before it are what a difference begins with
	length int64 // of a row's piece, milliseconds
	moment int64 // how long the moments are that are counted in the row, milliseconds
	rolled bool  // the row is of a roll-up
	tells  tells // what rows of meetings are
}

// Plan is how a query is answered.
type Plan struct {
	// Statements are to be sent in this order, as many as Together in one request. There are none when no series can match.
	Statements []Statement
	Together   int
	// List, if not empty, are statements whose answers' tags are the series that the plan is about. Whoever sends them first and
	// hands the tags to Apart gets the answer several times faster from InfluxDB 1.8, which merges the points of all series before a
	// PERCENTILE, at a cost that one series by itself does not have.
	List []string

	apart  func(conditions []string) // writes the statements for one series
	now    int64                     // Unix milliseconds; zero: long after the end
	moment int64                     // how often history has a sample, milliseconds
	query  store.Query
	window int64 // milliseconds
	kind   kind
	join   bool           // the answer joins the series; else the engine did
	labels []metric.Label // that every series has
}

// maxApart is the most statements of a plan that asks for each series by itself.
const maxApart = 20_000

// Apart makes the plan ask for each series by itself, given the tags that List's statements answered. It leaves the plan as it is
// where there would be too many statements.
func (p *Plan) Apart(series []map[string]string) {
	if p.apart == nil || len(series)*len(p.Statements) > maxApart {
		return
	}
	slices.SortFunc(series, func(a, b map[string]string) int { return strings.Compare(keyOfTags(a), keyOfTags(b)) })
	series = slices.CompactFunc(series, maps.Equal)
	p.Statements, p.join = nil, p.query.By != nil
	for _, tags := range series {
		var conditions []string
		for _, name := range slices.Sorted(maps.Keys(tags)) {
			conditions = append(conditions, Equals(name, tags[name]))
		}
		p.apart(conditions)
	}
}

func keyOfTags(tags map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		b.WriteString(name + "\x00" + tags[name] + "\x00")
	}
	return b.String()
}

// isTag says whether schema v1 has a tag at a level: the cluster's, and the names of what is there.
func isTag(l metric.Level, name string) bool {
	return name == "cluster" || slices.Contains(identity.Names(l), name)
}
