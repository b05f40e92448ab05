package store

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
)

// endless is a value that never ends.
type endless struct{ begin, again string }

func (e *endless) Read(p []byte) (n int, err error) {
	n = copy(p, e.begin)
	e.begin = e.begin[n:]
	for n < len(p) {
		more := copy(p[n:], e.again)
		if more < len(e.again) {
			e.begin = e.again[more:]
		}
		n += more
	}
	return n, nil
}

// A value without end is left off, in whatever form it comes; many that are read at once have a bound together, and what has ended holds nothing.
func TestAnswersAreBounded(t *testing.T) {
	var all Answers
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, e := range []*endless{{`{"results":[{"series":[{"name":"`, "a"}, {`{"results":[[`, "[1,1],"}, {`{"a":`, "["}, {"", " "}} {
		d, done := all.Decoder(e)
		var into struct {
			Results []struct{ Series []struct{ Name string } }
		}
		if err := d.Decode(&into); err == nil {
			t.Errorf("%q without end: %v", e.again, err)
		}
		done()
	}
	runtime.ReadMemStats(&after)
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 4*64 {
		t.Errorf("allocated %d MiB", mb)
	}
	var dones []func()
	refused := 0
	for range 6 {
		d, done := all.Decoder(io.MultiReader(strings.NewReader(`"`), strings.NewReader(strings.Repeat("a", mostOfAnswer*3/4))))
		if err := d.Decode(new(string)); strings.Contains(err.Error(), "together") {
			refused++
		}
		dones = append(dones, done)
	}
	if refused == 0 {
		t.Error("six large values at once were held")
	}
	for _, done := range dones {
		done()
	}
	if n := all.held.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
	d, done := all.Decoder(bytes.NewReader(bytes.Repeat([]byte(`{"values":[[1,2],[3,4]]}`+"\n"), 800_000))) // 20 MB in pieces
	defer done()
	n := 0
	for ; d.More(); n++ {
		var v struct{ Values [][]float64 }
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
	}
	if n != 800_000 {
		t.Errorf("%d pieces were read", n)
	}
}
