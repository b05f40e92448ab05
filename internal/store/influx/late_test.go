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
		if _, ok := w.claimLate(time.Now().Add(time.Hour), DefaultQuiet); ok {
			t.Error("a line of a minute ago is late")
		}
		first := time.Now().Add(-5 * time.Hour).Truncate(time.Millisecond)
		w.noteLate(at(5 * time.Hour))
		time.Sleep(5 * time.Minute)
		w.noteLate(at(3 * time.Hour))
		last := time.Now().Add(-3 * time.Hour).Truncate(time.Millisecond)
		time.Sleep(9 * time.Minute)
		if _, ok := w.claimLate(time.Now(), DefaultQuiet); ok {
			t.Error("taken while lines still come")
		}
		time.Sleep(time.Minute)
		l, ok := w.claimLate(time.Now(), DefaultQuiet)
		if !ok || !l.From.Equal(first) || !l.To.Equal(last) {
			t.Errorf("got %+v, %v; want %v to %v", l, ok, first, last)
		}
		w.noteLate(at(4 * time.Hour))
		w.giveLate(l)
		time.Sleep(DefaultQuiet)
		if l, _ := w.claimLate(time.Now(), DefaultQuiet); !l.From.Equal(first) {
			t.Errorf("given back: got %+v", l)
		}
		for range 11 { // a clock that is wrong for ever does not put it off for ever
			w.noteLate(at(6 * time.Hour))
			if _, ok := w.claimLate(time.Now(), DefaultQuiet); ok {
				t.Error("taken while lines still come")
			}
			time.Sleep(DefaultQuiet * checkAfter / 11)
		}
		time.Sleep(time.Second)
		if _, ok := w.claimLate(time.Now(), DefaultQuiet); !ok || w.waitsLate() {
			t.Error("not taken though lines came for an hour")
		}
	})
}

func encodeAt(at time.Time) []byte { return fmt.Appendf(nil, "m v=1 %d\n", at.UnixMilli()) }

func TestFluxError(t *testing.T) {
	f := func(answer, want string) {
		t.Helper()
		got := ""
		if err := fluxError([]byte(answer)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", answer, got, want)
		}
	}
	f("", "")
	f("\r\n", "")
	f(",result,table,_value\r\n,x,0,1\r\n\r\n", "")
	f("error,reference\r\nFailed to parse query,897\r\n", "InfluxDB answers 200: Failed to parse query,897")
	f(",result,table\r\n,x,0\r\n\r\n#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,\"engine: closed, sorry\",\r\n", "InfluxDB answers 200: engine: closed, sorry")
	f("error,reference", "")
}
