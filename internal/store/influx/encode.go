package influx

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
	"plimsoll.dev/plimsoll/internal/store"
)

// ahead is how far a sample's time may be in the future: one from next year would make shards that stay.
const ahead = 10 * time.Minute

// EncoderOptions say how batches become lines.
type EncoderOptions struct {
	// Cluster is the value of the tag cluster; left out if empty.
	Cluster string
	// Schema is v1 if empty; see the constants.
	Schema Schema
	// SeriesPerNamespace is the most series (entities) that a namespace may have within a day; 10,000 by default.
	SeriesPerNamespace int
}

// Schema is a way to name measurements, tags and fields.
type Schema string

// The schemas.
const (
	SchemaV1 Schema = "v1"
	// SchemaHeapster writes what Heapster's InfluxDB sink wrote: a measurement for each metric, with the field "value".
	SchemaHeapster Schema = "heapster"
	// SchemaHeapsterFields is Heapster's other naming (withfields=true): the measurement is what stands before the metric's slash,
	// the field what stands after it.
	SchemaHeapsterFields Schema = "heapster-fields"
)

// Validate says what in the options cannot be.
func (o *EncoderOptions) Validate() error {
	switch o.Schema {
	case "", SchemaV1, SchemaHeapster, SchemaHeapsterFields:
	default:
		return fmt.Errorf("schema %q: want %q, %q or %q", o.Schema, SchemaV1, SchemaHeapster, SchemaHeapsterFields)
	}
	if o.SeriesPerNamespace < 0 {
		return fmt.Errorf("series budget \"%d\" is negative", o.SeriesPerNamespace)
	}
	return nil
}

// Encoder turns batches into line protocol. It remembers the last sample of each counter to write its rate. It has one
// user at a time.
type Encoder struct {
	opts    EncoderOptions
	entries entries
	budgets budgets
	rows    []row
	// One line's values, by row.
	values []value
	order  []metric.ID
	sorted []metric.Point
	line   uint32
	sum    Encoded
	now    int64
	heap   heapster
	sums   bool // the batch being encoded is of sums, not of a machine
}

// value is a row's in the line being made.
type value struct {
	on, rated bool
	v, rate   float64
}

// row is what the encoder needs to know of the catalogue.
type row struct {
	field, rate   []byte // with the equals sign
	kept, counter bool   // whether the last sample is remembered; whether it has a rate
	largest       bool   // over Sub, instead of the sum
	levels        [8]bool
}

// Encoded counts what became of a batch.
type Encoded struct {
	Lines, Points int
	Dropped       [numDrops]int // points, by Drop
	Cut           int           // tag values that were cut, in lines written
}

// Drop is a reason for which a point is left out.
type Drop uint8

// The reasons.
const (
	DropNotFinite    Drop = iota // NaN or infinite
	DropTime                     // before 1970, or more than ten minutes in the future
	DropUnknown                  // not in the catalogue at that level, or no entity
	DropSeriesBudget             // the namespace has too many series
	numDrops
)

var dropNames = [numDrops]string{"not_finite", "time", "unknown", "series_budget"}

func (d Drop) String() string { return dropNames[d] }

// NewEncoder returns an encoder that has seen nothing yet.
func NewEncoder(o EncoderOptions) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("cannot encode for InfluxDB: %w", err)
	}
	if o.SeriesPerNamespace == 0 {
		o.SeriesPerNamespace = 10_000
	}
	n := len(metric.Rows())
	e := &Encoder{opts: o, rows: make([]row, n), values: make([]value, n),
		entries: entries{byPtr: map[*metric.Entity]*entry{}},
		budgets: budgets{max: o.SeriesPerNamespace, byNs: map[string]*budget{}}}
	for i := range e.rows {
		r := metric.Get(metric.ID(i))
		e.rows[i] = row{field: []byte(r.Field + "="), rate: []byte(r.Rate + "="), counter: r.Kind == metric.Counter && r.Rate != "",
			kept: r.Kind == metric.Counter && r.Rate != "" || r.Sub != "", largest: r.Sub != "" && r.Join == metric.Largest}
		for _, l := range r.Levels {
			e.rows[i].levels[l] = true
		}
	}
	if o.Schema == SchemaHeapster || o.Schema == SchemaHeapsterFields {
		e.heap = newHeapster(o)
	}
	return e, nil
}

// Encode appends a batch's lines to dst, each ending in a line break, and says what became of its points. now is the time of
// the host's clock, against which samples from the future are seen.
func (e *Encoder) Encode(dst []byte, b *metric.Batch, now time.Time) ([]byte, Encoded) {
	e.sum, e.now, e.sums = Encoded{}, now.UnixMilli(), b.Node == ""
	e.entries.tidy(e.now)
	e.budgets.tidy(e.now)
	for i := range b.Groups {
		dst = e.group(dst, &b.Groups[i])
	}
	return dst, e.sum
}

// Refusals returns the namespaces whose budget of series is used up at present, the one that lost most first.
func (e *Encoder) Refusals() []Refusal { return e.budgets.refusals() }

func (e *Encoder) group(dst []byte, g *metric.Group) []byte {
	if g.Entity == nil || len(Tags(g.Entity.Level.String())) == 0 {
		e.sum.Dropped[DropUnknown] += len(g.Points)
		return dst
	}
	if len(g.Points) == 0 {
		return dst
	}
	if e.heap.on && !e.heap.written(g.Entity, e.sums) {
		return dst
	}
	s := e.entry(g.Entity)
	s.seen = e.now
	if !e.budgets.admit(g.Entity.Namespace, s.hash, e.now) {
		e.sum.Dropped[DropSeriesBudget] += len(g.Points)
		return dst
	}
	// A new beginning under the same name: nothing is compared with what was before.
	if identity.Follows(s.start, g.Start) != 0 {
		s.prev = s.prev[:0]
	}
	if !g.Start.IsZero() {
		s.start = g.Start
	}
	points := g.Points
	if !oneMoment(points) {
		e.sorted = append(e.sorted[:0], points...)
		slices.SortStableFunc(e.sorted, func(a, b metric.Point) int {
			if a.T < b.T {
				return -1
			} else if a.T > b.T {
				return 1
			}
			return 0
		})
		points = e.sorted
	}
	for len(points) > 0 {
		n := 1
		for n < len(points) && points[n].T == points[0].T {
			n++
		}
		dst = e.moment(dst, g.Entity, s, points[:n])
		points = points[n:]
	}
	return dst
}

func oneMoment(ps []metric.Point) bool {
	for i := range ps {
		if ps[i].T != ps[0].T {
			return false
		}
	}
	return true
}

// entry returns what is remembered of an entity.
func (e *Encoder) entry(p *metric.Entity) *entry {
	if s := e.entries.byPtr[p]; s != nil {
		return s
	}
	s := &entry{}
	s.key, s.cut = e.key(p)
	s.hash = hash(string(s.key))
	if thing, ok := model.ThingOf(p); ok && e.heap.on {
		s.heap = e.heap.tags(thing)
		s.hash = hash(string(s.heap))
	}
	e.entries.byPtr[p] = s
	return s
}

// key makes a series' key: measurement and tags.
func (e *Encoder) key(p *metric.Entity) (key []byte, cuts int) {
	m := p.Level.String()
	key = append(key, m...)
	for _, name := range Tags(m) {
		v := e.opts.Cluster
		if name != TagCluster {
			v = identity.Value(p, name)
		}
		if v == "" {
			continue
		}
		if len(v) > MaxTag {
			cuts++
		}
		key = append(key, ',')
		key = append(key, name...)
		key = append(key, '=')
		key = appendTag(key, TagValue(v))
	}
	return key, cuts
}

// moment appends the line of an entity's points of one time.
func (e *Encoder) moment(dst []byte, p *metric.Entity, s *entry, points []metric.Point) []byte {
	t := points[0].T
	if t <= 0 || t > e.now+ahead.Milliseconds() {
		e.sum.Dropped[DropTime] += len(points)
		return dst
	}
	e.line++
	e.order = e.order[:0]
	for i := range points {
		x := &points[i]
		if x.V-x.V != 0 { // NaN and the infinities
			e.sum.Dropped[DropNotFinite]++
			continue
		}
		if int(x.ID) >= len(e.rows) || !e.rows[x.ID].levels[p.Level&7] {
			e.sum.Dropped[DropUnknown]++
			continue
		}
		if !e.point(s, x) {
			e.sum.Dropped[DropUnknown]++
			continue
		}
		e.sum.Points++
	}
	if len(e.order) == 0 {
		return dst
	}
	if e.heap.on {
		dst = e.heapsterLines(dst, p, s, points)
	} else {
		dst = e.write(dst, s, t)
	}
	for _, id := range e.order {
		e.values[id] = value{}
	}
	return dst
}

// point adds a point to the line being made.
func (e *Encoder) point(s *entry, x *metric.Point) bool {
	r, v := &e.rows[x.ID], &e.values[x.ID]
	if !r.kept {
		e.mark(x.ID)
		v.v = x.V
		return true
	}
	last := s.find(x.ID, x.Sub, x.T)
	if last == nil {
		return false
	}
	e.mark(x.ID)
	again := last.line == e.line // the same series twice in a line: the later one holds
	if r.largest {
		v.v = max(v.v, x.V)
	} else {
		v.v += x.V
		if again {
			v.v -= last.v
			last.v = x.V
			return true
		}
	}
	rate := math.NaN()
	if r.counter && last.line != 0 && x.T > last.t && x.T-last.t <= store.MaxInterval.Milliseconds() && x.V >= last.v {
		rate = (x.V - last.v) * 1000 / float64(x.T-last.t)
		v.rate += rate
		v.rated = true
	}
	if x.T >= last.t {
		*last = prev{id: x.ID, sub: x.Sub, t: x.T, v: x.V, line: e.line, rate: rate}
	}
	return true
}

func (e *Encoder) mark(id metric.ID) {
	if v := &e.values[id]; !v.on {
		v.on = true
		e.order = append(e.order, id)
	}
}

// write appends the line of schema v1.
func (e *Encoder) write(dst []byte, s *entry, t int64) []byte {
	dst = append(dst, s.key...)
	sep := byte(' ')
	for _, id := range e.order {
		r, v := &e.rows[id], &e.values[id]
		if finite(v.v) {
			dst = append(append(dst, sep), r.field...)
			dst = appendFloat(dst, v.v)
			sep = ','
		}
		if v.rated && finite(v.rate) {
			dst = append(append(dst, sep), r.rate...)
			dst = appendFloat(dst, v.rate)
			sep = ','
		}
	}
	if sep == ' ' { // sums of finite values that are not finite
		e.sum.Dropped[DropNotFinite] += len(e.order)
		return dst[:len(dst)-len(s.key)]
	}
	dst = strconv.AppendInt(append(dst, ' '), t, 10)
	e.sum.Lines++
	e.sum.Cut += s.cut
	return append(dst, '\n')
}

func finite(v float64) bool { return v-v == 0 }

// appendFloat appends a number so that it is read as a float. Whole numbers, which most are, are written faster.
func appendFloat(dst []byte, v float64) []byte {
	if v == math.Trunc(v) && v > -1e15 && v < 1e15 {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}
