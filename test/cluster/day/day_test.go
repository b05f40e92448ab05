package day

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestShape(t *testing.T) {
	got, err := Shape()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range got {
		sum += n
	}
	night, noon := got[6*12:9*12], got[16*12:19*12]
	if len(got) != Points || got[0] != 86 || got[Points-1] != 79 || slices.Max(got) != 232 || slices.Min(got) != 14 {
		t.Errorf("got %d points from %d to %d, %d to %d", len(got), got[0], got[Points-1], slices.Min(got), slices.Max(got))
	}
	if slices.Max(night) >= 60 || slices.Max(noon) < 100 || sum/Points < 50 || sum/Points > 70 {
		t.Errorf("it is not the day that it was: mean %d, at night up to %d, by day up to %d", sum/Points, slices.Max(night), slices.Max(noon))
	}
}

func TestRead(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := read(text)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%.20q: got %q, want %q", text, got, want)
		}
	}
	f(strings.Repeat("1 ", Points), "")
	f("# 2 3\n"+strings.Repeat("1\n", Points), "")
	f(strings.Repeat("1 ", Points-1), "287 points")
	f(strings.Repeat("1 ", Points+1), "289 points")
	f("", "0 points")
	f("1\nmany\n", `line 2: strconv.ParseUint: parsing "many"`)
	f("-1", "invalid syntax")
	f("99999999999", "out of range")
}

func TestAccount(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	f := func(name string, load []Load, crew []Crew, end int, want Sums) {
		t.Helper()
		if got := Account(load, crew, at(end), 100, 0.5); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	sec := time.Second
	f("no load", nil, []Crew{{at(0), 1, 1}}, 10, Sums{})
	f("enough", []Load{{at(0), 100}}, []Crew{{at(-5), 2, 2}}, 10, Sums{10 * sec, 0, 0, 20})
	f("over the target", []Load{{at(0), 101}}, []Crew{{at(-5), 2, 2}}, 10, Sums{10 * sec, 10 * sec, 0, 20})
	f("over the requests", []Load{{at(0), 201}}, []Crew{{at(-5), 2, 2}}, 10, Sums{10 * sec, 10 * sec, 10 * sec, 20})
	f("raised late, ready later", []Load{{at(0), 50}, {at(4), 150}}, []Crew{{at(0), 1, 1}, {at(6), 3, 1}, {at(8), 3, 3}}, 10, Sums{10 * sec, 4 * sec, 4 * sec, 6 + 12})
	f("pods from nowhere", []Load{{at(0), 1}}, []Crew{{at(3), 1, 1}}, 10, Sums{10 * sec, 3 * sec, 3 * sec, 7})
	f("what is after the end does not count", []Load{{at(0), 50}, {at(20), 500}}, []Crew{{at(0), 1, 1}, {at(15), 9, 0}}, 10, Sums{10 * sec, 0, 0, 10})
	f("several at one moment: the last holds", []Load{{at(0), 900}, {at(0), 50}}, []Crew{{at(0), 1, 0}, {at(0), 1, 1}}, 10, Sums{10 * sec, 0, 0, 10})

	load := []Load{{at(0), 50}, {at(10), 51}, {at(20), 0}, {at(30), 1000}}
	exact := Exact(load, 100, 0.5, 1, 4)
	if want := []Crew{{at(0), 1, 1}, {at(10), 2, 2}, {at(20), 1, 1}, {at(30), 4, 4}}; !slices.Equal(exact, want) {
		t.Errorf("got %v, want %v", exact, want)
	}
	f("exact", load, exact, 40, Sums{40 * sec, 10 * sec, 10 * sec, 80})
}
