package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// The layout of a segment's header: magic and version (8), base u64, zero (12), crc u32 of what is before.
const (
	segmentMagic  = "PLQseg\x00\x01"
	segmentHeader = 32
	footerPayload = 36
	footerBytes   = recordHeader + footerPayload
	maxSegment    = 1<<30 + 8<<20 // no segment is larger, whatever the options were
)

func segmentHead(base uint64) []byte {
	b := make([]byte, segmentHeader)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint64(b[8:], base)
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli()))
	return b
}

func goodHead(b []byte, base uint64) bool { return bytes.Equal(b, segmentHead(base)) }

// footer sums a sealed segment up, so that it need not be read when the queue is opened.
type footer struct {
	records     uint32
	points      uint64
	first, last int64  // times of the first and the last record
	next        uint64 // the sequence number after the last
}

func (f footer) record() []byte {
	b := make([]byte, footerBytes)
	le, p := binary.LittleEndian, b[recordHeader:]
	le.PutUint32(p, f.records)
	le.PutUint64(p[4:], f.points)
	le.PutUint64(p[12:], uint64(f.first))
	le.PutUint64(p[20:], uint64(f.last))
	le.PutUint64(p[28:], f.next)
	stamp(b, header{stored: footerPayload, raw: footerPayload, seq: f.next, time: f.last, codec: codecFooter})
	return b
}

func parseFooter(b []byte) (footer, bool) {
	h, p, err := parseRecord(b)
	if err != nil || h.codec != codecFooter || len(p) != footerPayload || len(b) != footerBytes {
		return footer{}, false
	}
	le := binary.LittleEndian
	f := footer{records: le.Uint32(p), points: le.Uint64(p[4:]), first: int64(le.Uint64(p[12:])), last: int64(le.Uint64(p[20:])), next: le.Uint64(p[28:])}
	return f, f.next == h.seq
}

// window reads a file through a buffer that slides over it.
type window struct {
	r    io.ReaderAt
	size int64
	off  int64
	buf  []byte
	err  error // that may pass; what is told then means nothing
}

// at returns up to n bytes at an offset, fewer only at the end of the file or where the disk cannot read.
func (w *window) at(off int64, n int) []byte {
	n = int(min(int64(n), w.size-off))
	if n <= 0 {
		return nil
	}
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		want := int(min(int64(max(n, 256<<10)), w.size-off))
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		got, err := w.r.ReadAt(w.buf[:want], off) // what the disk cannot read is damaged
		if passing(err) {
			w.err = err
		}
		w.off, w.buf = off, w.buf[:got]
	}
	from := int(off - w.off)
	return w.buf[from:min(from+n, len(w.buf))]
}

// scanned is what a scan found out about a segment.
type scanned struct {
	goodHead bool
	sealed   bool  // a footer is its end
	end      int64 // where the last good record ends
	bad      int64 // bytes that no record explains, before the end
	tail     int64 // bytes behind the end
	torn     bool  // the tail is what a write that was cut short leaves
	err      error // it could not be read at present; the rest means nothing
}

func (s *scanned) damaged() bool { return !s.goodHead || s.bad > 0 || s.tail > 0 && !s.torn }

// scan reads a segment from its start and calls visit for every good record, in order. Behind damage it searches for the
// next record that holds. Numbers of sequence only rise, and lie within maxRecords of base.
func scan(r io.ReaderAt, size int64, base uint64, visit func(off int64, h header)) scanned {
	w := &window{r: r, size: size}
	s := scanned{goodHead: goodHead(w.at(0, segmentHeader), base), end: min(segmentHeader, size)}
	next, budget := base, 64*size+1<<20
	for off := int64(segmentHeader); off < size; {
		h, ok := w.record(off, next, base)
		if !ok {
			found, hh := w.resync(off+1, next, base, &budget)
			if found < 0 {
				break
			}
			s.bad += found - off
			off, h = found, hh
		}
		s.sealed = h.codec == codecFooter
		if !s.sealed {
			visit(off, h)
			next = h.seq + 1
		}
		off += recordHeader + int64(h.stored)
		s.end = off
	}
	s.tail = size - s.end
	s.sealed = s.sealed && s.tail == 0
	s.torn = w.torn(s.end)
	s.err = w.err
	return s
}

// record reads the record at an offset, if one that may follow is there.
func (w *window) record(off int64, next, base uint64) (header, bool) {
	h, err := parseHeader(w.at(off, recordHeader))
	if err != nil || h.seq < next || h.seq-base > maxRecords || h.codec != codecFooter && h.seq-base == maxRecords {
		return header{}, false
	}
	h, _, err = parseRecord(w.at(off, recordHeader+int(h.stored)))
	return h, err == nil
}

// resync returns the offset of the next good record at off or behind it, or -1. The budget bounds the bytes that are
// summed up in vain.
func (w *window) resync(off int64, next, base uint64, budget *int64) (int64, header) {
	mark := binary.LittleEndian.AppendUint32(nil, recordMark)
	for off+recordHeader < w.size && *budget > 0 {
		b := w.at(off, 64<<10)
		if len(b) < 4 {
			if off += 4096; len(b) == 0 {
				continue // cannot be read: search behind it
			}
		}
		i := bytes.Index(b, mark)
		if i < 0 {
			off += int64(max(len(b)-3, 1))
			continue
		}
		off += int64(i)
		if h, ok := w.record(off, next, base); ok {
			return off, h
		} else if h, err := parseHeader(w.at(off, recordHeader)); err == nil {
			*budget -= int64(h.stored)
		}
		off++
	}
	return -1, header{}
}

// torn says whether what is behind the last good record is what an unfinished write leaves: a record whose end is
// missing, or zeros where a file system had not written yet.
func (w *window) torn(off int64) bool {
	h, err := parseHeader(w.at(off, recordHeader))
	if err == nil {
		return off+recordHeader+int64(h.stored) > w.size
	}
	if errors.Is(err, errShort) {
		return true
	}
	for ; off < w.size; off += 64 << 10 {
		if b := w.at(off, 64<<10); len(bytes.TrimLeft(b, "\x00")) > 0 {
			return false
		}
	}
	return true
}
