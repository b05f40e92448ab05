package capacity

import (
	"errors"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
)

func emptySnapshot() *live.Snapshot {
	return &live.Snapshot{Time: fixtureEnd, Cluster: &live.Item{Entity: &metric.Entity{Level: metric.Cluster}}}
}

func TestGrid(t *testing.T) {
	now := time.Date(2026, 11, 24, 14, 35, 7, 5, time.UTC)
	f := func(window time.Duration, start, end string, step, cover, rate time.Duration) {
		t.Helper()
		g, err := gridOf(now, window)
		if err != nil {
			t.Fatal(err)
		}
		form := "01-02 15:04:05"
		if g.start.Format(form) != start || g.end.Format(form) != end || g.step != step || g.cover != cover || g.rate != rate {
			t.Errorf("%v: %+v, want %s to %s by %v, %v, %v", window, g, start, end, step, cover, rate)
		}
		if n := g.steps(g.cover); n > 11000 {
			t.Errorf("%v: %d points a series", window, n)
		}
	}
	f(0, "11-10 14:00:00", "11-24 14:00:00", day, time.Hour, 5*time.Minute)
	f(5*day, "11-19 14:00:00", "11-24 14:00:00", day, time.Hour, 5*time.Minute)
	f(2*day, "11-22 14:00:00", "11-24 14:00:00", time.Hour, time.Hour, 5*time.Minute)
	f(36*time.Hour+time.Minute, "11-23 02:35:07", "11-24 14:35:07", time.Hour, 5*time.Minute, time.Minute)
	f(time.Hour, "11-24 13:35:07", "11-24 14:35:07", 5*time.Minute, time.Minute, time.Minute)
	f(400*day, "10-20 14:00:00", "11-24 14:00:00", day, time.Hour, 15*time.Minute)
}

func TestBadOptions(t *testing.T) {
	s := emptySnapshot()
	for _, w := range []time.Duration{-time.Hour, time.Minute, 401 * day} {
		if _, err := Capacity(t.Context(), nil, s, CapacityOptions{Window: w}); !errors.Is(err, ErrBadOptions) {
			t.Errorf("capacity over %v: %v, want bad options", w, err)
		}
		if _, err := Rightsize(t.Context(), nil, s, nil, RightsizeOptions{Window: w}); !errors.Is(err, ErrBadOptions) {
			t.Errorf("right sizes over %v: %v, want bad options", w, err)
		}
	}
	if _, err := Capacity(t.Context(), nil, nil, CapacityOptions{}); !errors.Is(err, ErrBadOptions) {
		t.Errorf("without a picture: %v, want bad options", err)
	}
	s.Time = time.Unix(0, 0)
	if _, err := Capacity(t.Context(), nil, s, CapacityOptions{}); !errors.Is(err, ErrBadOptions) {
		t.Errorf("in 1970: %v, want bad options", err)
	}
}

func TestData(t *testing.T) {
	g := fixtureGrid()
	hours := func(from, to int) (out []int64) {
		for h := from; h < to; h++ {
			out = append(out, g.start.Add(time.Duration(h+1)*time.Hour).UnixMilli())
		}
		return out
	}
	var begins time.Time
	f := func(ends []int64, coverage float64, text string) {
		t.Helper()
		d := g.data(ends, begins)
		if !near(d.Coverage, coverage, 1e-9) || d.Text != text || (d.First == nil) != (len(ends) == 0) {
			t.Errorf("%g, %q\nwant %g, %q", d.Coverage, d.Text, coverage, text)
		}
	}
	f(nil, 0, "There is no history of it in this window.")
	f(hours(0, 336), 1, "")
	f(hours(168, 336), 0.5, "There is data for 50 % of the window: it begins on 17 November 12:00 UTC.")
	f(hours(0, 168), 0.5, "There is data for 50 % of the window: it ends on 17 November 12:00 UTC.")
	f(hours(84, 168), 0.25, "There is data for 25 % of the window, from 14 November 00:00 UTC to 17 November 12:00 UTC.")
	f(append(hours(0, 100), hours(101, 336)...), 335.0/336, "There is data for 99.7 % of the window; missing in between: 1 hour.")
	f(append(hours(0, 100), hours(172, 336)...), 264.0/336, "There is data for 79 % of the window; missing in between: 3 days.")
	begins = g.start.Add(167*time.Hour + 45*time.Minute)
	f(hours(167, 336), 168.25/336, "There is data for 50 % of the window: it begins on 17 November 11:45 UTC.")
	begins = g.start.Add(168 * time.Hour)
	f(hours(167, 336), 0.5, "There is data for 50 % of the window: it begins on 17 November 12:00 UTC.")
}

func TestUnits(t *testing.T) {
	f := func(u unit, v float64, want string) {
		t.Helper()
		if got := u.text(v); got != want {
			t.Errorf("%g is %q, want %q", v, got, want)
		}
	}
	f(coresUnit, 0, "0m")
	f(coresUnit, 0.25, "250m")
	f(coresUnit, 0.0012, "1.2m")
	f(coresUnit, -0.0001, "-0.1m")
	f(coresUnit, -0.00001, "0m")
	f(coresUnit, 0.9999, "1")
	f(coresUnit, 1.25, "1.25")
	f(coresUnit, -1.5, "-1.5")
	f(coresUnit, 12, "12")
	f(coresUnit, 123.46, "123.5")
	f(bytesUnit, 0, "0")
	f(bytesUnit, 1023, "1023")
	f(bytesUnit, 1536, "2Ki")
	f(bytesUnit, 512*mi, "512Mi")
	f(bytesUnit, 1023.7*mi, "1Gi")
	f(bytesUnit, 1.55*gi, "1.6Gi")
	f(bytesUnit, -20*gi, "-20Gi")
	f(bytesUnit, 1e19, "8882Pi")
}

func TestRounding(t *testing.T) {
	f := func(round func(float64) float64, v, want float64) {
		t.Helper()
		if got := round(v); got != want {
			t.Errorf("%g is rounded to %g, want %g", v, got, want)
		}
	}
	f(roundCPU, 0.001, 0.01)
	f(roundCPU, 0.13, 0.13)
	f(roundCPU, 0.14/0.7, 0.2) // 0.20000000000000004
	f(roundCPU, 0.1301, 0.14)
	f(roundCPU, 1.01, 1.05)
	f(roundCPU, 10.2, 10.5)
	f(roundMemory, 1, mi)
	f(roundMemory, 115*mi, 115*mi)
	f(roundMemory, 1.15*gi, 1184*mi)
	f(roundMemory, 17*gi+1, 17.25*gi)
}
