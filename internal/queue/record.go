package queue

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// The layout of a record, little endian:
//
//	 0 mark u32    4 crc u32 (of everything from 8 on)
//	 8 stored u32 (length of the payload on disk)   12 raw u32 (its length when unpacked)
//	16 seq u64    24 time i64 (the queue's clock, ms)
//	32 points u32    36 kind u8    37 codec u8    38 zero u16
//	40 payload
const (
	recordMark   = 0x72514c50 // "PLQr"
	recordHeader = 40
	maxPayload   = 4 << 20 // of any record, raw or stored
)

// Codecs of a payload. A footer is a record with a codec for it.
const (
	codecRaw    = 0
	codecZstd   = 1
	codecFooter = 255
)

// What is wrong with the bytes where a record should be.
var (
	errShort   = errors.New("record is cut short")
	errDamaged = errors.New("record is damaged")
)

// header is a record's header but for the mark and the checksum.
type header struct {
	stored, raw uint32
	seq         uint64
	time        int64
	points      uint32
	kind, codec uint8
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// stamp writes the header into the first recordHeader bytes of b, behind which the payload is, with the checksum.
func stamp(b []byte, h header) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], recordMark)
	le.PutUint32(b[8:], h.stored)
	le.PutUint32(b[12:], h.raw)
	le.PutUint64(b[16:], h.seq)
	le.PutUint64(b[24:], uint64(h.time))
	le.PutUint32(b[32:], h.points)
	b[36], b[37], b[38], b[39] = h.kind, h.codec, 0, 0
	le.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli()))
}

// parseHeader reads the header at the start of b, and checks all of it that can be checked without the payload. It
// returns errShort if b may be the start of a record, errDamaged if it cannot be.
func parseHeader(b []byte) (header, error) {
	le := binary.LittleEndian
	if len(b) < recordHeader {
		return header{}, errShort
	}
	h := header{stored: le.Uint32(b[8:]), raw: le.Uint32(b[12:]), seq: le.Uint64(b[16:]), time: int64(le.Uint64(b[24:])),
		points: le.Uint32(b[32:]), kind: b[36], codec: b[37]}
	known := h.codec == codecRaw || h.codec == codecZstd || h.codec == codecFooter
	if le.Uint32(b) != recordMark || !known || h.stored == 0 || h.stored > maxPayload || h.raw == 0 || h.raw > maxPayload ||
		b[38] != 0 || b[39] != 0 || h.codec != codecZstd && h.raw != h.stored {
		return header{}, errDamaged
	}
	return h, nil
}

// parseRecord reads the record at the start of b and returns its header and its payload, which aliases b.
func parseRecord(b []byte) (header, []byte, error) {
	h, err := parseHeader(b)
	if err != nil {
		return header{}, nil, err
	}
	end := recordHeader + int(h.stored)
	if len(b) < end {
		return header{}, nil, errShort
	}
	if crc32.Checksum(b[8:end], castagnoli()) != binary.LittleEndian.Uint32(b[4:]) {
		return header{}, nil, errDamaged
	}
	return h, b[recordHeader:end], nil
}
