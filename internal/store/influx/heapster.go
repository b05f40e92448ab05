package influx

import (
	"math"
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
)

// heapster is what the encoder needs to write Heapster's measurements and tags, so that boards made for Heapster work
// unchanged. Integers are written where Heapster wrote them, for a database that it has begun. Workloads, which Heapster did
// not know, and rows that it had no name for are left out; each metric is a line of its own.
type heapster struct {
	on      bool
	cluster string
	value   []heapsterName // by row
	rate    []heapsterName
	uptime  heapsterName
	shares  []heapsterShare // metrics made of two others
}

// heapsterName is a metric's measurement and field.
type heapsterName struct {
	measurement, field string // "" : Heapster has no such metric
	scale              float64
	integer, labeled   bool // labeled: one line for each resource, with the tag resource_id
}

type heapsterShare struct {
	*model.Metric
	name heapsterName
}

func newHeapster(o EncoderOptions) heapster {
	h := heapster{on: true, cluster: o.Cluster, value: make([]heapsterName, len(metric.Rows())), rate: make([]heapsterName, len(metric.Rows()))}
	if h.cluster == "" {
		h.cluster = "default"
	}
	name := func(n string, scale float64, integer bool) heapsterName {
		out := heapsterName{measurement: n, field: "value", scale: scale, integer: integer}
		if scale == 0 {
			out.scale = 1
		}
		if m, f, ok := strings.Cut(n, "/"); ok && o.Schema == SchemaHeapsterFields {
			out.measurement, out.field = m, f
		}
		out.labeled = strings.HasPrefix(n, "filesystem/") || strings.HasPrefix(n, "disk/")
		return out
	}
	for i := range metric.Rows() {
		r := metric.Get(metric.ID(i))
		if r.Heapster != "" {
			h.value[i] = name(r.Heapster, r.Scale, !strings.Contains(r.Heapster, "/node_"))
		}
		if r.HeapsterRate != "" {
			h.rate[i] = name(r.HeapsterRate, r.RateScale, r.ID == metric.CPUUsage)
		}
	}
	h.uptime = name("uptime", 1, true)
	all := model.New()
	for i := range all {
		if m := &all[i]; len(m.Over) > 0 {
			h.shares = append(h.shares, heapsterShare{m, name(m.Name, 1, false)})
		}
	}
	return h
}

// tags makes an entity's tags, each with a comma before it; nil at a level that Heapster does not have.
func (h *heapster) tags(e *metric.Entity) []byte {
	var out []byte
	add := func(name, v string) {
		if v != "" {
			out = appendTag(append(append(append(out, ','), name...), '='), TagValue(v))
		}
	}
	add("cluster_name", h.cluster)
	var kind string
	switch e.Level {
	case metric.Container:
		kind = "sys_container"
		add("container_name", e.Container)
		if e.Pod != "" {
			kind = "pod_container"
			add("namespace_name", e.Namespace)
		}
		add("nodename", e.Node)
		add("pod_name", e.Pod)
	case metric.Pod:
		kind = "pod"
		add("namespace_name", e.Namespace)
		add("nodename", e.Node)
		add("pod_name", e.Pod)
	case metric.Namespace:
		kind = "ns"
		add("namespace_name", e.Namespace)
	case metric.Node:
		kind = "node"
		add("nodename", e.Node)
	case metric.Cluster:
		kind = "cluster"
	default:
		return nil
	}
	add("type", kind)
	return out
}

// heapsterLines appends the lines of an entity's points of one time.
func (e *Encoder) heapsterLines(dst []byte, p *metric.Entity, s *entry, points []metric.Point) []byte {
	h := &e.heap
	if s.heap == nil {
		if s.heap = h.tags(p); s.heap == nil {
			return dst
		}
	}
	t := points[0].T
	for _, id := range e.order {
		v := &e.values[id]
		if n := &h.value[id]; n.measurement != "" && !n.labeled {
			dst = e.heapsterLine(dst, n, s, "", v.v, t)
		}
		if n := &h.rate[id]; n.measurement != "" && !n.labeled && v.rated {
			dst = e.heapsterLine(dst, n, s, "", v.rate, t)
		}
	}
	if v := &e.values[metric.StartTime]; v.on {
		if up := float64(t) - v.v*1000; up >= 0 {
			dst = e.heapsterLine(dst, &h.uptime, s, "", up, t)
		}
	}
	for i := range points {
		x := &points[i]
		if !finite(x.V) || int(x.ID) >= len(h.value) || !h.value[x.ID].labeled || !e.values[x.ID].on {
			continue
		}
		dst = e.heapsterLine(dst, &h.value[x.ID], s, x.Sub, x.V, t)
		if last := s.find(x.ID, x.Sub); h.rate[x.ID].measurement != "" && last.line == e.line && finite(last.rate) {
			dst = e.heapsterLine(dst, &h.rate[x.ID], s, x.Sub, last.rate, t)
		}
	}
	if p.Level == metric.Node {
		dst = e.heapsterShares(dst, s, t)
	}
	return dst
}

// heapsterShares appends how much of a node is used and reserved.
func (e *Encoder) heapsterShares(dst []byte, s *entry, t int64) []byte {
	for i := range e.heap.shares {
		x := &e.heap.shares[i]
		part, whole := &e.values[x.Row], &e.values[x.Over[0]]
		if !whole.on {
			whole = &e.values[x.Over[1]]
		}
		if !part.on || x.Rate && !part.rated || !whole.on || whole.v <= 0 {
			continue
		}
		v := part.v
		if x.Rate {
			v = part.rate
		}
		dst = e.heapsterLine(dst, &x.name, s, "", v/whole.v, t)
	}
	return dst
}

func (e *Encoder) heapsterLine(dst []byte, n *heapsterName, s *entry, resource string, v float64, t int64) []byte {
	v *= n.scale
	if !finite(v) {
		e.sum.Dropped[DropNotFinite]++
		return dst
	}
	dst = append(append(dst, n.measurement...), s.heap...)
	if n.labeled && resource != "" {
		dst = appendTag(append(dst, ",resource_id="...), TagValue(resource))
	}
	dst = append(append(append(dst, ' '), n.field...), '=')
	if n.integer {
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
