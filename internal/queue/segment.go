package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/disk"
)

// maxRecords is how many numbers of sequence a segment spans at most; it bounds the memory of an index and of the bits.
const maxRecords = 1 << 15

// maxSeq bounds numbers of sequence, so that sums of them are none to worry about; it is never reached.
const maxSeq = 1 << 62

// entry says where a record is in its segment; off zero means that there is none of that number.
type entry struct {
	off, stored, raw, points uint32
	age                      uint32 // tenths of a second after the segment's first record
}

// weight is how much memory a record needs while it is handed out.
func (e *entry) weight() int { return int(e.raw) + 256 }

// segment is one file of the queue. Its fields belong to Queue.mu, but for file, which belongs to Queue.readMu, and
// base and path, which never change.
type segment struct {
	base uint64 // the lowest number that it may hold
	path string

	size        int64
	span        int // base+span is the number after its last record
	records     int // records that were written
	points      uint64
	first, last int64  // times of the first and the last record
	sealed      bool   // nothing is appended any more
	damaged     bool   // set aside when it is no longer needed
	gone        string // why it is no longer part of the queue; "" while it is
	durable     int64  // how many bytes from its start the disk has for sure
	doubt       bool   // an fsync failed, and what is behind durable was not put on the disk since

	acked        bitset // acknowledged, lost or never there
	ackedN       int    // records that were acknowledged or are lost
	ackedPoints  uint64
	leased       bitset // handed out
	leasedN      int
	leasedPoints uint64

	index []entry // nil unless loaded
	used  uint64  // when the index was last used, for eviction
	file  *os.File
}

func (s *segment) next() uint64 { return s.base + uint64(s.span) }

// free is how many records could be handed out.
func (s *segment) free() int { return s.records - s.ackedN - s.leasedN }

// unacked is how many records were not acknowledged, and their points.
func (s *segment) unacked() (int, uint64) { return s.records - s.ackedN, s.points - s.ackedPoints }

// done says that nothing of it is needed.
func (s *segment) done() bool { return s.sealed && s.ackedN >= s.records && s.leasedN == 0 }

func segmentName(base uint64) string { return fmt.Sprintf("%016x.seg", base) }

// segmentBase returns the base that a file's name tells.
func segmentBase(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, ".seg")
	if !ok || len(hex) != 16 {
		return 0, false
	}
	base, err := strconv.ParseUint(hex, 16, 64)
	return base, err == nil && segmentName(base) == name && base > 0 && base < maxSeq
}

// grow notes a record that is there; numbers between the last and this one were never given out.
func (s *segment) grow(off int64, h header) {
	i := int(h.seq - s.base)
	for ; s.span < i; s.span++ {
		s.acked.set(s.span)
		s.index = append(s.index, entry{})
	}
	if s.records == 0 {
		s.first = h.time
	}
	s.index = append(s.index, entry{off: uint32(off), stored: h.stored, raw: h.raw, points: h.points, age: tenths(h.time - s.first)})
	s.span, s.last = i+1, max(s.last, h.time)
	s.records++
	s.points += uint64(h.points)
}

func tenths(ms int64) uint32 { return uint32(min(max(ms/100, 0), 1<<32-1)) }

// recount adopts an index that was read from the file, and returns how many records, with how many points, that were
// believed to be there and not acknowledged are not. From now on they count as acknowledged, as the cursor keeps them.
func (s *segment) recount(index []entry) (lost int, lostPoints uint64) {
	believed, believedPoints := s.unacked()
	have, havePoints := 0, uint64(0)
	for i, e := range index {
		if e.off == 0 {
			s.acked.set(i)
		} else if !s.acked.has(i) {
			have++
			havePoints += uint64(e.points)
		}
	}
	s.index = index
	s.records, s.points = max(s.records, have), max(s.points, havePoints)
	s.ackedN, s.ackedPoints = s.records-have, s.points-havePoints
	return max(believed-have, 0), max(believedPoints, havePoints) - havePoints
}

// lease notes that a record is handed out, release that it is not any more.
func (s *segment) lease(i int, points uint32) {
	s.leased.set(i)
	s.leasedN++
	s.leasedPoints += uint64(points)
}

func (s *segment) release(i int, points uint32) {
	if s.leased.clear(i) {
		s.leasedN--
		s.leasedPoints -= uint64(points)
	}
}

// ack notes that a record was delivered or is lost, and says whether that is news.
func (s *segment) ack(i int, points uint32) bool {
	if !s.acked.set(i) {
		return false
	}
	s.ackedN++
	s.ackedPoints += uint64(points)
	return true
}

// createSegment makes a segment's file with its header.
func createSegment(d files, dir string, base uint64) (*segment, error) {
	s := &segment{base: base, path: filepath.Join(dir, segmentName(base)), size: segmentHeader}
	f, err := disk.Open(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if _, err = d.write(f, segmentHead(base), 0); err == nil {
		err = d.syncDir(dir)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(s.path)
		return nil, err
	}
	s.file = f
	return s, nil
}
