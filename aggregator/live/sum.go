package live

import (
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// summer adds up members' values by row. It is scratch space for all the roll-ups of one snapshot.
type summer struct {
	cells []Value // by row, for values without a sub
	used  []metric.ID
	subs  []Value // pods keep interfaces and devices apart
	lacks metric.Set
}

func newSummer() *summer { return &summer{cells: make([]Value, len(metric.Rows()))} }

// members adds up the values of an item's members, but for rows that are its own. The cluster's rows are its nodes', those in nodes and
// those that they have values of; the others are its namespaces'.
func (s *summer) members(it *Item, own, nodes metric.Set) {
	s.used, s.subs, s.lacks = s.used[:0], s.subs[:0], metric.Set{}
	level := it.Entity.Level
	if level == metric.Cluster {
		for _, m := range it.Items {
			if m.Entity.Level == metric.Node {
				s.item(m, level, &own)
			}
		}
		own.AddAll(&nodes)
		for _, id := range s.used {
			own.Add(id)
		}
	}
	for _, m := range it.Items {
		if level != metric.Cluster || m.Entity.Level != metric.Node {
			s.item(m, level, &own)
		}
	}
}

// item adds a member's values, but for the rows in but, and notes what the sums lack of it.
func (s *summer) item(m *Item, level metric.Level, but *metric.Set) {
	lacks := m.Lacks
	silent := m.Silent() && level != metric.Pod // a silent pod shows what it was, and is in no sum itself
	for i := range m.Values {
		v := &m.Values[i]
		switch row := metric.Get(v.ID); {
		case silent:
			lacks.Add(v.ID)
		case !but.Has(v.ID) && row.Has(level):
			s.value(v, level == metric.Pod, row)
		}
	}
	lacks = lacks.Less(but)
	s.lacks.AddAll(&lacks)
}

// value adds one member's value.
func (s *summer) value(v *Value, keepSub bool, row *metric.Row) {
	to, sub := &s.cells[v.ID], ""
	if keepSub && v.Sub != "" {
		sub = v.Sub
		i := slices.IndexFunc(s.subs, func(x Value) bool { return x.ID == v.ID && x.Sub == v.Sub })
		if i < 0 {
			i = len(s.subs)
			s.subs = append(s.subs, Value{})
		}
		to = &s.subs[i]
	}
	if !to.T.IsZero() {
		join(row, to, v)
		return
	}
	if sub == "" {
		s.used = append(s.used, v.ID)
	}
	*to = Value{ID: v.ID, Sub: sub, T: v.T, V: v.V, Rate: v.Rate, Window: v.Window}
	if row.Kind == metric.Counter {
		to.V = 0
	}
}

// join makes one value of two, as the catalogue says.
func join(row *metric.Row, to, v *Value) {
	if v.T.Before(to.T) {
		to.T = v.T
	}
	if v.Window > 0 && (to.Window == 0 || v.Window < to.Window) {
		to.Window = v.Window
	}
	to.Rate = row.Join.Of(to.Rate, v.Rate)
	if row.Kind == metric.Gauge {
		to.V = row.Join.Of(to.V, v.V)
	}
}

// size is how many values there are with those given.
func (s *summer) size(own []Value) int { return len(own) + len(s.used) + len(s.subs) }

// append appends the unit's own values and the sums, sorted by row and sub, and clears the sums.
func (s *summer) append(out, own []Value) []Value {
	from := len(out)
	out = append(out, own...)
	for _, id := range s.used {
		out = append(out, s.cells[id])
		s.cells[id] = Value{}
	}
	out = append(out, s.subs...)
	slices.SortFunc(out[from:], func(a, b Value) int {
		if a.ID != b.ID {
			return int(a.ID) - int(b.ID)
		}
		return strings.Compare(a.Sub, b.Sub)
	})
	return out
}
