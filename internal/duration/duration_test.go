package duration

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const hour = time.Hour
	f := func(s string, want time.Duration) {
		t.Helper()
		if got, err := Parse(s); got != want || err != nil {
			t.Errorf("%q: got %v, %v; want %v", s, got, err, want)
		}
	}
	f("7d", 7*day)
	f("2w", 14*day)
	f("0.5d", 12*hour)
	f("1.5w", 252*hour)
	f("36h", 36*hour)
	f("1h30m", 90*time.Minute)
	f("1w2d", 9*day)
	f("1d12h", 36*hour)
	f("1w1ms", 7*day+time.Millisecond)
	f("0d", 0)
	f("0", 0)
	f("-1h", -hour) // which is for the caller to refuse
	f("36500d", mostDays*day)

	bad := func(s, want string) {
		t.Helper()
		if got, err := Parse(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "w", "7", "7dd", "7d w", "1d2w", "12h1d", "1d-2h", " 7d", "7d ", "1d 12h", "d7", "1y"} {
		bad(s, "is no duration: want one such as 15d")
	}
	for _, s := range []string{"-1d", "36501d", "1e9w", "5215w", "Infd", "NaNd", "-Infw", "-0.1w"} {
		bad(s, "100 years")
	}
}

func TestFormat(t *testing.T) {
	for want, d := range map[string]time.Duration{"15d": 15 * day, "1d": day, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute, "1m1s": 61 * time.Second,
		"1h0m1s": time.Hour + time.Second, "0s": 0, "10m": 10 * time.Minute, "1.5s": 1500 * time.Millisecond, "-48h": -2 * day} {
		if got := Format(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// What is read is a duration that is written so that it is read again as the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"7d", "2w", "1h30m", "-1d", "1e5d", "NaNd", "0x1p3d", "1w2d3h", "1d-1h", "36500d9000h", "-9223372036854775808ns", "1µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(s, "dw") && (d < 0 || d > mostDays*day) {
			t.Errorf("%q: got %v", s, d)
		}
		if again, err := Parse(Format(d)); again != d && d >= 0 || err != nil {
			t.Errorf("%q is %v, written %q, which is %v, %v", s, d, Format(d), again, err)
		}
	})
}
