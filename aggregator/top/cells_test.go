package top

import "testing"

// No cell has more digits than its number can mean.
func TestCells(t *testing.T) {
	f := func(print func(*float64) string, v float64, want string) {
		t.Helper()
		if got := print(&v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
	f(mebibytes, 512<<20, "512Mi")
	f(mebibytes, 64<<40, "67108864Mi")
	f(mebibytes, 3<<50, "3.0Pi")
	f(mebibytes, 1<<63, "8.0Ei")
	f(mebibytes, 1e300, "8.67e+281Ei")
	f(mebibytes, -1e300, "-8.67e+281Ei")
	f(cores, 1.25, "1250m")
	f(cores, 1e300, "1e+303m")
	f(percent, 0.31, "31%")
	f(percent, 1e300, "1e+302%")
	f(count, 1<<64, "1.84e+19")
	f(perSecond, 999, "999B/s")
	f(perSecond, 1500, "1.5kB/s")
	f(perSecond, 2e9, "2000.0MB/s")
	f(perSecond, 1<<64, "18446.7PB/s")
	f(perSecond, 1e300, "1e+285PB/s")
}
