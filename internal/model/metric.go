package model

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Metric is one of Heapster's: how it is called, which kinds of things have it, and how it is made of rows of the catalogue.
//
// A node, a container and a pod that has the row itself give their own value; a pod that has none, and every namespace and the cluster
// give the sum of their pods' containers.
type Metric struct {
	Name, Help string
	Kinds      []Kind
	Cumulative bool
	Whole      bool    // int64 in Heapster, else double
	Units      string  // as the schema names them; "" of counts, millicores and rates
	Scale      float64 // from the base unit
	Labelled   bool    // has the label resource_id: a device
	Export     bool    // part of metric-export

	Row  metric.ID
	Rate bool // of the row, per second
	// Over are the rows of which the first known one divides: a utilization, a reservation. There is none where that is 0.
	Over []metric.ID
	// Since makes it the time since the row, in milliseconds: of several containers, since the oldest's.
	Since bool
	// OfPods makes a node's value the sum of its pods', of which the machine itself knows nothing: requests and limits. Heapster
	// counted one that is not set as 0.
	OfPods bool
}

// Has says whether a kind of thing has the metric.
func (m *Metric) Has(k Kind) bool { return slices.Contains(m.Kinds, k) }

// Value turns a value in the base unit into Heapster's, without the noise of the arithmetic.
func (m *Metric) Value(v float64) float64 {
	v *= m.Scale
	if m.Whole && !m.Rate {
		return math.Round(v)
	}
	if math.Abs(v) < 1e9 {
		return math.Round(v*1e6) / 1e6
	}
	return v
}

// Metrics is the table, sorted by name.
type Metrics []Metric

// Find returns the metric of a name; nil if Heapster had none.
func (s Metrics) Find(name string) *Metric {
	i, ok := slices.BinarySearchFunc(s, name, func(m Metric, n string) int { return strings.Compare(m.Name, n) })
	if !ok {
		return nil
	}
	return &s[i]
}

// New makes the table from the catalogue's Heapster columns, and adds what is computed.
func New() Metrics {
	var out Metrics
	for i := range metric.Rows() {
		r := &metric.Rows()[i]
		if r.Heapster != "" {
			out = append(out, ofRow(r))
		}
		if r.HeapsterRate != "" {
			out = append(out, ofRate(r))
		}
	}
	out = append(out, Metric{Name: "uptime", Help: "time since the container or the machine started", Kinds: kindsOf("uptime"), Cumulative: true,
		Whole: true, Units: "ms", Scale: 1e3, Export: true, Row: metric.StartTime, Since: true})
	cpu, memory := []metric.ID{metric.CPUAllocatable, metric.CPUCapacity}, []metric.ID{metric.MemoryAllocatable, metric.MemoryCapacity}
	for _, m := range [...]Metric{
		{Name: "cpu/node_utilization", Help: "CPU usage over allocatable CPU", Row: metric.CPUUsage, Rate: true, Over: cpu},
		{Name: "memory/node_utilization", Help: "memory usage, page cache included, over allocatable memory", Row: metric.MemoryUsage, Over: memory},
		{Name: "cpu/node_reservation", Help: "CPU requests over allocatable CPU", Row: metric.CPURequest, Over: cpu, OfPods: true},
		{Name: "memory/node_reservation", Help: "memory requests over allocatable memory", Row: metric.MemoryRequest, Over: memory, OfPods: true},
	} {
		m.Kinds, m.Scale = []Kind{Node}, 1
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func ofRow(r *metric.Row) Metric {
	ofNode := strings.Contains(r.Heapster, "/node_")
	m := Metric{Name: r.Heapster, Help: r.Help, Kinds: kindsOf(r.Heapster), Row: r.ID, Scale: cmp.Or(r.Scale, 1),
		Cumulative: r.Kind == metric.Counter, Whole: !ofNode}
	group, _, _ := strings.Cut(r.Heapster, "/")
	m.Labelled = group == "filesystem" || group == "disk"
	m.OfPods = setAside(r.Heapster)
	m.Export = !m.OfPods && !ofNode || r.Heapster == "cpu/limit" || r.Heapster == "memory/limit"
	switch {
	case r.Heapster == "cpu/usage":
		m.Units = "ns"
	case r.Unit == metric.Bytes:
		m.Units = "bytes"
	}
	return m
}

// ofRate is the metric of a counter's rate.
func ofRate(r *metric.Row) Metric {
	m := ofRow(r)
	m.Name, m.Kinds, m.Rate, m.Cumulative, m.Units = r.HeapsterRate, kindsOf(r.HeapsterRate), true, false, ""
	m.Help += ", per second"
	m.Scale, m.Export = cmp.Or(r.RateScale, 1), m.Labelled
	m.Whole = m.Name == "cpu/usage_rate"
	if m.Whole {
		m.Help = "CPU usage in millicores"
	}
	return m
}

// setAside says whether a metric is a request or a limit.
func setAside(name string) bool {
	group, what, _ := strings.Cut(name, "/")
	return what == "request" || what == "limit" && group != "filesystem"
}

// kindsOf says what had a metric in Heapster.
func kindsOf(name string) []Kind {
	group, _, _ := strings.Cut(name, "/")
	switch {
	case strings.Contains(name, "/node_"):
		return []Kind{Node}
	case name == "cpu/usage_rate", name == "memory/usage":
		return []Kind{PodContainer, SystemContainer, Pod, Node, Namespace, Cluster}
	case setAside(name):
		return []Kind{PodContainer, Pod, Node, Namespace, Cluster}
	case group == "network":
		return []Kind{Pod, Node}
	case group == "filesystem":
		return []Kind{PodContainer, Node}
	case name == "restart_count":
		return []Kind{PodContainer, Pod}
	}
	return []Kind{PodContainer, SystemContainer, Pod, Node}
}
