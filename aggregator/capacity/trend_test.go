package capacity

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func near(a, b, rel float64) bool { return math.Abs(a-b) <= rel*max(math.Abs(a), math.Abs(b))+1e-12 }

func TestTheilSenByHand(t *testing.T) {
	// Five values: slopes 2 1 4 0.. are few enough to write down. x = 1..5, y = 1 3 2 6 5:
	// (2) (1/2) (5/3) (1) | (-1) (3/2) (2/3) | (4) (3/2) | (-1); sorted -1 -1 .5 .667 1 1.5 1.5 1.667 2 4; median (1+1.5)/2.
	l := theilSen([]float64{1, 2, 3, 4, 5}, []float64{1, 3, 2, 6, 5})
	if want := 1.25; !near(l.slope, want, 1e-9) {
		t.Errorf("slope %g, want %g", l.slope, want)
	}
	// Var(S) = 5·4·15/18 = 16.667, C = 1.96·4.0825 = 8.0016: ranks (10-8.0016)/2 = 0.9992 (the first) and 10.0008 (the last).
	if l.low != -1 || l.high != 4 {
		t.Errorf("interval %g to %g, want -1 to 4", l.low, l.high)
	}
	// y - 1.25(x - 5): 6, 6.75, 4.5, 7.25, 5; median 6.
	if want := 6.0; !near(l.at, want, 1e-9) {
		t.Errorf("at the end %g, want %g", l.at, want)
	}
}

// What is left behind by a store's arithmetic is no trend, in whatever order it falls.
func TestLevel(t *testing.T) {
	x, y := make([]float64, 20), make([]float64, 20)
	for i := range x {
		x[i], y[i] = float64(i), 0.25+1e-9*math.Sin(float64(7*i))
	}
	if l := theilSen(x, y).level(y); l.slope != 0 || l.low != 0 || l.high != 0 || !near(l.at, 0.25, 1e-6) {
		t.Errorf("got %+v, want a level line at 0.25", l)
	}
	for i := range x {
		y[i] = 0.25 + 1e-5*float64(i)
	}
	if l := theilSen(x, y).level(y); !near(l.slope, 1e-5, 1e-6) || l.low <= 0 {
		t.Errorf("got %+v, want a slope of 1e-5", l)
	}
}

func TestKendallVariance(t *testing.T) {
	for _, c := range []struct {
		y    []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4, 5}, 300.0 / 18},
		{[]float64{1, 2, 2, 4, 5}, (300.0 - 2*1*9) / 18},
		{[]float64{7, 7, 7, 7, 7}, 0},
	} {
		if got := kendallVariance(c.y); !near(got, c.want, 1e-12) {
			t.Errorf("variance of %v is %g, want %g", c.y, got, c.want)
		}
	}
}

func TestTheilSenFindsALine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(5, 60).Draw(t, "n")
		slope, from := rapid.Float64Range(-1e3, 1e3).Draw(t, "slope"), rapid.Float64Range(-1e6, 1e6).Draw(t, "from")
		x, y := make([]float64, n), make([]float64, n)
		at := 0.0
		for i := range n {
			at += float64(rapid.IntRange(1, 3).Draw(t, "gap"))
			x[i], y[i] = at, from+slope*at
		}
		// A tenth of the days may be anything.
		for range n / 10 {
			y[rapid.IntRange(0, n-1).Draw(t, "wild")] = rapid.Float64Range(-1e9, 1e9).Draw(t, "value")
		}
		l := theilSen(x, y)
		if tolerance := 1e-6 * (1 + math.Abs(from)); math.Abs(l.slope-slope) > tolerance {
			t.Fatalf("slope %g of a line with a tenth of the days off, want %g", l.slope, slope)
		} else if l.low-tolerance > slope || slope > l.high+tolerance {
			t.Fatalf("the slope %g is not between %g and %g, though only a tenth of the days are off", slope, l.low, l.high)
		}
		if !(l.low <= l.slope+1e-9 && l.slope <= l.high+1e-9) {
			t.Fatalf("slope %g is not between %g and %g", l.slope, l.low, l.high)
		}
		for i := range y {
			y[i] += 7 * (x[i] - x[n-1])
		}
		if m := theilSen(x, y); !near(m.slope, l.slope+7, 1e-6) && math.Abs(m.slope-l.slope-7) > 1e-6*(1+math.Abs(from)) {
			t.Fatalf("slope %g after 7 a day were added to %g", m.slope, l.slope)
		}
	})
}

func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 50).Draw(t, "values")
		slices.Sort(vs)
		a, b := rapid.Float64Range(0, 1).Draw(t, "a"), rapid.Float64Range(0, 1).Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		if x, y := quantile(vs, a), quantile(vs, b); x > y+1e-6 || x < vs[0]-1e-6 || y > vs[len(vs)-1]+1e-6 {
			t.Fatalf("quantiles %g and %g of %v are %g and %g", a, b, vs, x, y)
		}
	})
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 0.95: 3.85, 1: 4} {
		if got := quantile([]float64{1, 2, 3, 4}, q); !near(got, want, 1e-12) {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
}

func TestTrendOf(t *testing.T) {
	end := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	g := grid{start: end.Add(-14 * day), end: end, step: day, cover: time.Hour}
	daily := func(vs ...float64) (out []Point) {
		for i := range vs {
			out = append(out, Point{T: end.Add(-time.Duration(len(vs)-1-i) * day).Unix(), P95: &vs[i]})
		}
		return out
	}
	always := func(int64) bool { return true }
	ten := 10.0
	f := func(name string, points []Point, enough func(int64) bool, full *float64, wantDays int, want string) {
		t.Helper()
		got := trendOf(points, enough, g, full, coresUnit)
		if got.Days != wantDays || got.Text != want {
			t.Errorf("%s: %d days, %q\nwant %d days, %q", name, got.Days, got.Text, wantDays, want)
		}
	}
	f("few days", daily(1, 2, 3, 4), always, &ten, 4, "No trend: it takes 5 days with data for at least half the day, and there are 4.")
	f("no day", nil, always, &ten, 0, "No trend: it takes 5 days with data for at least half the day, and there are none.")
	f("half days", daily(1, 2, 3, 4, 5, 6), func(t int64) bool { return t != end.Unix() && t != end.Add(-day).Unix() }, &ten, 4,
		"No trend: it takes 5 days with data for at least half the day, and there are 4.")
	f("a line", daily(1, 1.5, 2, 2.5, 3, 3.5), always, &ten, 6,
		"Grows by 500m a day. Full in 13 days, about 7 December 2026.")
	f("no limit", daily(1, 1.5, 2, 2.5, 3, 3.5), always, nil, 6, "Grows by 500m a day.")
	f("flat", daily(2, 2, 2, 2, 2), always, &ten, 5, "Does not change. Full is not in sight.")
	f("falls", daily(5, 4.5, 4, 3.5, 3, 2.5), always, &ten, 6, "Falls by 500m a day. Full is not in sight.")
	f("slow", daily(1, 1.001, 1.002, 1.003, 1.004), always, &ten, 5, "Grows by 1.0m a day. Full is not in sight.")
	f("full", daily(9, 10, 11, 12, 13), always, &ten, 5, "Grows by 1 a day. It is full now.")
	// Fifteen slopes of median 0; ties leave Var(S) = (510-3·18)/18 = 25.33, C = 9.865: ranks 2.57 and 13.43.
	f("noise", daily(1, 3, 2, 3, 1, 2), always, &ten, 6, "No clear trend: 0m a day (−811m to +1). Full in 8 days at the earliest.")
}
