package main

import (
	"math"
	"net/http"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// one is a sample and its series.
type one struct {
	labels []string // names and values in turn, by name
	value  float64
	ms     int64
	more   int // so many more samples, a millisecond apart
}

// message writes samples as remote write 1.0.
func message(all []one) []byte {
	var req []byte
	for _, x := range all {
		var series []byte
		for i := 0; i < len(x.labels); i += 2 {
			var l []byte
			l = protowire.AppendString(protowire.AppendTag(l, 1, protowire.BytesType), x.labels[i])
			l = protowire.AppendString(protowire.AppendTag(l, 2, protowire.BytesType), x.labels[i+1])
			series = protowire.AppendBytes(protowire.AppendTag(series, 1, protowire.BytesType), l)
		}
		for i := range 1 + x.more {
			var s []byte
			s = protowire.AppendFixed64(protowire.AppendTag(s, 1, protowire.Fixed64Type), math.Float64bits(x.value))
			s = protowire.AppendVarint(protowire.AppendTag(s, 2, protowire.VarintType), uint64(x.ms+int64(i)))
			series = protowire.AppendBytes(protowire.AppendTag(series, 2, protowire.BytesType), s)
		}
		req = protowire.AppendBytes(protowire.AppendTag(req, 1, protowire.BytesType), series)
	}
	return req
}

func encode(all []one) []byte { return snappy.Encode(nil, message(all)) }

func setWrite(r *http.Request, source string, live bool) {
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "snappy")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	r.Header.Set("Plimsoll-Source", source)
	if live {
		r.Header.Set("Plimsoll-Lane", "live")
	}
}
