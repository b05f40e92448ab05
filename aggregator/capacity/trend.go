package capacity

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minTrendDays is the fewest days that a trend is made of: with four, the interval of Sen's slope at 95 % has no rank to stand on.
const minTrendDays = 5

// horizonDays is how far a trend is carried on; what lies beyond is not in sight.
const horizonDays = 730

// line is y = at + slope × (x - the last x), with bounds of the slope.
type line struct{ slope, low, high, at float64 }

// theilSen fits a line to points in order of x, of which there are at least five: the slope is the median of all pairs' slopes, its
// bounds at 95 % are those of rank (N ∓ C)/2 with C = 1.96 √Var(S) and Kendall's variance for ties,
// Var(S) = (n(n-1)(2n+5) - Σ t(t-1)(2t+5)) / 18, and the line goes through the median of y - slope × x. One day in
// four may be anything without moving it far.
//
// P. K. Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", Journal of the American Statistical Association 63
// (1968), 1379 to 1389; R. O. Gilbert, "Statistical Methods for Environmental Pollution Monitoring" (1987), 16.5 for the ranks.
func theilSen(x, y []float64) line {
	n := len(x)
	slopes := make([]float64, 0, n*(n-1)/2)
	for i := range n {
		for j := i + 1; j < n; j++ {
			if d := x[j] - x[i]; d > 0 {
				slopes = append(slopes, (y[j]-y[i])/d)
			}
		}
	}
	slices.Sort(slopes)
	c := 1.959964 * math.Sqrt(kendallVariance(y))
	pairs := float64(len(slopes))
	rank := func(r float64) float64 { return between(slopes, min(max(r-1, 0), pairs-1)) } // counted from 1
	l := line{slope: median(slopes), low: rank((pairs - c) / 2), high: rank((pairs+c)/2 + 1)}
	rest := make([]float64, n)
	for i := range n {
		rest[i] = y[i] - l.slope*(x[i]-x[n-1])
	}
	slices.Sort(rest)
	l.at = median(rest)
	return l
}

// level takes slopes that would move the values by less than a thousandth within the horizon for none: stores differ by that much in
// what their arithmetic leaves behind.
func (l line) level(y []float64) line {
	least := 0.001 / horizonDays * max(math.Abs(slices.Max(y)), math.Abs(slices.Min(y)))
	for _, v := range []*float64{&l.slope, &l.low, &l.high} {
		if math.Abs(*v) < least {
			*v = 0
		}
	}
	return l
}

// kendallVariance is the variance of Kendall's S of n values without a trend, less for values that are equal.
func kendallVariance(y []float64) float64 {
	term := func(k int) float64 { return float64(k) * float64(k-1) * float64(2*k+5) }
	sorted := slices.Sorted(slices.Values(y))
	v := term(len(sorted))
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		v -= term(j - i)
		i = j
	}
	return v / 18
}

// median of sorted values.
func median(sorted []float64) float64 { return quantile(sorted, 0.5) }

// quantile of sorted values, as PromQL's (Hyndman and Fan's type 7).
func quantile(sorted []float64, q float64) float64 { return between(sorted, q*float64(len(sorted)-1)) }

// between is the value at an index that lies between two, by proportion.
func between(sorted []float64, r float64) float64 {
	lo := int(r)
	hi := min(lo+1, len(sorted)-1)
	return sorted[lo] + (sorted[hi]-sorted[lo])*(r-float64(lo))
}

// trendOf makes the trend of a room from the days that have enough data, and says when it meets what is allocatable.
func trendOf(points []Point, enough func(t int64) bool, g grid, full *float64, unit unit) Trend {
	var x, y []float64
	for _, p := range points {
		if p.P95 != nil && (g.step < day || enough(p.T)) {
			x, y = append(x, float64(p.T)/day.Seconds()), append(y, *p.P95)
		}
	}
	if g.step < day {
		days := int(g.end.Sub(g.start) / day)
		return Trend{Days: days, Text: fmt.Sprintf("No trend: it takes a window of %d days or more.", minTrendDays)}
	}
	t := Trend{Days: len(x)}
	if len(x) < minTrendDays {
		t.Text = fmt.Sprintf("No trend: it takes %d days with data for at least half the day, and there %s.", minTrendDays, are(len(x)))
		return t
	}
	l := theilSen(x, y).level(y)
	now := l.at + l.slope*(float64(g.end.Unix())/day.Seconds()-x[len(x)-1])
	t.Slope, t.Low, t.High, t.At = &l.slope, &l.low, &l.high, &now
	if full != nil {
		t.Full, t.FullEarliest, t.FullLatest = until(now, l.slope, *full), until(now, l.high, *full), until(now, l.low, *full)
	}
	t.Text = trendText(&t, g.end, full, unit)
	return t
}

// until is in how many days a line that grows by slope a day from now reaches full; nil if not within the horizon.
func until(now, slope, full float64) *float64 {
	if now >= full {
		zero := 0.0
		return &zero
	}
	if slope <= 0 {
		return nil
	}
	if d := (full - now) / slope; d <= horizonDays {
		return &d
	}
	return nil
}

// trendText says the trend in one or two sentences.
func trendText(t *Trend, end time.Time, full *float64, u unit) string {
	between := ""
	if lo, hi := u.signed(*t.Low), u.signed(*t.High); lo != hi {
		between = fmt.Sprintf(" (%s to %s)", lo, hi)
	}
	clear := t.clear()
	var s string
	switch {
	case *t.Slope == 0 && !clear && *t.Low == *t.High:
		s = "Does not change."
	case !clear:
		s = fmt.Sprintf("No clear trend: %s a day%s.", u.signed(*t.Slope), between)
	case *t.Slope > 0:
		s = fmt.Sprintf("Grows by %s a day%s.", u.text(*t.Slope), between)
	default:
		s = fmt.Sprintf("Falls by %s a day%s.", u.text(-*t.Slope), between)
	}
	switch {
	case full == nil:
	case t.Full != nil && *t.Full == 0:
		s += " It is full now."
	case t.Full != nil && clear:
		s += fmt.Sprintf(" Full in %s, about %s%s.", days(*t.Full), end.Add(time.Duration(*t.Full*float64(day))).Format("2 January 2006"), within(t))
	case t.FullEarliest != nil:
		s += fmt.Sprintf(" Full in %s at the earliest.", days(*t.FullEarliest))
	default:
		s += " Full is not in sight."
	}
	return s
}

// within says between which days.
func within(t *Trend) string {
	from := days(*t.FullEarliest)
	switch {
	case t.FullLatest == nil:
		return " (in " + from + " at the earliest)"
	case days(*t.FullLatest) == from:
		return ""
	}
	return fmt.Sprintf(" (between %.0f and %s)", *t.FullEarliest, days(*t.FullLatest))
}

// days writes a number of days.
func days(d float64) string {
	switch {
	case d < 1:
		return "less than a day"
	case d < 9.5:
		return plural(math.Round(d), "day")
	}
	return fmt.Sprintf("%.0f days", d)
}

// numbered is what is said of one, or of n.
func numbered(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return strings.ReplaceAll(many, "%d", strconv.Itoa(n))
}

func plural(n float64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%.0f %ss", n, noun)
}

func are(n int) string {
	if n == 0 {
		return "are none"
	}
	return numbered(n, "is one", "are %d")
}
