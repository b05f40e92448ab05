package influx

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
)

// heapster is what the encoder needs to write Heapster's measurements and tags, so that boards made for Heapster work
// unchanged. Integers are written where Heapster wrote them, for a database that it has begun. Each metric is a line. Batches
// give what containers and machines say of themselves; what is made of pods comes by EncodeModel, from the table that the model API serves.
type heapster struct {
	on      bool
	cluster string
	byRow   [][]heapsterName // those of a row: its own and its rate
	share   []heapsterName   // those of a machine that are made of two rows
	uptime  heapsterName
	names   map[string]heapsterName
}

// heapsterName is a metric with its measurement and field.
type heapsterName struct {
	*model.Metric
	measurement, field string
}

func newHeapster(o EncoderOptions) heapster {
	h := heapster{on: true, cluster: o.Cluster, byRow: make([][]heapsterName, len(metric.Rows())), names: map[string]heapsterName{}}
	if h.cluster == "" {
		h.cluster = "default"
	}
	all := model.New()
	for i := range all {
		n := heapsterName{&all[i], all[i].Name, "value"}
		if m, f, ok := strings.Cut(n.Name, "/"); ok && o.Schema == SchemaHeapsterFields {
			n.measurement, n.field = m, f
		}
		h.names[n.Name] = n
		switch {
		case n.Since:
			h.uptime = n
		case len(n.Over) > 0 && !n.OfPods:
			h.share = append(h.share, n)
		case len(n.Over) == 0:
			h.byRow[n.Row] = append(h.byRow[n.Row], n)
		}
	}
	return h
}

// written says whether an entity of a batch is written: a container, or a machine that says it itself, in a batch that is of one.
func (h *heapster) written(p *metric.Entity, sums bool) bool {
	thing, ok := model.ThingOf(p)
	return ok && (thing.Kind != model.Node || !sums)
}

// tags makes a thing's tags, each with a comma before it.
func (h *heapster) tags(t model.Thing) []byte {
	out := appendTag([]byte(",cluster_name="), TagValue(h.cluster))
	for _, l := range t.Labels() {
		out = appendTag(append(append(append(out, ','), l.Name...), '='), TagValue(l.Value))
	}
	return out
}

// heapsterLines appends the lines of an entity's points of one time.
func (e *Encoder) heapsterLines(dst []byte, p *metric.Entity, s *entry, points []metric.Point) []byte {
	thing, _ := model.ThingOf(p)
	t := points[0].T
	for _, id := range e.order {
		for i := range e.heap.byRow[id] {
			n := &e.heap.byRow[id][i]
			if n.Labelled || !n.Has(thing.Kind) || n.OfPods && thing.Kind == model.Node {
				continue
			}
			if v, ok := e.heapsterValue(n, s, points, thing.Kind); ok {
				dst = e.heapsterLine(dst, n, s.heap, "", n.Value(v), t)
			}
		}
	}
	if v := &e.values[metric.StartTime]; v.on && e.heap.uptime.Has(thing.Kind) {
		if up := float64(t)/1000 - v.v; up >= 0 {
			dst = e.heapsterLine(dst, &e.heap.uptime, s.heap, "", e.heap.uptime.Value(up), t)
		}
	}
	dst = e.heapsterResources(dst, s, points, thing.Kind)
	if thing.Kind == model.Node {
		dst = e.heapsterShares(dst, s, t)
	}
	return dst
}

// heapsterValue is a metric's value in the line being made; interfaces that Heapster did not count are left out of it.
func (e *Encoder) heapsterValue(n *heapsterName, s *entry, points []metric.Point, k model.Kind) (sum float64, ok bool) {
	v := &e.values[n.Row]
	if metric.Get(n.Row).Sub == "" {
		if n.Rate {
			return v.rate, v.rated
		}
		return v.v, v.on
	}
	for i := range points {
		x := &points[i]
		if x.ID != n.Row || !finite(x.V) || model.Inner(x.Sub, k) {
			continue
		}
		switch last := s.known(x.ID, x.Sub); {
		case last == nil: // left out
		case !n.Rate:
			sum, ok = sum+x.V, true
		case last.line == e.line && finite(last.rate):
			sum, ok = sum+last.rate, true
		}
	}
	return sum, ok
}

// heapsterResources appends the lines of metrics that have one for each device.
func (e *Encoder) heapsterResources(dst []byte, s *entry, points []metric.Point, k model.Kind) []byte {
	for i := range points {
		x := &points[i]
		if !finite(x.V) || int(x.ID) >= len(e.heap.byRow) || !e.values[x.ID].on {
			continue
		}
		for j := range e.heap.byRow[x.ID] {
			n := &e.heap.byRow[x.ID][j]
			if !n.Labelled || !n.Has(k) {
				continue
			}
			switch last := s.known(x.ID, x.Sub); {
			case last == nil: // left out
			case !n.Rate:
				dst = e.heapsterLine(dst, n, s.heap, x.Sub, n.Value(x.V), x.T)
			case last.line == e.line && finite(last.rate):
				dst = e.heapsterLine(dst, n, s.heap, x.Sub, n.Value(last.rate), x.T)
			}
		}
	}
	return dst
}

// heapsterShares appends how much of a machine is used.
func (e *Encoder) heapsterShares(dst []byte, s *entry, t int64) []byte {
	for i := range e.heap.share {
		n := &e.heap.share[i]
		part, whole := &e.values[n.Row], &e.values[n.Over[0]]
		if !whole.on {
			whole = &e.values[n.Over[1]]
		}
		if !part.on || n.Rate && !part.rated || !whole.on || whole.v <= 0 {
			continue
		}
		v := part.v
		if n.Rate {
			v = part.rate
		}
		dst = e.heapsterLine(dst, n, s.heap, "", n.Value(v/whole.v), t)
	}
	return dst
}

// heapsterLine appends a line of a value in the metric's unit.
func (e *Encoder) heapsterLine(dst []byte, n *heapsterName, tags []byte, resource string, v float64, t int64) []byte {
	if !finite(v) {
		e.sum.Dropped[DropNotFinite]++
		return dst
	}
	dst = append(append(dst, n.measurement...), tags...)
	if n.Labelled && resource != "" {
		dst = appendTag(append(dst, ",resource_id="...), TagValue(resource))
	}
	dst = append(append(append(dst, ' '), n.field...), '=')
	if n.Whole {
		dst = append(strconv.AppendInt(dst, toInt(v), 10), 'i')
	} else {
		dst = appendFloat(dst, v)
	}
	e.sum.Lines++
	return append(strconv.AppendInt(append(dst, ' '), t, 10), '\n')
}

// toInt rounds toward zero as Heapster did, within the range of an integer.
func toInt(v float64) int64 {
	switch {
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v <= math.MinInt64:
		return math.MinInt64
	}
	return int64(v)
}

// EncodeModel appends the lines of values that were made of pods, and says what became of them. Another schema has none.
func (e *Encoder) EncodeModel(dst []byte, values []model.Value, now time.Time) ([]byte, Encoded) {
	e.sum, e.now = Encoded{}, now.UnixMilli()
	if !e.heap.on {
		return dst, e.sum
	}
	e.budgets.tidy(e.now)
	var tags []byte
	for i := range values {
		v := &values[i]
		n, known := e.heap.names[v.Metric.Name]
		if i == 0 || v.Thing != values[i-1].Thing {
			tags = e.heap.tags(v.Thing)
		}
		switch t := v.Time.UnixMilli(); {
		case !known:
			e.sum.Dropped[DropUnknown]++
		case t <= 0 || t > e.now+ahead.Milliseconds():
			e.sum.Dropped[DropTime]++
		case !e.budgets.admit(v.Thing.Namespace, hash(string(tags)), e.now):
			e.sum.Dropped[DropSeriesBudget]++
		default:
			e.sum.Points++
			dst = e.heapsterLine(dst, &n, tags, v.Resource, v.V, t)
		}
	}
	return dst, e.sum
}

// AppendModel queues values that were made of pods, in a history that has Heapster's names. When it returns nil they survive kill -9.
func (s *Sink) AppendModel(ctx context.Context, values []model.Value) error {
	return s.append(ctx, "Heapster's values", func(dst []byte) ([]byte, Encoded) { return s.encoder.EncodeModel(dst, values, s.opts.now()) })
}

// HasModel says whether the history has Heapster's names.
func (s *Sink) HasModel() bool { return s.encoder.heap.on }

// what names a batch in errors.
func what(b *metric.Batch) string { return fmt.Sprintf("batch of node %q", b.Node) }
