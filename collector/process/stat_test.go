package process

import (
	"os"
	"strings"
	"testing"
)

const statLine = "4242 (a (b) c\n) d) S 17 18 -1 0 -1 4194560 177 16 0 0 120 34 5 6 20 0 3 0 123456 5111808 401 18446744073709551615 94\n"

func TestParseStat(t *testing.T) {
	f := func(in string, want stat, ok bool) {
		t.Helper()
		got, is := parseStat([]byte(in))
		if is != ok || ok && got != want {
			t.Errorf("%q: got %+v %v, want %+v %v", in, got, is, want, ok)
		}
	}
	f(statLine, stat{state: 'S', ppid: 17, pgrp: 18, cpu: cpu{120, 34}, child: cpu{5, 6}, threads: 3, start: 123456, rss: 401}, true)
	f(strings.Replace(statLine, "(a (b) c\n) d)", "()", 1), stat{state: 'S', ppid: 17, pgrp: 18, cpu: cpu{120, 34}, child: cpu{5, 6}, threads: 3, start: 123456, rss: 401}, true)
	f("", stat{}, false)
	f("4242 (x", stat{}, false)
	f("4242 (x)", stat{}, false)
	f("4242 (x) S", stat{}, false)
	f(") S 1", stat{}, false)
	f(statLine[:60], stat{}, false)
	f(strings.Replace(statLine, " 120 ", " -120 ", 1), stat{}, false)
	f(strings.Replace(statLine, " 120 ", " x ", 1), stat{}, false)
	f(strings.Replace(statLine, " 120 ", "  ", 1), stat{}, false)
	f(strings.Replace(statLine, " 120 ", " 18446744073709551615 ", 1), stat{}, false)
	f(strings.Replace(statLine, " 17 ", " 99999999999 ", 1), stat{}, false)
}

// Every process of this machine can be read.
func TestParseStatReal(t *testing.T) {
	x := newTable("/proc")
	pids, err := x.pids()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if _, why := x.stat(pid); why != "" && why != "gone" {
			t.Errorf("process %d: %s", pid, why)
		}
	}
	if s, why := x.stat(os.Getpid()); why != "" || s.ppid != os.Getppid() || s.threads == 0 || s.rss == 0 {
		t.Errorf("this process: got %+v, %q", s, why)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(statLine))
	f.Add([]byte("1 (x) R 0 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 1 1 1 "))
	f.Add([]byte("1 () R 0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseStat(b)
		if !ok {
			return
		}
		for _, v := range []uint64{s.user, s.system, s.child.user, s.child.system, s.threads, s.start, s.rss} {
			if v >= 1<<maxBits {
				t.Errorf("got %d", v)
			}
		}
		if s.ppid < 0 || s.pgrp < 0 || s.session < 0 {
			t.Errorf("got %+v", s)
		}
	})
}
