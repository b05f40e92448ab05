package cgroup

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/metric"
)

// BenchmarkFastRead450 and BenchmarkBarePread450 are to be compared: a tick of the reader on 450 real cgroups, and
// nothing but the preads of the same files. The bar is a ratio of 2, and 20 ms a tick.
func BenchmarkFastRead450(b *testing.B) {
	top := benchCgroups(b, 450)
	r := newReader(b, top.path)
	b.ReportAllocs()
	r.Read(time.Now())
	if n := r.Read(time.Now()).Samples(); n < 3*450 {
		b.Fatalf("got %d samples", n)
	}
	points := 0
	for b.Loop() {
		points = r.Read(time.Now()).Samples()
	}
	b.ReportMetric(float64(points), "samples")
}

func BenchmarkBarePread450(b *testing.B) {
	top := benchCgroups(b, 450)
	r := newReader(b, top.path)
	r.Read(time.Now())
	var fds []int
	for _, m := range r.members.active {
		for _, f := range m.files {
			fds = append(fds, int(f.fd))
		}
	}
	for _, f := range r.node.files {
		fds = append(fds, int(f.fd))
	}
	if len(fds) < 3*450 {
		b.Fatalf("got %d files", len(fds))
	}
	buf := make([]byte, 1<<14)
	for b.Loop() {
		for _, fd := range fds {
			if _, err := unix.Pread(fd, buf, 0); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(fds)), "files")
}

// benchCgroups makes n cgroups, with a CPU limit that was at work nowhere: the points are those of an idle machine.
func benchCgroups(b *testing.B, n int) group {
	top := newGroup(b, realLayout(b), "bench")
	for i := range n {
		top.leaf(b, fmt.Sprintf("c%03d", i))
	}
	return top
}

// BenchmarkParse is the arithmetic alone.
func BenchmarkParse(b *testing.B) {
	s := sampler{points: make([]metric.Point, 0, 16), drop: func(reason) {}}
	usage, stat := []byte("123456789012\n"), []byte(memoryStatV1)
	b.ReportAllocs()
	for b.Loop() {
		s.points = s.points[:0]
		s.parse(v1Usage, usage, 1)
		s.parse(v1Memory, usage, 1)
		s.parse(v1MemoryStat, stat, 1)
	}
}
