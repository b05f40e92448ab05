package live

import (
	"math"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// own is what an item has of its unit's own samples. The series are the picture's, which writes no more to them (samples.mine); of those that have
// rings, which go on, the newest samples are copied. So a snapshot has no copy of what a collector says of a container, but what came since it was made.
type own struct {
	series []series
	subs   []string
	rings  [2]pair
	base   int64
	oldest [numLanes]int64 // what is older is not current
	sized  int64           // unless it is a size of since then
}

// value is the current value of the i-th series; ok is false where there is none.
func (o *own) value(i int) (v Value, ok bool) {
	x := &o.series[i]
	h := x.pair()
	if x.ring != 0 {
		h = o.rings[x.ring-1]
	}
	at := o.base + int64(h.last.t)
	if h.n == 0 || at < o.oldest[h.lane] && !h.stands(x.id, o.base, o.sized) {
		return v, false
	}
	v = Value{ID: x.id, Sub: o.subs[x.sub], T: millis(at), V: h.last.v()}
	if metric.Get(x.id).Kind == metric.Counter {
		rate, window := h.rate()
		v.Rate, v.Window = rate, time.Duration(window)*time.Millisecond
	}
	return v, true
}

// everyRow asks for the values of all rows.
const everyRow = metric.ID(math.MaxUint16)

// append appends the values of a row, or of every one.
func (o *own) append(out []Value, id metric.ID) []Value {
	i := 0
	if id != everyRow {
		i, _ = slices.BinarySearchFunc(o.series, id, func(x series, id metric.ID) int { return 2*int(x.id) - 2*int(id) + 1 }) // the first of them
	}
	for ; i < len(o.series) && (id == everyRow || o.series[i].id == id); i++ {
		if v, ok := o.value(i); ok {
			out = append(out, v)
		}
	}
	return out
}

// List returns the item's current values, sorted by row, then Sub. A row that is absent has none.
func (it *Item) List() []Value { return it.append(nil, everyRow) }

// Row returns the item's current values of one row, sorted by Sub.
func (it *Item) Row(id metric.ID) []Value { return it.append(nil, id) }

// append appends the item's values of a row, or of every one. Of a pod those that it has not of itself are added up of its containers'.
func (it *Item) append(out []Value, id metric.ID) []Value {
	if it.Values != nil {
		for i := range it.Values {
			if id == everyRow || it.Values[i].ID == id {
				out = append(out, it.Values[i])
			}
		}
		return out
	}
	from := len(out)
	if it.own != nil {
		out = it.own.append(out, id)
	}
	if it.Entity.Level != metric.Pod {
		return out
	}
	if it.asks != nil {
		own := slices.DeleteFunc(out[from:], func(v Value) bool { return it.asks.has(v.ID) })
		out = out[:from+len(own)]
		it.asks.each(id, func(v Value) { out = append(out, v) })
	}
	for _, m := range it.Items {
		begin := len(out)
		out = m.append(out, id)
		out = out[:begin+len(it.parts(out[begin:]))]
	}
	return out[:from+len(merged(out[from:]))]
}

// each calls do for each of the item's values. room is what they may take, and is returned for the next time.
func (it *Item) each(room []Value, do func(*Value)) []Value {
	only := it.own
	switch {
	case it.Values != nil:
		for i := range it.Values {
			do(&it.Values[i])
		}
		return room
	case it.Entity.Level != metric.Pod:
	case it.own == nil && len(it.Items) == 1 && it.Items[0].Values == nil: // as most pods are
		only = it.Items[0].own
	case len(it.Items) > 0:
		room = it.append(room[:0], everyRow)
		for i := range room {
			do(&room[i])
		}
		return room
	}
	room = append(room[:0], Value{})
	it.asks.each(everyRow, func(v Value) {
		room[0] = v
		do(&room[0])
	})
	if only == nil {
		return room
	}
	for i := range only.series {
		var ok bool
		if room[0], ok = only.value(i); !ok || it.asks.has(room[0].ID) {
			continue
		}
		if only == it.own || it.part(&room[0]) {
			do(&room[0])
		}
	}
	return room
}

// parts are those of a container's values that are a part of its pod's, as such.
func (it *Item) parts(values []Value) []Value {
	out := values[:0]
	for i := range values {
		if it.part(&values[i]) {
			out = append(out, values[i])
		}
	}
	return out
}

// part makes a container's value one of its pod's, and says whether it is.
func (it *Item) part(v *Value) bool {
	row := metric.Get(v.ID)
	if row.Kind == metric.Counter {
		v.V = 0
	}
	return row.Has(metric.Pod) && !it.Own.Has(v.ID) && !it.asks.has(v.ID)
}

// merged makes one of the values of each row and sub, in their order.
func merged(values []Value) []Value {
	sorted := true
	for i := 1; sorted && i < len(values); i++ {
		sorted = compareValues(&values[i-1], &values[i]) < 0
	}
	if sorted {
		return values
	}
	slices.SortStableFunc(values, func(a, b Value) int { return compareValues(&a, &b) })
	out := values[:1]
	for i := 1; i < len(values); i++ {
		if last := &out[len(out)-1]; compareValues(last, &values[i]) == 0 {
			join(metric.Get(last.ID), last, &values[i])
			continue
		}
		out = append(out, values[i])
	}
	return out
}

func compareValues(a, b *Value) int {
	if a.ID != b.ID {
		return int(a.ID) - int(b.ID)
	}
	return strings.Compare(a.Sub, b.Sub)
}
