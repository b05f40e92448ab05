package influx

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimesOfLines(t *testing.T) {
	f := func(lines string, first, last int64) {
		t.Helper()
		if a, b := firstTime([]byte(lines)), lastTime([]byte(lines)); a != first || b != last {
			t.Errorf("%q: got %d and %d, want %d and %d", lines, a, b, first, last)
		}
	}
	f("m v=1 1700000000000\nm v=1 1700000000001\n", 1700000000000, 1700000000001)
	f("m v=1 17", 17, 17)
	f("", 0, 0)
	f("\n", 0, 0)
	f("m v=1\n", 0, 0)
	f("m v=1 99999999999999999999\n", 0, 0)
}

func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Writer{}
		at := func(d time.Duration) []byte { return encodeAt(time.Now().Add(-d)) }
		w.noteLate(at(time.Minute))
		if _, ok := w.takeLate(time.Now().Add(time.Hour)); ok {
			t.Error("a line of a minute ago is late")
		}
		first := time.Now().Add(-5 * time.Hour).Truncate(time.Millisecond)
		w.noteLate(at(5 * time.Hour))
		time.Sleep(5 * time.Minute)
		w.noteLate(at(3 * time.Hour))
		last := time.Now().Add(-3 * time.Hour).Truncate(time.Millisecond)
		time.Sleep(9 * time.Minute)
		if _, ok := w.takeLate(time.Now()); ok {
			t.Error("taken while lines still come")
		}
		time.Sleep(time.Minute)
		l, ok := w.takeLate(time.Now())
		if !ok || !l.From.Equal(first) || !l.To.Equal(last) {
			t.Errorf("got %+v, %v; want %v to %v", l, ok, first, last)
		}
		w.noteLate(at(4 * time.Hour))
		w.giveLate(l)
		time.Sleep(lateQuiet)
		if l, _ := w.takeLate(time.Now()); !l.From.Equal(first) {
			t.Errorf("given back: got %+v", l)
		}
	})
}

func encodeAt(at time.Time) []byte { return fmt.Appendf(nil, "m v=1 %d\n", at.UnixMilli()) }
