package live

import (
	"slices"

	"plimsoll.dev/plimsoll/internal/metric"
)

// summer adds up members' values by row. It is scratch space for all the roll-ups of one snapshot.
type summer struct {
	cells []Value // by row, for values without a sub
	used  []metric.ID
	lacks metric.Set
	room  []Value    // for those of one member
	asked metric.Set // the rows in which a cluster says what pods ask for
}

func newSummer(asked metric.Set) *summer {
	return &summer{cells: make([]Value, len(metric.Rows())), asked: asked}
}

// pod notes what a pod has, and lacks, of its containers: their values are added up when somebody asks.
func (s *summer) pod(it *Item) {
	s.lacks = metric.Set{}
	for _, m := range it.Items {
		lacks, has := m.Lacks.Less(&it.Own), m.has.Less(&it.Own).And(&ofPods)
		s.lacks.AddAll(&lacks)
		it.has.AddAll(&has)
	}
}

// ofPods are the rows that pods have.
var ofPods = metric.At(metric.Pod)

// members adds up the values of an item's members, and what is beside them, but for rows that are its own. The cluster's rows are its nodes', those in nodes and
// those that they have values of; the others are its namespaces'.
func (s *summer) members(it *Item, beside *claims, own, nodes metric.Set) {
	s.used, s.lacks = s.used[:0], metric.Set{}
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
	beside.each(everyRow, func(v Value) {
		if !own.Has(v.ID) {
			s.value(&v, metric.Get(v.ID))
		}
	})
}

// item adds a member's values, but for the rows in but, and notes what the sums lack of it. What a pod is known to
// ask for it asks for also while nothing is heard of its machine.
func (s *summer) item(m *Item, level metric.Level, but *metric.Set) {
	lacks := m.Lacks
	silent := m.Silent()
	s.room = m.each(s.room, func(v *Value) {
		switch row := metric.Get(v.ID); {
		case silent && !(s.asked.Has(v.ID) && (m.asks.has(v.ID) || m.Entity.Level == metric.Workload)):
			lacks.Add(v.ID)
		case !but.Has(v.ID) && row.Has(level):
			s.value(v, row)
		}
	})
	lacks = lacks.Less(but)
	s.lacks.AddAll(&lacks)
}

// value adds one member's value.
func (s *summer) value(v *Value, row *metric.Row) {
	to := &s.cells[v.ID]
	if !to.T.IsZero() {
		join(row, to, v)
		return
	}
	s.used = append(s.used, v.ID)
	*to = *v
	to.Sub = ""
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

// size is how many sums there are.
func (s *summer) size() int { return len(s.used) }

// append appends what the item has of its own and the sums, sorted by row and sub, and clears the sums.
func (s *summer) append(out []Value, it *Item) []Value {
	from := len(out)
	if it.own != nil {
		out = it.own.append(out, everyRow)
	}
	for _, id := range s.used {
		out = append(out, s.cells[id])
		s.cells[id] = Value{}
	}
	slices.SortFunc(out[from:], func(a, b Value) int { return compareValues(&a, &b) })
	return out
}
