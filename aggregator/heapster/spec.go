package heapster

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// spec is one of Heapster's metrics: how it is called, where it exists, and how it is made of catalogue rows.
type spec struct {
	name, help string
	levels     []level
	cumulative bool
	whole      bool    // int64 in Heapster, else double
	units      string  // as the schema names them
	scale      float64 // from the base unit
	labelled   bool    // has the label resource_id: a device
	export     bool    // part of metric-export

	row  metric.ID
	rate bool // of the row, per second
	// by has rows of which the first known one divides: a utilization, a reservation.
	by []metric.ID
	// since makes it the time since the row, in milliseconds: of several containers, since the oldest's.
	since bool
	// ofPods makes a node's value the sum of its pods', of which the machine itself knows nothing.
	ofPods bool
}

func (s *spec) has(l level) bool { return slices.Contains(s.levels, l) }

// value turns a value in the base unit into Heapster's, without the noise of the arithmetic.
func (s *spec) value(v float64) float64 {
	v *= s.scale
	if s.whole && !s.rate {
		return math.Round(v)
	}
	if math.Abs(v) < 1e9 {
		return math.Round(v*1e6) / 1e6
	}
	return v
}

// specs are all metrics, sorted by name.
type specs []spec

func (s specs) find(name string) *spec {
	i, ok := slices.BinarySearchFunc(s, name, func(x spec, n string) int { return strings.Compare(x.name, n) })
	if !ok {
		return nil
	}
	return &s[i]
}

// newSpecs makes the list from the catalogue's Heapster columns, and adds what is computed.
func newSpecs() specs {
	var out specs
	for i := range metric.Rows() {
		r := &metric.Rows()[i]
		if r.Heapster != "" {
			out = append(out, ofRow(r))
		}
		if r.HeapsterRate != "" {
			s := ofRow(r)
			s.name, s.levels, s.rate, s.cumulative = r.HeapsterRate, levelsOf(r.HeapsterRate), true, false
			s.help += ", per second"
			s.scale, s.export = cmp.Or(r.RateScale, 1), s.labelled
			s.whole = s.name == "cpu/usage_rate"
			if s.whole {
				s.help, s.units = "CPU usage in millicores", "count"
			}
			out = append(out, s)
		}
	}
	out = append(out,
		spec{name: "uptime", help: "time since the container or the machine started", levels: levelsOf("uptime"), cumulative: true,
			whole: true, units: "ms", scale: 1e3, export: true, row: metric.StartTime, since: true})
	for _, s := range metric.HeapsterShares() {
		out = append(out, spec{name: s.Name, help: s.Help, levels: []level{node}, units: "count", scale: 1,
			row: s.Part, rate: s.Rate, by: s.Whole[:], ofPods: strings.HasSuffix(s.Name, "reservation")})
	}
	slices.SortFunc(out, func(a, b spec) int { return strings.Compare(a.name, b.name) })
	return out
}

func ofRow(r *metric.Row) spec {
	s := spec{name: r.Heapster, help: r.Help, levels: levelsOf(r.Heapster), row: r.ID, scale: cmp.Or(r.Scale, 1),
		cumulative: r.Kind == metric.Counter, whole: !strings.Contains(r.Heapster, "/node_"), units: "count"}
	group, _, _ := strings.Cut(r.Heapster, "/")
	s.labelled = group == "filesystem" || group == "disk"
	s.ofPods = strings.HasSuffix(r.Heapster, "/request") || strings.HasSuffix(r.Heapster, "/limit") && group != "filesystem"
	s.export = !s.ofPods && !strings.Contains(r.Heapster, "/node_") || r.Heapster == "cpu/limit" || r.Heapster == "memory/limit"
	switch {
	case r.Heapster == "cpu/usage":
		s.units = "ns"
	case r.Unit == metric.Bytes:
		s.units = "bytes"
	}
	return s
}

// levelsOf says where Heapster had a metric.
func levelsOf(name string) []level {
	group, _, _ := strings.Cut(name, "/")
	one := []level{podContainer, sysContainer, pod, node}
	all := []level{podContainer, sysContainer, pod, node, namespace, cluster}
	switch {
	case strings.Contains(name, "/node_"):
		return []level{node}
	case name == "cpu/usage_rate", name == "memory/usage", group != "filesystem" && (strings.HasSuffix(name, "/request") || strings.HasSuffix(name, "/limit")):
		return all
	case group == "network":
		return []level{pod, node}
	case group == "filesystem":
		return []level{podContainer, node}
	case name == "restart_count":
		return []level{podContainer, pod}
	}
	return one
}
