package ingest

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The decoder walks the protobuf bytes and hands out one series at a time, as views into them. The generated types
// would cost five allocations for each series, of which a live lane has hundreds of thousands a second.

// span is a piece of the message. Unlike a slice it has no pointer, so that thousands of them do not occupy the
// garbage collector.
type span struct{ from, n uint32 }

// spanOf returns where in the message v lies. v was cut from it, so that both end with the same array.
func spanOf(message, v []byte) span {
	return span{uint32(cap(message) - cap(v)), uint32(len(v))}
}

// series is one decoded series; its slices are valid until the next one.
type series struct {
	message    []byte
	labels     []span // name, value, name, value, ...
	samples    []sample
	start      int64 // when the counter began, Unix milliseconds; 0: not said
	histograms int
	exemplars  int
	labelled   int  // labels that there would be, of which not all are kept
	left       *int // samples and series that the request may still have
}

type sample struct {
	t int64
	v float64
}

// maxLabels is the most labels of a series.
const maxLabels = 128

// maxSymbols is how many different names and values a request may have beyond those of its series.
const maxSymbols = 100_000

var (
	errTooMany   = errors.New("more samples and series than a request may have")
	errTruncated = errors.New("the message ends in the middle of a field")
	errWireType  = errors.New("a field has the wrong wire type")
)

// fields calls f for each field of a message; v is the field's bytes for length-delimited fields, n its value for
// varints and fixed ones.
func fields(data []byte, f func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errTruncated
		}
		data = data[n:]
		var v []byte
		var x uint64
		switch typ {
		case protowire.VarintType:
			x, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			x, n = protowire.ConsumeFixed64(data)
		case protowire.Fixed32Type:
			var y uint32
			y, n = protowire.ConsumeFixed32(data)
			x = uint64(y)
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(data)
		default:
			return errWireType
		}
		if n < 0 {
			return errTruncated
		}
		data = data[n:]
		if err := f(num, typ, v, x); err != nil {
			return err
		}
	}
	return nil
}

// decodeV2 reads an io.prometheus.write.v2.Request.
func decodeV2(data []byte, most int, each func(*series) error) error {
	var symbols []span
	err := fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		if num == 4 {
			if typ != protowire.BytesType {
				return fmt.Errorf("symbols: %w", errWireType)
			}
			if symbols = append(symbols, spanOf(data, v)); len(symbols) > maxSymbols+most {
				return errTooMany
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s := series{message: data, left: &most}
	if len(symbols) > 0 && symbols[0].n != 0 {
		return fmt.Errorf("the first symbol is %.64q, it must be empty", s.text(symbols[0]))
	}
	return s.all(5, func(v []byte) error { return s.decodeV2(v, symbols) }, each)
}

// all decodes the series of the message, which are the fields of a number, one after the other.
func (s *series) all(field protowire.Number, decode func(v []byte) error, each func(*series) error) error {
	return fields(s.message, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		if num != field {
			return nil
		}
		if typ != protowire.BytesType {
			return fmt.Errorf("timeseries: %w", errWireType)
		}
		*s = series{message: s.message, labels: s.labels[:0], samples: s.samples[:0], left: s.left}
		if err := s.spend(); err != nil {
			return err
		}
		if err := decode(v); err != nil {
			return err
		}
		return each(s)
	})
}

// spend takes one of the samples and series that the request may have.
func (s *series) spend() error {
	if *s.left--; *s.left < 0 {
		return errTooMany
	}
	return nil
}

func (s *series) text(l span) []byte { return s.message[l.from : l.from+l.n] }

func (s *series) decodeV2(data []byte, symbols []span) error {
	err := fields(data, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch num {
		case 1:
			return s.refs(typ, v, n, symbols)
		case 2:
			return s.sample(typ, v)
		case 3:
			s.histograms++
		case 4:
			s.exemplars++
		case 6:
			if typ == protowire.VarintType {
				s.start = int64(n)
			}
		}
		return nil
	})
	if err == nil && s.labelled%2 != 0 {
		return errors.New("a series has an odd number of label references")
	}
	return err
}

// refs reads label references, packed or one by one.
func (s *series) refs(typ protowire.Type, v []byte, n uint64, symbols []span) error {
	if typ == protowire.VarintType {
		return s.ref(n, symbols)
	}
	if typ != protowire.BytesType {
		return fmt.Errorf("labels: %w", errWireType)
	}
	for len(v) > 0 {
		if v[0] < 0x80 { // most tables are small
			n, v = uint64(v[0]), v[1:]
		} else {
			ref, size := protowire.ConsumeVarint(v)
			if size < 0 {
				return errTruncated
			}
			n, v = ref, v[size:]
		}
		if err := s.ref(n, symbols); err != nil {
			return err
		}
	}
	return nil
}

func (s *series) ref(n uint64, symbols []span) error {
	if n >= uint64(len(symbols)) {
		return fmt.Errorf("a label refers to symbol %d of %d", n, len(symbols))
	}
	if s.labelled++; s.labelled <= 2*maxLabels { // more is not a series that anyone made on purpose: see lookup
		s.labels = append(s.labels, symbols[n])
	}
	return nil
}

// sample reads a Sample, which is the same in both versions but for the start time that newer senders put into it.
func (s *series) sample(typ protowire.Type, data []byte) error {
	if typ != protowire.BytesType {
		return fmt.Errorf("samples: %w", errWireType)
	}
	if err := s.spend(); err != nil {
		return err
	}
	var x sample
	err := fields(data, func(num protowire.Number, typ protowire.Type, _ []byte, n uint64) error {
		switch {
		case num == 1 && typ == protowire.Fixed64Type:
			x.v = math.Float64frombits(n)
		case num == 2 && typ == protowire.VarintType:
			x.t = int64(n)
		case num == 3 && typ == protowire.VarintType:
			s.start = int64(n)
		case num <= 3:
			return fmt.Errorf("sample: %w", errWireType)
		}
		return nil
	})
	s.samples = append(s.samples, x)
	return err
}

// decodeV1 reads a prometheus.WriteRequest.
func decodeV1(data []byte, most int, each func(*series) error) error {
	s := series{message: data, left: &most}
	return s.all(1, s.decodeV1, each)
}

func (s *series) decodeV1(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch num {
		case 1:
			return s.label(typ, v)
		case 2:
			return s.sample(typ, v)
		case 3:
			s.exemplars++
		case 4:
			s.histograms++
		}
		return nil
	})
}

func (s *series) label(typ protowire.Type, data []byte) error {
	if typ != protowire.BytesType {
		return fmt.Errorf("labels: %w", errWireType)
	}
	var name, value span
	err := fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch {
		case num > 2:
			return nil
		case typ != protowire.BytesType:
			return fmt.Errorf("label: %w", errWireType)
		case num == 1:
			name = spanOf(s.message, v)
		default:
			value = spanOf(s.message, v)
		}
		return nil
	})
	if s.labelled += 2; s.labelled <= 2*maxLabels {
		s.labels = append(s.labels, name, value)
	}
	return err
}
