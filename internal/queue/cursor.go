package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

const cursorMagic = "PLQcur\x00\x01"

// cursor is what the reader acknowledged, and what else must not be forgotten.
type cursor struct {
	next uint64 // no number from here on was ever given out
	low  uint64 // everything below was acknowledged or dropped
	at   instant
	segs []ackedSegment
}

// ackedSegment is a segment of which a part was acknowledged.
type ackedSegment struct {
	base    uint64
	span    int
	records int
	points  uint64
	bits    bitset
}

var errBadCursor = errors.New("cursor is damaged")

// encode writes the cursor: magic, numbers as varints, CRC-32C of it all.
func (c *cursor) encode() []byte {
	b := []byte(cursorMagic)
	for _, v := range []uint64{c.next, c.low, uint64(c.at.queue), uint64(c.at.wall), uint64(c.at.uptime), c.at.boot, uint64(len(c.segs))} {
		b = binary.AppendUvarint(b, v)
	}
	for i := range c.segs {
		s := &c.segs[i]
		for _, v := range []uint64{s.base, uint64(s.span), uint64(s.records), s.points} {
			b = binary.AppendUvarint(b, v)
		}
		b = appendRuns(b, s.bits, s.span)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

// appendRuns writes bits as lengths of runs in turn, of zeros first, or as they are where that is shorter.
func appendRuns(b []byte, set bitset, span int) []byte {
	words := (span + 63) / 64
	var runs []byte
	n := 0
	for i, on := 0, false; i < span; on = !on {
		from := i
		for i < span && set.has(i) == on {
			i++
		}
		runs = binary.AppendUvarint(runs, uint64(i-from))
		if n++; len(runs) > words*8 {
			b = binary.AppendUvarint(b, 0)
			for w := range words {
				b = binary.LittleEndian.AppendUint64(b, set.word(w))
			}
			return b
		}
	}
	return append(binary.AppendUvarint(b, uint64(n)), runs...)
}

// varints reads numbers off a slice; after the first that is not there, all are zero and bad is set.
type varints struct {
	b   []byte
	bad bool
}

func (v *varints) next() uint64 {
	n, w := binary.Uvarint(v.b)
	if w <= 0 {
		v.bad, v.b = true, nil
		return 0
	}
	v.b = v.b[w:]
	return n
}

// upTo reads a number that is at most limit.
func (v *varints) upTo(limit uint64) int {
	n := v.next()
	if n > limit {
		v.bad, n = true, 0
	}
	return int(n)
}

func (v *varints) runs(span int) bitset {
	var set bitset
	n := v.upTo(uint64(span) + 1) // the first run may be empty
	if n == 0 {
		for w := range (span + 63) / 64 {
			if len(v.b) < 8 {
				v.bad = true
				return nil
			}
			set = append(set, binary.LittleEndian.Uint64(v.b))
			v.b = v.b[8:]
			if left := span - w*64; left < 64 {
				set[w] &= 1<<left - 1
			}
		}
		return set
	}
	at := 0
	for k := range n {
		end := at + v.upTo(uint64(span-at))
		for ; k%2 == 1 && at < end; at++ {
			set.set(at)
		}
		at = end
	}
	v.bad = v.bad || at != span
	return set
}

// parseCursor reads what encode wrote.
func parseCursor(b []byte) (cursor, error) {
	n := len(b) - 4
	if n < len(cursorMagic) || string(b[:len(cursorMagic)]) != cursorMagic {
		return cursor{}, fmt.Errorf("%w: it does not begin as one", errBadCursor)
	}
	if crc32.Checksum(b[:n], castagnoli()) != binary.LittleEndian.Uint32(b[n:]) {
		return cursor{}, fmt.Errorf("%w: wrong checksum", errBadCursor)
	}
	v := varints{b: b[len(cursorMagic):n]}
	c := cursor{next: v.next(), low: v.next()}
	c.at = instant{queue: int64(v.next()), wall: int64(v.next()), uptime: time.Duration(v.next()), boot: v.next()}
	for range v.upTo(uint64(len(b))) {
		s := ackedSegment{base: v.next(), span: v.upTo(maxRecords)}
		s.records, s.points = v.upTo(uint64(s.span)), v.next()
		s.bits = v.runs(s.span)
		if v.bad {
			break
		}
		c.segs = append(c.segs, s)
	}
	if v.bad || len(v.b) > 0 || c.low > c.next || c.next > maxSeq {
		return cursor{}, fmt.Errorf("%w: wrong lengths", errBadCursor)
	}
	return c, nil
}
