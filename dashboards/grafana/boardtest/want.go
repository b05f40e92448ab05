package boardtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/dashboards/grafana"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Chosen are the values chosen at a board's top, by variable; what is not chosen is all.
type Chosen map[string][]string

// of leaves out what the board has no variable for.
func (c Chosen) of(b grafana.Board) Chosen {
	out := Chosen{}
	for _, v := range b.Vars {
		if values, ok := c[v.Label]; ok {
			out[v.Label] = values
		}
	}
	return out
}

// want is the newest value of every series of a query's answer, by its labels ("namespace=a,pod=web-1").
func (d *Day) want(q grafana.Query, chosen Chosen, length time.Duration) map[string]float64 {
	if q.Kept != nil && !slices.ContainsFunc(slices.Collect(maps.Keys(chosen)), func(name string) bool { return !slices.Contains(identity.Names(*q.Kept), name) && name != "cluster" }) {
		q.Level = *q.Kept
	}
	top := d.joined(q, metric.Get(q.Row), q.Func, chosen, length)
	if q.Over == nil {
		return top
	}
	row := metric.Get(*q.Over)
	f := store.Last
	if row.Kind == metric.Counter {
		f = store.Rate
	}
	below := d.joined(q, row, f, chosen, length)
	out := map[string]float64{}
	for k, v := range top {
		if w, ok := below[k]; ok {
			out[k] = v / w
		}
	}
	return out
}

func (d *Day) joined(q grafana.Query, row *metric.Row, f store.Func, chosen Chosen, length time.Duration) map[string]float64 {
	out := map[string]float64{}
	for i, e := range d.entities {
		if e.Level != q.Level || !isChosen(e, chosen) {
			continue
		}
		for s := range subs(row) {
			v := d.pace(i, row, s)
			switch {
			case math.IsNaN(v):
				continue
			case q.Total:
				v *= length.Seconds()
			case row.Kind == metric.Counter && f != store.Rate:
				v = d.value(i, row, s, d.End)
			}
			k := Key(q.By, func(l string) string { return identity.Value(e, l) })
			if old, ok := out[k]; ok && q.Join == store.Max {
				v = max(v, old)
			} else {
				v += old
			}
			out[k] = v
		}
	}
	return out
}

// Key names a series by its labels.
func Key(by []string, value func(string) string) string {
	var parts []string
	for _, l := range by {
		parts = append(parts, fmt.Sprintf("%s=%s", l, value(l)))
	}
	return strings.Join(parts, ",")
}

func isChosen(e *metric.Entity, chosen Chosen) bool {
	for name, values := range chosen {
		// A variable narrows only what can have its label.
		if v := identity.Value(e, name); v != "" && !slices.Contains(values, v) {
			return false
		}
	}
	return true
}
