package grafana

import (
	"fmt"
	"slices"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Board is one board, defined once for every source.
type Board struct {
	Name  string // "machine": its UID is plimsoll-machine
	Title string
	About string // the board's description
	Vars  []Var  // what is chosen at the board's top, the largest thing first
	Rows  []Row
	// Decisions marks the autoscaler's decisions in every chart.
	Decisions bool
}

// Var is a variable: the values that a label has, of which one, several or all are chosen. Every query of the board whose
// level has the label is narrowed to them.
type Var struct {
	Label string
	// Of is a row and a level whose series have the label.
	Of    metric.ID
	Level metric.Level
}

// Row is a row of panels under a heading that can be folded.
type Row struct {
	Title  string
	Height int // in Grafana's grid of 30 pixels; zero: 8
	Panels []Panel
	Folded bool
}

// Panel is one chart, number, table or text.
type Panel struct {
	Draw  Draw
	Title string
	Note  string // what the catalogue's help does not say
	Width int    // of 24; zero: an even share of what the row's other panels leave
	Show  []Query
	// Limits are drawn as dashed lines in the same chart: a capacity, a limit, a target.
	Limits []Query
	// Warn and Bad are where colours change, in the panel's unit, and lines in charts. Zero: nowhere.
	Warn, Bad float64
	// Least is the smallest axis: the top of the axis never falls below it. Zero: as the values are.
	Least float64
	// None is what stands where there is no value; "": as Grafana has it.
	None string
	// To is the name of the board that a table's rows lead to.
	To string
}

// Draw is how a panel is drawn.
type Draw string

// The ways to draw.
const (
	Lines   Draw = "lines"   // a chart over time
	Stacked Draw = "stacked" // areas on top of each other: parts of a whole
	Steps   Draw = "steps"   // whole numbers that change at once: replicas, restarts so far
	Stat    Draw = "stat"    // the present number of each series
	Gauge   Draw = "gauge"   // the present share, as a dial
	Bars    Draw = "bars"    // the present number of each series, as bars
	Table   Draw = "table"   // the present: a row for each thing, a column for each query
	Text    Draw = "text"    // Note, in Markdown
)

// now says whether a panel shows what holds at the end of the range, in one number each.
func (d Draw) now() bool { return d == Stat || d == Gauge || d == Bars || d == Table }

// Boards returns all boards.
func Boards() []Board { return []Board{machine(), containers(), autoscaling()} }

// UID returns the board's UID for a source; it never changes.
func (b Board) UID(s Source) string { return s.uid(b.Name) }

// narrowed returns the query with the board's variables as matchers.
func (b Board) narrowed(q Query) Query {
	ms := slices.Clone(q.Matchers)
	for _, l := range labels(q.Level) {
		if b.chooses(l) {
			ms = append(ms, store.Matcher{Name: l, Op: store.Regexp, Value: "$" + l})
		}
	}
	q.Matchers = ms
	if q.Kept == nil {
		return q
	}
	kept, finer := q, ""
	kept.Level, kept.Matchers, kept.Kept = *q.Kept, nil, nil
	for _, v := range b.Vars {
		if slices.Contains(labels(q.Level), v.Label) && !slices.Contains(labels(kept.Level), v.Label) {
			finer += "$" + v.Label
		}
	}
	kept = b.narrowed(kept)
	if finer == "" {
		return kept
	}
	// Nothing has this label, and to match nothing is to match "": only where all is chosen do the variables, one after the other.
	kept.Matchers = append(kept.Matchers, store.Matcher{Name: "all", Op: store.Regexp, Value: finer})
	q.Matchers, q.kept = append(q.Matchers, store.Matcher{Name: "all", Op: store.NotRegexp, Value: finer}), &kept
	return q
}

// chooses says whether the board has a variable for a label.
func (b Board) chooses(label string) bool {
	return slices.ContainsFunc(b.Vars, func(v Var) bool { return v.Label == label })
}

// check says what in a board cannot be drawn.
func (b Board) check() error {
	for i, v := range b.Vars {
		if !metric.Get(v.Of).Has(v.Level) || !slices.Contains(labels(v.Level), v.Label) {
			return fmt.Errorf("board %q: variable %d: no label %q of %s at level %q", b.Name, i, v.Label, metric.Get(v.Of).Name, v.Level)
		}
	}
	for _, r := range b.Rows {
		width := 0
		for _, p := range r.Panels {
			if err := p.check(); err != nil {
				return fmt.Errorf("board %q: panel %q: %w", b.Name, p.Title, err)
			}
			width += p.Width
		}
		if width > 24 || len(r.Panels) == 0 {
			return fmt.Errorf("board %q: row %q has %d panels, %d columns wide; there are 24", b.Name, r.Title, len(r.Panels), width)
		}
	}
	return nil
}

func (p Panel) check() error {
	all := p.queries()
	if p.Draw == Text {
		if len(all) > 0 || p.Note == "" {
			return fmt.Errorf("a text has a note and no queries")
		}
		return nil
	}
	if kinds := []Draw{Lines, Stacked, Steps, Stat, Gauge, Bars, Table}; !slices.Contains(kinds, p.Draw) {
		return fmt.Errorf("drawn as %q: the kinds of panel are %q", p.Draw, kinds)
	}
	if len(p.Show) == 0 || p.Draw.now() && len(p.Limits) > 0 {
		return fmt.Errorf("%d queries, %d limits: want a query, and limits in charts only", len(p.Show), len(p.Limits))
	}
	if p.Draw == Table && len(all[0].By) == 0 {
		return fmt.Errorf("a table needs labels that tell its rows apart")
	}
	if p.To != "" && (p.Draw != Table || board(p.To).Name == "") {
		return fmt.Errorf("only a table leads to a board, and %q must be one", p.To)
	}
	for _, q := range all {
		if err := q.check(); err != nil {
			return err
		}
		if q.unit() != all[0].unit() && p.Draw != Table {
			return fmt.Errorf("units %q and %q on one axis", all[0].unit(), q.unit())
		}
		if q.Total && !p.Draw.now() {
			return fmt.Errorf("a total over the range is one number, not a line")
		}
		if p.Draw == Table && !slices.Equal(q.By, all[0].By) {
			return fmt.Errorf("columns by %q and %q: rows would not meet", all[0].By, q.By)
		}
	}
	return nil
}

func (p Panel) queries() []Query { return slices.Concat(p.Show, p.Limits) }
