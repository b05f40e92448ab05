package cron

import (
	"strings"
	"testing"
	"time"
)

func TestPrev(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatalf("cannot load Europe/Berlin: %v", err)
	}
	f := func(line string, loc *time.Location, at, want string) {
		t.Helper()
		l, err := Parse(line)
		if err != nil {
			t.Errorf("Parse(%q): %v", line, err)
			return
		}
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := l.Prev(now, loc)
		if s := got.UTC().Format(time.RFC3339); !ok || s != want {
			t.Errorf("Prev(%q, %s) = %s, %v, want %s", line, at, s, ok, want)
		}
	}
	utc := time.UTC
	f("0 8 * * *", utc, "2026-01-01T08:00:00Z", "2026-01-01T08:00:00Z")
	f("0 8 * * *", utc, "2026-01-01T07:59:59Z", "2025-12-31T08:00:00Z")
	f("*/15 * * * *", utc, "2026-01-01T07:44:10Z", "2026-01-01T07:30:00Z")
	f("0 9 * * mon-fri", utc, "2026-01-04T12:00:00Z", "2026-01-02T09:00:00Z") // Sunday: Friday
	f("0 9 * * 7", utc, "2026-01-05T12:00:00Z", "2026-01-04T09:00:00Z")
	f("0 0 29 2 *", utc, "2027-06-01T00:00:00Z", "2024-02-29T00:00:00Z")
	f("0 0 13 * 5", utc, "2026-01-15T00:00:00Z", "2026-01-13T00:00:00Z") // either day field
	f("0 0 13 * 5", utc, "2026-01-10T00:00:00Z", "2026-01-09T00:00:00Z")
	f("59 23 * * *", utc, "2026-01-01T00:30:00Z", "2025-12-31T23:59:00Z")
	f("5/20 1 1 jan *", utc, "2026-03-01T00:00:00Z", "2026-01-01T01:45:00Z")
	// Europe/Berlin: 02:00 to 03:00 is skipped on 2026-03-29, 02:00 to 03:00 comes twice on 2026-10-25.
	f("30 2 * * *", berlin, "2026-03-29T00:59:59Z", "2026-03-28T01:30:00Z")
	f("30 2 * * *", berlin, "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z")
	f("30 2 * * *", berlin, "2026-10-25T00:29:59Z", "2026-10-24T00:30:00Z")
	f("30 2 * * *", berlin, "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z")
	f("30 2 * * *", berlin, "2026-10-25T01:45:00Z", "2026-10-25T00:30:00Z")
	f("50 2 * * *", berlin, "2026-10-25T01:10:00Z", "2026-10-25T00:50:00Z") // second 02:10: the first 02:50 was
	f("0 8 * * *", berlin, "2026-03-29T12:00:00Z", "2026-03-29T06:00:00Z")
	f("0 8 * * *", berlin, "2026-03-28T12:00:00Z", "2026-03-28T07:00:00Z")
}

func TestParseErrors(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		if _, err := Parse(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want an error with %q", line, err, want)
		}
	}
	f("", "0 fields")
	f("* * * *", "4 fields")
	f("60 * * * *", `minute "60"`)
	f("* 24 * * *", `"24" is not a value from 0 to 23`)
	f("* * 0 * *", "from 1 to 31")
	f("* * * foo *", `"foo"`)
	f("5-1 * * * *", "backwards")
	f("*/0 * * * *", "step")
	f("0 0 31 2 *", "never fires")
	f("1,,2 * * * *", `""`)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0 8 * * *", "*/5 1-3 1,2 jan-mar mon", "59 23 31 12 7", "1/2 * * * *"} {
		f.Add(s, int64(1774745999))
	}
	f.Fuzz(func(t *testing.T, s string, at int64) {
		l, err := Parse(s)
		if err != nil {
			return
		}
		now := time.Unix(at%(1<<33), 0)
		got, ok := l.Prev(now, time.UTC)
		if ok && (got.After(now) || l.minute&(1<<got.Minute()) == 0 || l.hour&(1<<got.Hour()) == 0) {
			t.Errorf("Prev(%q, %s) = %s", s, now, got)
		}
	})
}

// TestWithin: a line that fires only when another one does is within it.
func TestWithin(t *testing.T) {
	f := func(line, other string, want bool) {
		t.Helper()
		a, err := Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse(other)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Within(&b); got != want {
			t.Errorf("%q within %q: %v, want %v", line, other, got, want)
		}
	}
	f("0 8 * * *", "0 8 * * *", true)
	f("0 8 * * 1-5", "0 8 * * mon,tue,wed,thu,fri", true)
	f("0 8 * * 1", "0,30 6-9 * * *", true)
	f("0 8 * * *", "0 8 * * 1", false)
	f("0 8 * * *", "0 18 * * *", false)
	f("0 8 29 2 *", "0 8 * * 0-6", true)
	f("0 8 13 * *", "0 8 13 * 5", true) // either day
	f("0 8 13 * 5", "0 8 13 * *", false)
	f("0 8 29 2 *", "0 8 * 2 1-6", false) // a 29th of February is a Sunday once in 28 years
}
