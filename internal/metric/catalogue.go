package metric

import (
	"fmt"
	"slices"
	"sync"
)

// Kind says how a value is to be read.
type Kind uint8

const (
	Gauge   Kind = iota // stands for itself
	Counter             // only grows; its rate is what matters
)

// String returns the kind's name in the Prometheus exposition.
func (k Kind) String() string { return [...]string{"gauge", "counter"}[k] }

// Unit is a base unit.
type Unit string

// Base units only: a percentage is a ratio, a millicore is 0.001 cores.
const (
	Seconds Unit = "seconds"
	Bytes   Unit = "bytes"
	Cores   Unit = "cores"
	Ratio   Unit = "ratio"
	Count   Unit = "count"
	Time    Unit = "timestamp_seconds" // Unix time
)

// Join says how the values of an entity's members, or of a row's own label, make that of the whole. Counters join like their rates.
type Join uint8

// The ways to join.
const (
	Sum      Join = iota
	Largest       // a share of time in which some task waits: members wait at the same time
	Smallest      // a start: the whole began with its first member
)

// String is the word for it in queries.
func (j Join) String() string { return [...]string{"sum", "max", "min"}[j] }

// Of joins two values.
func (j Join) Of(a, b float64) float64 {
	switch j {
	case Largest:
		return max(a, b)
	case Smallest:
		return min(a, b)
	}
	return a + b
}

// ID is a row's index in the catalogue. It holds within one process only and never travels.
type ID uint16

// Row describes one metric, wherever it appears.
type Row struct {
	ID     ID
	Name   string  // the name at its first level, as cAdvisor or kube-state-metrics has it
	Fixed  []Label // labels that are part of the identity at the first level: failure_type="pgfault"
	Sub    string  // the name of the row's own label (interface, device), or ""
	Kind   Kind
	Unit   Unit
	Join   Join
	Help   string
	Levels []Level // where it exists; the first is where Name applies
	Past   bool    // only the history has it: it is counted there, or decided, and no sender measures it

	// Field is the InfluxDB field; the measurement is the level's name. At other levels than the first
	// the metric is called <level>_<field>.
	Field string
	// Rate is the field of the rate that is written beside a counter ("cpu_usage_cores"), or "".
	Rate string
	// Heapster is the metric's name in Heapster, HeapsterRate that of its rate; "" where it had none.
	Heapster, HeapsterRate string
	// Scale turns the base unit into Heapster's (1e9 for nanoseconds); RateScale does for the rate.
	// Zero means 1.
	Scale, RateScale float64
}

// At returns the metric's name at a level.
func (r *Row) At(l Level) string {
	if len(r.Levels) > 0 && l == r.Levels[0] {
		return r.Name
	}
	return l.String() + "_" + r.Field
}

// Has says whether the row exists at the level.
func (r *Row) Has(l Level) bool { return slices.Contains(r.Levels, l) }

// Can says whether a row can have a value at all: finite, not below zero where it is an amount, and no more than anything that is
// measured could hold.
func (id ID) Can(v float64) bool { return v >= ranges[id].least && v <= ranges[id].most }

// ranges are the least and the greatest value of each row.
var ranges = func() (out [numRows]struct{ least, most float64 }) {
	for i := range rows {
		out[i].least, out[i].most = rows[i].bounds()
	}
	return out
}()

func (r *Row) bounds() (least, most float64) {
	const word = 1 << 64 // what a counter of the kernel, or of a network's disk that says it has no end, can hold
	switch {
	case r.Unit == Bytes && r.Kind == Gauge && r.Sub == "":
		return 0, 1 << 60 // memory; no machine can address as much
	case r.Unit == Cores:
		return 0, 1e9
	case r.Unit == Seconds:
		return 0, 1e15 // a million CPUs for thirty years
	case r.Unit == Time:
		return -62135596800, 253402300800 // the years 1, which stands for a time that is not known, to 9999
	case r.Unit == Ratio:
		return -word, word // of amounts that a person's own metric may have
	}
	return 0, word
}

// Standing says whether a container has a row whether it runs or not: how often it was started again and killed for want of memory, and what it asks for and may use.
func (id ID) Standing() bool { return standing.Has(id) }

var standing = func() (s Set) {
	for _, id := range [...]ID{Restarts, OOMKills, CPURequest, MemoryRequest, CPULimit, MemoryLimit} {
		s.Add(id)
	}
	return s
}()

// OfAllLives says whether a row goes on counting when a container is started again.
func (id ID) OfAllLives() bool { return id == Restarts || id == OOMKills }

// Set is a set of rows.
type Set [(numRows + 63) / 64]uint64

// Add puts a row into the set.
func (s *Set) Add(id ID) { s[id/64] |= 1 << (id % 64) }

// AddAll puts another set's rows into the set.
func (s *Set) AddAll(more *Set) {
	for i := range s {
		s[i] |= more[i]
	}
}

// Less returns the rows of the set that are not in another.
func (s Set) Less(but *Set) Set {
	for i := range s {
		s[i] &^= but[i]
	}
	return s
}

// And returns the rows that both sets have.
func (s Set) And(with *Set) Set {
	for i := range s {
		s[i] &= with[i]
	}
	return s
}

// Has says whether a row is in the set.
func (s *Set) Has(id ID) bool { return id < numRows && s[id/64]&(1<<(id%64)) != 0 }

// At returns the rows that exist at a level.
func At(l Level) (s Set) {
	for i := range rows {
		if rows[i].Has(l) {
			s.Add(ID(i))
		}
	}
	return s
}

// Rows returns the catalogue, in order of ID. The caller must not change it.
func Rows() []Row { return rows[:] }

// Get returns the row of an ID.
func Get(id ID) *Row { return &rows[id] }

// place is where a metric name occurs.
type place struct {
	id    ID
	level Level
}

// byName finds a name's places: one, except for rows that share a name and are told apart by fixed labels. It is
// made at the first look-up and does not change.
var byName = sync.OnceValue(func() map[string][]place {
	m := make(map[string][]place, 3*len(rows))
	for i := range rows {
		r := &rows[i]
		for _, l := range r.Levels {
			m[r.At(l)] = append(m[r.At(l)], place{ID(i), l})
		}
	}
	return m
})

// Lookup finds the row and the level of a metric name, with the fixed labels that tell rows of one name apart.
// label gives the value of a label, "" if there is none; it may be nil.
func Lookup(name string, label func(string) string) (*Row, Level, error) {
	places := byName()[name]
	for _, p := range places {
		r := &rows[p.id]
		if p.level != r.Levels[0] || r.matches(label) {
			return r, p.level, nil
		}
	}
	if len(places) > 0 {
		return nil, 0, fmt.Errorf("metric %q is in the catalogue, but not with these labels", name)
	}
	return nil, 0, fmt.Errorf("metric %q is not in the catalogue", name)
}

// Parts are the labels that tell apart the rows of one name, with the values that there are, such as failure_type and scope; nil where the name alone tells.
func Parts(name string) []Label {
	var out []Label
	for _, p := range byName()[name] {
		if r := &rows[p.id]; p.level == r.Levels[0] {
			for _, f := range r.Fixed {
				if !slices.Contains(out, f) {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

func (r *Row) matches(label func(string) string) bool {
	for _, f := range r.Fixed {
		if label == nil || label(f.Name) != f.Value {
			return false
		}
	}
	return true
}

// OfResource returns the row of what pods use of one of Kubernetes' resources: cpu or memory.
func OfResource(name string) (ID, bool) {
	switch name {
	case "cpu":
		return CPUUsage, true
	case "memory":
		return MemoryWorkingSet, true
	}
	return 0, false
}
