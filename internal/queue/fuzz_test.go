package queue

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzRecord: whatever the bytes, the parser neither panics nor reads beyond them; what it takes can be stamped again to
// the same bytes.
func FuzzRecord(f *testing.F) {
	b := append(make([]byte, recordHeader), "payload"...)
	stamp(b, header{stored: 7, raw: 7, seq: 9, time: 5, points: 2, kind: 3})
	f.Add(b)
	f.Add(b[:20])
	f.Add(footer{records: 3, points: 5, first: 1, last: 2, next: 4}.record())
	f.Fuzz(func(t *testing.T, b []byte) {
		parseFooter(b)
		resum := append([]byte(nil), b...) // the parser behind the checksum as well
		if h, err := parseHeader(resum); err == nil && recordHeader+int(h.stored) <= len(resum) {
			binary.LittleEndian.PutUint32(resum[4:], crc32.Checksum(resum[8:recordHeader+h.stored], castagnoli()))
			parseFooter(resum)
		}
		h, payload, err := parseRecord(resum)
		if err != nil {
			return
		}
		again := append(make([]byte, recordHeader), payload...)
		stamp(again, h)
		if !bytes.Equal(again, resum[:len(again)]) {
			t.Errorf("got %x, want %x", again, resum[:len(again)])
		}
		c, err := newCodec()
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if data, err := c.unpack(h, payload); err == nil && len(data) != int(h.raw) {
			t.Errorf("unpacked %d bytes, want %d", len(data), h.raw)
		}
	})
}

// FuzzCursor: whatever the bytes, behind the checksum too, the parser does not panic, and what it takes is written again
// and read back the same.
func FuzzCursor(f *testing.F) {
	var bits bitset
	for _, i := range []int{0, 1, 2, 70, 99} {
		bits.set(i)
	}
	c := cursor{next: 300, low: 100, at: instant{1, 2, 3, 4}, segs: []ackedSegment{{100, 100, 5, 9, bits}, {200, 0, 0, 0, nil}}}
	f.Add(c.encode())
	f.Add((&cursor{}).encode())
	f.Add([]byte(cursorMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseCursor(b)
		if len(b) < 4 {
			return
		}
		b = binary.LittleEndian.AppendUint32(b[:len(b)-4:len(b)-4], crc32.Checksum(b[:len(b)-4], castagnoli()))
		c, err := parseCursor(b)
		if err != nil {
			return
		}
		again, err := parseCursor(c.encode())
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		for _, x := range []*cursor{&c, &again} { // bits beyond the span and empty words mean nothing
			for i := range x.segs {
				var set bitset
				for k := range x.segs[i].span {
					if x.segs[i].bits.has(k) {
						set.set(k)
					}
				}
				x.segs[i].bits = set
			}
		}
		if d := cmp.Diff(c, again, cmp.AllowUnexported(cursor{}, instant{}, ackedSegment{})); d != "" {
			t.Error(d)
		}
	})
}

// FuzzSegment: whatever a segment holds, the queue opens, hands out only whole records in order, takes a new one, and opens again with
// the same.
func FuzzSegment(f *testing.F) {
	files, segs := scene(f, 60, 0)
	for _, s := range segs {
		f.Add(files[s], uint16(0), uint16(0))
		f.Add(files[s], uint16(100), uint16(1))
		f.Add(append(files[s][:200:200], files[s][190:]...), uint16(0), uint16(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, at, with uint16) {
		if int(at)+1 < len(b) {
			b = append([]byte(nil), b...)
			binary.LittleEndian.PutUint16(b[at:], binary.LittleEndian.Uint16(b[at:])^with)
		}
		o := Options{Dir: memoryDir(t), disk: lazyDisk{}}
		if err := os.WriteFile(filepath.Join(o.Dir, segmentName(1)), b, 0o640); err != nil {
			t.Fatal(err)
		}
		q := mustOpen(t, o)
		last := uint64(0)
		var out []*Batch
		n := 0
		for b := try(q, &q.backlog); b != nil; b = try(q, &q.backlog) {
			for _, r := range b.Records {
				if r.Seq <= last {
					t.Fatalf("record %d after %d", r.Seq, last)
				}
				last = r.Seq
				n++
			}
			q.backlog.out = 0
			out = append(out, b)
		}
		for _, b := range out {
			b.Nack()
		}
		mustAppend(t, q, "new")
		crash(q)
		q = mustOpen(t, o)
		got := drain(q)
		if len(got) != n+1 || got[n] != "new" {
			t.Fatalf("got %d records after the second opening, want %d", len(got), n+1)
		}
		crash(q)
	})
}

// The search for a record behind damage ends in time even when every byte looks like the beginning of one.
func TestResyncIsBounded(t *testing.T) {
	b := segmentHead(1)
	h := append(make([]byte, recordHeader), bytes.Repeat([]byte{1}, 60)...)
	stamp(h, header{stored: 4 << 20, raw: 4 << 20, seq: 1, codec: codecZstd})
	for len(b) < 6<<20 {
		b = append(b, h[:recordHeader]...)
	}
	if res := scan(bytes.NewReader(b), int64(len(b)), 1, func(int64, header) { t.Error("found a record") }); !res.damaged() {
		t.Errorf("got %+v", res)
	}
}
