package remotewrite

import (
	"errors"
	"fmt"
	"math"

	"github.com/klauspost/compress/snappy"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxPlain is the most bytes of a decompressed request that is read back.
const maxPlain = 64 << 20

// ErrBroken is a request that cannot be read back.
var ErrBroken = errors.New("broken remote write request")

// Request is an encoded batch that was read back, to be split or written in another version.
type Request struct {
	symbols []string
	series  []*writev2.TimeSeries
}

// Decode reads what Encode wrote.
func Decode(encoded []byte) (*Request, error) {
	n, err := snappy.DecodedLen(encoded)
	if err != nil || n > maxPlain {
		return nil, fmt.Errorf("%w: %d bytes are not snappy or too long", ErrBroken, len(encoded))
	}
	plain, err := snappy.Decode(nil, encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	var r writev2.Request
	if err := r.UnmarshalVT(plain); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	for _, s := range r.Timeseries {
		if len(s.LabelsRefs)%2 != 0 {
			return nil, fmt.Errorf("%w: a series has half a label", ErrBroken)
		}
		for _, ref := range s.LabelsRefs {
			if int(ref) >= len(r.Symbols) {
				return nil, fmt.Errorf("%w: symbol %d of %d", ErrBroken, ref, len(r.Symbols))
			}
		}
	}
	return &Request{r.Symbols, r.Timeseries}, nil
}

// Series is the number of series.
func (r *Request) Series() int { return len(r.series) }

// Samples is the number of samples.
func (r *Request) Samples() int {
	n := 0
	for _, s := range r.series {
		n += len(s.Samples)
	}
	return n
}

// Halves splits a request of at least two series.
func (r *Request) Halves() (a, b *Request) {
	n := len(r.series) / 2
	return &Request{r.symbols, r.series[:n]}, &Request{r.symbols, r.series[n:]}
}

// Encode writes the request in a version, compressed.
func (r *Request) Encode(v Version) ([]byte, error) {
	if v == V1 {
		return snappy.Encode(nil, r.v1()), nil
	}
	table := writev2.NewSymbolTable()
	out := &writev2.Request{Timeseries: make([]*writev2.TimeSeries, len(r.series))}
	for i, s := range r.series {
		refs := make([]uint32, len(s.LabelsRefs))
		for j, ref := range s.LabelsRefs {
			refs[j] = table.Symbolize(r.symbols[ref])
		}
		out.Timeseries[i] = &writev2.TimeSeries{LabelsRefs: refs, Samples: s.Samples, CreatedTimestamp: s.CreatedTimestamp}
	}
	out.Symbols = table.Symbols()
	plain, err := out.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("cannot encode a remote write request: %w", err)
	}
	return snappy.Encode(nil, plain), nil
}

// v1 writes a prometheus.WriteRequest: timeseries = 1 {labels = 1 {name = 1, value = 2}, samples = 2 {value = 1, timestamp = 2}}.
func (r *Request) v1() []byte {
	var out, series, inner []byte
	for _, s := range r.series {
		series = series[:0]
		for i := 0; i+1 < len(s.LabelsRefs); i += 2 {
			inner = inner[:0]
			for n, ref := range s.LabelsRefs[i : i+2] {
				inner = protowire.AppendTag(inner, protowire.Number(n+1), protowire.BytesType)
				inner = protowire.AppendString(inner, r.symbols[ref])
			}
			series = protowire.AppendTag(series, 1, protowire.BytesType)
			series = protowire.AppendBytes(series, inner)
		}
		for _, x := range s.Samples {
			inner = protowire.AppendTag(inner[:0], 1, protowire.Fixed64Type)
			inner = protowire.AppendFixed64(inner, math.Float64bits(x.Value))
			inner = protowire.AppendTag(inner, 2, protowire.VarintType)
			inner = protowire.AppendVarint(inner, uint64(x.Timestamp))
			series = protowire.AppendTag(series, 2, protowire.BytesType)
			series = protowire.AppendBytes(series, inner)
		}
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendBytes(out, series)
	}
	return out
}
