package live

import (
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// mode says how members' values make that of the whole.
type mode uint8

const (
	add     mode = iota
	largest      // a share of time in which some task waits: members wait at the same time
	oldest       // a start time
)

// modeOf returns how a row is rolled up.
func modeOf(r *metric.Row) mode {
	switch {
	case r.Unit == metric.Time:
		return oldest
	case strings.HasPrefix(r.Field, "pressure_"):
		return largest
	}
	return add
}

// summer adds up members' values by row. It is scratch space, kept because it is used for each roll-up of each snapshot.
type summer struct {
	modes []mode
	cells []Value // by row, for values without a sub
	used  []metric.ID
	subs  []Value // pods keep interfaces and devices apart
	own   []bool  // rows of which the unit has values of its own
	keep  []Value
}

func (s *summer) init(rows int) {
	s.modes, s.cells, s.own = make([]mode, rows), make([]Value, rows), make([]bool, rows)
	all := metric.Rows()
	for i := range all {
		s.modes[i] = modeOf(&all[i])
	}
}

// members adds up the items' values for the unit's level; rows in own stay as they are.
func (s *summer) members(u *unit, items []*Item, own []Value) {
	level := u.key.level
	s.used, s.subs, s.keep = s.used[:0], s.subs[:0], append(s.keep[:0], own...)
	for i := range own {
		s.own[own[i].ID] = true
	}
	rows := metric.Rows()
	nodes := false
	for _, it := range items {
		if level == metric.Cluster && it.Entity.Level == metric.Node {
			nodes = true
			s.item(it, level, rows)
		}
	}
	if nodes {
		for _, id := range s.used {
			s.own[id] = true // a row that the nodes have is not counted again from the namespaces
		}
	}
	for _, it := range items {
		if level != metric.Cluster || it.Entity.Level != metric.Node {
			s.item(it, level, rows)
		}
	}
	for i := range own {
		s.own[own[i].ID] = false
	}
	for _, id := range s.used {
		s.own[id] = false
	}
}

func (s *summer) item(it *Item, level metric.Level, rows []metric.Row) {
	for i := range it.Values {
		v := &it.Values[i]
		if s.own[v.ID] || !rows[v.ID].Has(level) {
			continue
		}
		s.value(v, level == metric.Pod, rows[v.ID].Kind)
	}
}

// value adds one member's value.
func (s *summer) value(v *Value, keepSub bool, kind metric.Kind) {
	var to *Value
	switch {
	case v.Sub == "" || !keepSub:
		to = &s.cells[v.ID]
	default:
		i := slices.IndexFunc(s.subs, func(x Value) bool { return x.ID == v.ID && x.Sub == v.Sub })
		if i < 0 {
			i = len(s.subs)
			s.subs = append(s.subs, Value{})
		}
		to = &s.subs[i]
	}
	if to.T.IsZero() {
		if to == &s.cells[v.ID] {
			s.used = append(s.used, v.ID)
		}
		sub := v.Sub
		if !keepSub {
			sub = ""
		}
		*to = Value{ID: v.ID, Sub: sub, T: v.T, Rate: v.Rate, Window: v.Window}
		if kind == metric.Gauge {
			to.V = v.V
		}
		return
	}
	join(s.modes[v.ID], to, v, kind)
}

func join(m mode, to, v *Value, kind metric.Kind) {
	if v.T.Before(to.T) {
		to.T = v.T
	}
	if v.Window > 0 && (to.Window == 0 || v.Window < to.Window) {
		to.Window = v.Window
	}
	switch m {
	case largest:
		to.Rate = max(to.Rate, v.Rate)
		if kind == metric.Gauge {
			to.V = max(to.V, v.V)
		}
	case oldest:
		to.V = min(to.V, v.V)
	default:
		to.Rate += v.Rate
		if kind == metric.Gauge {
			to.V += v.V
		}
	}
}

// append appends the unit's own values and the sums, sorted by row and sub, and clears the sums.
func (s *summer) append(out []Value) []Value {
	from := len(out)
	out = append(out, s.keep...)
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
