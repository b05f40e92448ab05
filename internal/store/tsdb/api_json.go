package tsdb

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"plimsoll.dev/plimsoll/internal/store"
)

// pieceBytes is from when on a long answer goes on in a further piece.
const pieceBytes = 256 << 10

// pieces are an answer's JSON. A long one is never copied to grow.
type pieces [][]byte

// cut returns where to go on after b: in b, or in a new piece.
func (p *pieces) cut(b []byte) []byte {
	if len(b) < pieceBytes {
		return b
	}
	*p = append(*p, b)
	return make([]byte, 0, pieceBytes+pieceBytes/8)
}

// size is how many bytes there are.
func (p pieces) size() (n int) {
	for _, b := range p {
		n += len(b)
	}
	return n
}

// resultOf is the data of a query's answer.
func resultOf(v parser.Value) (pieces, error) {
	var out pieces
	b := []byte(`{"resultType":"` + string(v.Type()) + `","result":`)
	switch v := v.(type) {
	case promql.Matrix:
		points := 0
		b = append(b, '[')
		for i := range v {
			if points += len(v[i].Floats); points > maxPoints {
				return nil, &queryError{fmt.Errorf("answer has more than %d points", maxPoints), store.ErrTooLarge}
			}
			b = out.cut(appendSeries(comma(b, i), &v[i]))
		}
		b = append(b, ']')
	case promql.Vector:
		b = append(b, '[')
		for i := range v {
			b = appendLabels(append(comma(b, i), `{"metric":`...), v[i].Metric)
			b = appendPoint(append(b, `,"value":`...), v[i].T, v[i].F)
			b = out.cut(append(b, '}'))
		}
		b = append(b, ']')
	case promql.Scalar:
		b = appendPoint(b, v.T, v.V)
	case promql.String:
		b = appendTime(append(b, '['), v.T)
		b = append(appendString(append(b, ','), v.V), ']')
	default:
		return nil, fmt.Errorf("answer of type %q", v.Type())
	}
	return append(out, append(b, '}')), nil
}

func appendSeries(b []byte, s *promql.Series) []byte {
	b = appendLabels(append(b, `{"metric":`...), s.Metric)
	b = append(b, `,"values":[`...)
	for i, p := range s.Floats {
		b = appendPoint(comma(b, i), p.T, p.F)
	}
	return append(b, "]}"...)
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

func appendLabels(b []byte, ls labels.Labels) []byte {
	b = append(b, '{')
	i := 0
	ls.Range(func(l labels.Label) {
		b = append(appendString(comma(b, i), l.Name), ':')
		b = appendString(b, l.Value)
		i++
	})
	return append(b, '}')
}

func appendPoint(b []byte, t int64, v float64) []byte {
	b = appendTime(append(b, '['), t)
	b = appendFloat(append(b, `,"`...), v)
	return append(b, `"]`...)
}

// appendTime appends milliseconds as seconds with up to three decimals.
func appendTime(b []byte, t int64) []byte {
	if t < 0 {
		b = append(b, '-')
		t = -t
	}
	b = strconv.AppendInt(b, t/1000, 10)
	if ms := t % 1000; ms != 0 {
		b = append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	}
	return b
}

// appendFloat appends a value as Prometheus writes it: without an exponent from 1e-6 up to 1e21.
func appendFloat(b []byte, v float64) []byte {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always has a JSON form
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		b = appendString(comma(b, i), s)
	}
	return append(b, ']')
}
