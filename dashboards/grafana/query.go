package grafana

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Query is what one line, number or column of a panel shows: a structured query whose times are left to Grafana.
// By must not be nil: a panel always says what its series are.
type Query struct {
	store.Query
	// Over divides by another row, at the same level, with the same matchers and the same By: a share. Nil: by nothing.
	Over *metric.ID
	// Kept is the level of the sums that servers keep, which are shown for as long as nothing is chosen that they do not know: they are right over any range and cost
	// one line each. Nil: none.
	Kept *metric.Level
	// Total is how much a counter grew over the board's whole range; only where a panel shows one number.
	Total bool
	// Name is the legend, or the column: text with label names in braces, "{{node}} capacity".
	Name string
	kept *Query // of the level Kept, with the board's matchers
}

func of(id metric.ID, level metric.Level, f store.Func, by []string) Query {
	if by == nil {
		by = []string{}
	}
	q := Query{Query: store.Query{Row: id, Level: level, Func: f, By: by, Join: store.JoinOf(id)}}
	if len(by) > 0 {
		q.Name = "{{" + strings.Join(by, "}} / {{") + "}}"
	}
	return q
}

// avg is the average of a gauge over each interval, joined by labels.
func avg(id metric.ID, level metric.Level, by ...string) Query { return of(id, level, store.Avg, by) }

// last is the newest value, joined by labels.
func last(id metric.ID, level metric.Level, by ...string) Query { return of(id, level, store.Last, by) }

// rate is the rate of a counter, joined by labels.
func rate(id metric.ID, level metric.Level, by ...string) Query { return of(id, level, store.Rate, by) }

// total is how much a counter grew over the range.
func total(id metric.ID, level metric.Level, by ...string) Query {
	q := of(id, level, store.Rate, by)
	q.Total = true
	return q
}

// over divides by another row.
func (q Query) over(id metric.ID) Query {
	q.Over = &id
	return q
}

// keptAt shows the sums of a level that servers keep.
func (q Query) keptAt(level metric.Level) Query {
	q.Kept = &level
	return q
}

// lines are the labels by which each line of a query is one series, of each cluster: its own and those that are asked for. Nil: some are joined.
func (q Query) lines() []string {
	whole := members(q.Level)
	if q.Total || q.Kept != nil || len(whole) == 0 || slices.ContainsFunc(whole, func(name string) bool { return !slices.Contains(q.By, name) }) {
		return nil
	}
	by := slices.Clone(q.By)
	for _, name := range labels(q.Level) {
		if (name == "cluster" || name == "workload_kind" && q.Level == metric.Workload) && !slices.Contains(by, name) {
			by = append(by, name)
		}
	}
	return by
}

// together says whether a query adds up what comes and goes, containers or pods: what was there one after the other must not be added up. Who has one name on
// one machine is one line.
func (q Query) together() bool {
	if q.Level > metric.Pod || q.Join != store.Sum || q.Total {
		return false
	}
	switch q.Func {
	case store.Rate, store.Last, store.Avg, store.Max, store.Min, store.Quantile:
	default:
		return false
	}
	return slices.ContainsFunc(members(q.Level), func(name string) bool { return !slices.Contains(q.By, name) })
}

// members are the labels that tell apart what comes one after the other at a level.
func members(level metric.Level) []string {
	switch level {
	case metric.Container:
		return []string{"node", "namespace", "pod", "container"}
	case metric.Pod:
		return []string{"node", "namespace", "pod"}
	case metric.Workload:
		return []string{"namespace", "workload"}
	case metric.Namespace:
		return []string{"namespace"}
	case metric.Node:
		return []string{"node"}
	}
	return nil
}

// below is what a query is divided by.
func (q Query) below() Query {
	q.Row, q.Func = *q.Over, store.Last
	if metric.Get(q.Row).Kind == metric.Counter {
		q.Func = store.Rate
	}
	return q
}

// named sets the legend.
func (q Query) named(name string) Query {
	q.Name = name
	return q
}

// check says what in a query cannot be drawn.
func (q Query) check() error {
	row := metric.Get(q.Row)
	at := func(format string, args ...any) error {
		return fmt.Errorf("%s of %s at level %q: %s", q.Func, row.Name, q.Level, fmt.Sprintf(format, args...))
	}
	switch {
	case !row.Has(q.Level):
		return at("the catalogue does not have it")
	case q.By == nil:
		return at("the labels that tell series apart are not said")
	case q.Func == store.Rate && row.Kind != metric.Counter:
		return at("a gauge has no rate")
	case q.RateOver != 0:
		return at("a function over a rate cannot be drawn")
	case q.Kept != nil && (*q.Kept <= q.Level || !row.Has(*q.Kept) || q.Total || q.Over != nil):
		return at("no sums of level %q stand for it", *q.Kept)
	case q.Over != nil && !metric.Get(*q.Over).Has(q.Level):
		return at("%s does not exist there", metric.Get(*q.Over).Name)
	}
	for _, l := range q.By {
		if !slices.Contains(labels(q.Level), l) || q.Kept != nil && !slices.Contains(labels(*q.Kept), l) {
			return at("it has no label %q", l)
		}
	}
	return nil
}

// labels lists what tells series apart at a level in every store: the tags of InfluxDB's schema v1, the largest thing first. A row's
// own label (an interface, a device) is not among them, since InfluxDB holds the sum over it.
func labels(level metric.Level) []string {
	switch level {
	case metric.Container:
		return []string{"cluster", "node", "namespace", "workload_kind", "workload", "pod", "container"}
	case metric.Pod:
		return []string{"cluster", "node", "namespace", "workload_kind", "workload", "pod"}
	case metric.Workload:
		return []string{"cluster", "namespace", "workload_kind", "workload"}
	case metric.Namespace:
		return []string{"cluster", "namespace"}
	case metric.Node:
		return []string{"cluster", "node"}
	}
	return []string{"cluster"}
}

// unit is Grafana's name for the unit of what a query shows.
func (q Query) unit() string {
	row := metric.Get(q.Row)
	switch {
	case q.Over != nil:
		return "percentunit"
	case q.Total:
		return "short"
	case q.Func != store.Rate:
		return unit(row.Unit)
	case strings.HasSuffix(row.Rate, "_cores"):
		return unit(metric.Cores)
	case strings.HasSuffix(row.Rate, "_ratio"):
		return unit(metric.Ratio)
	case row.Unit == metric.Bytes:
		return "Bps"
	}
	return "cps"
}

func unit(u metric.Unit) string {
	switch u {
	case metric.Seconds:
		return "s"
	case metric.Bytes:
		return "bytes"
	case metric.Ratio:
		return "percentunit"
	}
	return "short"
}

// axis is what the vertical axis is labelled with, where the unit does not say it.
func (q Query) axis() string {
	row := metric.Get(q.Row)
	if q.Over == nil && (row.Unit == metric.Cores || q.Func == store.Rate && strings.HasSuffix(row.Rate, "_cores")) {
		return "cores"
	}
	return ""
}

// help describes the rows that a panel's queries show, each once, from the catalogue.
func help(qs []Query) string {
	var lines []string
	for _, q := range qs {
		row := metric.Get(q.Row)
		how := ""
		switch {
		case q.Total:
			how = ", over the range shown"
		case q.Func == store.Rate:
			how = ", per second"
		}
		if q.Over != nil {
			how += ", as a share of: " + metric.Get(*q.Over).Help
		}
		names := "`" + row.At(q.Level) + "`"
		if q.Kept != nil {
			names = "`" + row.At(*q.Kept) + "`; where what is chosen is less than that: " + names
		}
		line := "- " + row.Help + how + " (" + names + ")"
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
