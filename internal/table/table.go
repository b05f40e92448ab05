// Package table lays out rows and sentences for people, and rows for programs. Names come from outside: whatever they hold, they stay
// within their cell and line, steer no terminal and are no formula in a spreadsheet.
package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table is rows under a header, and sentences that people read before them.
type Table struct {
	Columns []Column
	Rows    [][]string // as many cells each as there are columns
	Folded  [][]string // rows that follow them in the wide table and CSV only
	Lines   []string
}

// Column is the head of a column.
type Column struct {
	Name string
	Wide bool // only for the wide table and CSV
	Said bool // its cells are what we say, and not a name alone
}

// New makes a table without rows. A name that begins with + is of a wide column, one that begins with = of what we say.
func New(names ...string) *Table {
	t := &Table{}
	for _, n := range names {
		name, wide := strings.CutPrefix(n, "+")
		name, said := strings.CutPrefix(name, "=")
		t.Columns = append(t.Columns, Column{name, wide, said})
	}
	return t
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Fold appends a row that only the wide table and CSV have: something else tells of it in the narrow one.
func (t *Table) Fold(cells ...string) { t.Folded = append(t.Folded, cells) }

// Say appends sentences.
func (t *Table) Say(lines ...string) { t.Lines = append(t.Lines, lines...) }

// Write writes the sentences and the rows, aligned. What is wide is left out unless asked for, and so is the middle of what is too long.
func (t *Table) Write(w io.Writer, wide, header bool) error {
	for _, l := range t.Lines {
		if _, err := fmt.Fprintln(w, Safe(l)); err != nil {
			return err
		}
	}
	tw := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	cutters := make([]cutter, len(t.Columns))
	for _, cells := range t.all(header, wide) {
		var seen []string
		for i, c := range cells {
			if t.Columns[i].Wide && !wide {
				continue
			}
			if c = Safe(c); !wide && !t.last(i) {
				c = cutters[i].cut(c, t.Columns[i].most())
			}
			seen = append(seen, c)
		}
		fmt.Fprintln(tw, strings.Join(seen, "\t"))
	}
	return tw.Flush()
}

// last says whether a column is the narrow table's last one, whose cells may be as long as they like.
func (t *Table) last(i int) bool {
	return !slices.ContainsFunc(t.Columns[i+1:], func(c Column) bool { return !c.Wide })
}

// CSV writes all columns of the rows.
func (t *Table) CSV(w io.Writer, header bool) error {
	rows := t.all(header, true)
	out := make([][]string, len(rows))
	for i, cells := range rows {
		for _, c := range cells {
			out[i] = append(out[i], plain(c))
		}
	}
	return csv.NewWriter(w).WriteAll(out)
}

// all are the header, if there is one and it is asked for, and the rows, with those that are folded or without.
func (t *Table) all(header, folded bool) [][]string {
	var out [][]string
	if header && len(t.Columns) > 0 {
		names := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			names[i] = c.Name
		}
		out = append(out, names)
	}
	out = append(out, t.Rows...)
	if folded {
		out = append(out, t.Folded...)
	}
	return out
}
