package remotewrite

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/klauspost/compress/snappy"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// StaleBits is the NaN by which a sender says that a series has ended.
const StaleBits = 0x7ff0000000000002

// Encode returns the batch as a remote write 2.0 request, compressed with snappy, with the labels that each entity is to have: those of
// package identity for the wire or for a history. Counters carry their group's start as the created timestamp. A gap whose reason is
// metric.GapGone becomes a stale marker of the CPU counter; the other gaps have no place in remote write and are not sent. Bytes of a label that
// are not UTF-8 become U+FFFD.
func Encode(b *metric.Batch, labels func(*metric.Entity) []metric.Label) ([]byte, error) {
	symbols := writev2.NewSymbolTable()
	req := &writev2.Request{}
	e := encoder{symbols: &symbols, req: req, labels: labels}
	for i := range b.Groups {
		if err := e.group(&b.Groups[i]); err != nil {
			return nil, err
		}
	}
	for i := range b.Gaps {
		if g := &b.Gaps[i]; g.Reason == metric.GapGone && g.Entity != nil {
			e.point(metric.Get(metric.CPUUsage), g.Entity.Level, labels(g.Entity),
				&metric.Point{ID: metric.CPUUsage, T: b.Time.UnixMilli(), V: math.Float64frombits(StaleBits)}, 0)
		}
	}
	req.Symbols = symbols.Symbols()
	plain, err := req.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("cannot encode the batch of node %q: %w", b.Node, err)
	}
	return snappy.Encode(nil, plain), nil
}

type encoder struct {
	symbols *writev2.SymbolsTable
	req     *writev2.Request
	labels  func(*metric.Entity) []metric.Label
}

func (e *encoder) group(g *metric.Group) error {
	if g.Entity == nil {
		return fmt.Errorf("cannot encode a group without an entity")
	}
	labels, start := e.labels(g.Entity), int64(0)
	if !g.Start.IsZero() {
		start = g.Start.UnixMilli()
	}
	for i := range g.Points {
		p := &g.Points[i]
		if int(p.ID) >= len(metric.Rows()) {
			return fmt.Errorf("cannot encode a point of %v: there is no row \"%d\"", g.Entity, p.ID)
		}
		e.point(metric.Get(p.ID), g.Entity.Level, labels, p, start)
	}
	return nil
}

// point adds one series. Its labels are the entity's, the row's fixed ones at its first level, and its own.
func (e *encoder) point(row *metric.Row, level metric.Level, labels []metric.Label, p *metric.Point, start int64) {
	refs := make([]uint32, 0, 2*(len(labels)+2+len(row.Fixed)))
	add := func(name, value string) {
		if !utf8.ValidString(value) { // which the wire does not carry; two that differ stay two
			value = identity.Clean(value)
		}
		refs = append(refs, e.symbols.Symbolize(name), e.symbols.Symbolize(value))
	}
	extra := make([]metric.Label, 0, len(row.Fixed)+1)
	if len(row.Levels) > 0 && level == row.Levels[0] {
		extra = append(extra, row.Fixed...)
	}
	if row.Sub != "" && p.Sub != "" {
		extra = append(extra, metric.Label{Name: row.Sub, Value: p.Sub})
	}
	add("__name__", row.At(level))
	for len(labels) > 0 || len(extra) > 0 { // both are sorted
		if len(extra) == 0 || len(labels) > 0 && labels[0].Name < extra[0].Name {
			add(labels[0].Name, labels[0].Value)
			labels = labels[1:]
			continue
		}
		add(extra[0].Name, extra[0].Value)
		extra = extra[1:]
	}
	ts := &writev2.TimeSeries{LabelsRefs: refs, Samples: []*writev2.Sample{{Value: p.V, Timestamp: p.T}}}
	if row.Kind == metric.Counter {
		ts.CreatedTimestamp = start
	}
	e.req.Timeseries = append(e.req.Timeseries, ts)
}
