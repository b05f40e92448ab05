package tsdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/prometheus/prometheus/util/compression"
)

// The format of a log segment (tsdb/docs/format/wal.md of Prometheus): pages of 32 KiB; in a page fragments of
// records, each with a byte of type and compression, a big-endian length of two bytes and a CRC-32C; a type of
// zero says that the rest of the page is zero. A record is one "full" fragment, or a "first", "middle"s and a "last".
const (
	pageSize   = 32 << 10
	headerSize = 7

	fragZero   = 0
	fragFull   = 1
	fragFirst  = 2
	fragMiddle = 3
	fragLast   = 4

	fragType   = 7
	fragSnappy = 1 << 3
	fragZstd   = 1 << 4
)

// scan is what a segment holds.
type scan struct {
	damage error // the first damage, nil if there is none
	end    int64 // where the last good record before the damage ends
	after  int   // good records behind the damage
}

// scanner walks through a segment.
type scanner struct {
	scan
	table  *crc32.Table
	each   func(rec []byte)
	buf    compression.DecodeBuffer
	rec    []byte // the fragments of the record that is being read
	inside bool   // a record is being read
	lost   bool   // fragments belong to a record whose beginning is lost
}

// scanSegment reads a segment and gives every good record to each (which may be nil; the record is valid during
// the call). Behind a damage it goes on with the next page: lengths in a damaged page cannot be trusted.
func scanSegment(data []byte, each func(rec []byte)) scan {
	s := scanner{table: crc32.MakeTable(crc32.Castagnoli), each: each, buf: compression.NewSyncDecodeBuffer()}
	for start := 0; start < len(data); start += pageSize {
		page := data[start:min(start+pageSize, len(data))]
		if at, err := s.page(page, int64(start)); err != nil {
			s.hurt(int64(start+at), err)
		}
	}
	if s.inside {
		s.hurt(int64(len(data)), errors.New("the last record is torn"))
	}
	return s.scan
}

// hurt notes damage and forgets the record that it is in.
func (s *scanner) hurt(at int64, err error) {
	if s.damage == nil {
		s.damage = fmt.Errorf("offset %d: %w", at, err)
	}
	s.rec, s.inside, s.lost = s.rec[:0], false, true
}

// page reads the fragments of one page. The error is damage at the offset within the page.
func (s *scanner) page(page []byte, start int64) (int, error) {
	for at := 0; at < len(page); {
		typ := page[at] & fragType
		if typ == fragZero {
			for _, c := range page[at:] {
				if c != 0 {
					return at, errors.New("padding is not zero")
				}
			}
			return 0, nil
		}
		if at+headerSize > len(page) {
			return at, errors.New("a record's header is torn")
		}
		length := int(binary.BigEndian.Uint16(page[at+1:]))
		if at+headerSize+length > len(page) {
			return at, fmt.Errorf("a record of %d bytes is torn", length)
		}
		body := page[at+headerSize : at+headerSize+length]
		if crc32.Checksum(body, s.table) != binary.BigEndian.Uint32(page[at+3:]) {
			return at, errors.New("wrong checksum")
		}
		end := start + int64(at+headerSize+length)
		if err := s.fragment(page[at], body, end); err != nil {
			s.hurt(start+int64(at), err)
		}
		at += headerSize + length
	}
	return 0, nil
}

// fragment reads one fragment whose checksum is right.
func (s *scanner) fragment(header byte, body []byte, end int64) error {
	switch header & fragType {
	case fragFull, fragFirst:
		if s.inside {
			s.hurt(end, errors.New("a record ends without its last part"))
		}
		s.rec, s.inside, s.lost = append(s.rec[:0], body...), true, false
	case fragMiddle, fragLast:
		if !s.inside {
			if s.lost {
				return nil // counted with the damage that took its beginning
			}
			return errors.New("a record begins in its middle")
		}
		s.rec = append(s.rec, body...)
	default:
		return fmt.Errorf("unknown type %d", header&fragType)
	}
	if t := header & fragType; t == fragFirst || t == fragMiddle {
		return nil
	}
	s.inside = false
	return s.record(header, end)
}

// record reads a whole record.
func (s *scanner) record(header byte, end int64) error {
	if s.each != nil {
		typ := compression.None
		if header&fragSnappy != 0 {
			typ = compression.Snappy
		} else if header&fragZstd != 0 {
			typ = compression.Zstd
		}
		rec, err := compression.Decode(typ, s.rec, s.buf)
		if err != nil {
			return err
		}
		s.each(rec)
	}
	if s.damage == nil {
		s.end = end
	} else {
		s.after++
	}
	return nil
}
