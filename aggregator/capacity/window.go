package capacity

import (
	"errors"
	"fmt"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
)

// ErrBadOptions is a window, size or name that no report can be made for; whoever asked has to ask otherwise.
var ErrBadOptions = errors.New("bad options")

func badOptions(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadOptions}, args...)...)
}

const day = 24 * time.Hour

// What a report's window is where none is given, and what it may be.
const (
	DefaultWindow = 14 * day // what VPA and krr look at, and two of each weekday
	MinWindow     = time.Hour
	MaxWindow     = 400 * day
)

// grid is the window of a report, cut into steps.
type grid struct {
	start, end time.Time
	step       time.Duration // of the points
	cover      time.Duration // the steps by which the presence of data is judged
	rate       time.Duration // the time that one CPU rate is taken over
}

// gridOf cuts the window that ends at now. A long window ends with a whole hour, so that stores which keep hourly roll-ups can use
// them; it is cut into days. Short ones are cut into hours or five minutes. The start moves so that all steps are whole.
func gridOf(now time.Time, window time.Duration) (grid, error) {
	if window == 0 {
		window = DefaultWindow
	}
	if window < MinWindow || window > MaxWindow {
		return grid{}, badOptions("window %q is not between %q and %q", window, MinWindow, MaxWindow)
	}
	g := grid{end: now.UTC().Truncate(time.Second), step: 5 * time.Minute, cover: time.Minute, rate: time.Minute}
	if window >= 12*time.Hour {
		g.step, g.cover = time.Hour, 5*time.Minute
	}
	if window >= 2*day {
		g.end, g.cover, g.rate = g.end.Truncate(time.Hour), time.Hour, 5*time.Minute
	}
	if window > 60*day {
		g.rate = 15 * time.Minute // a store refuses more than a hundred thousand of them
	}
	if window >= minTrendDays*day {
		g.step = day
	}
	g.start = g.end.Add(-window.Truncate(g.step))
	return g, nil
}

// steps is how many steps of a length the window has.
func (g grid) steps(of time.Duration) int { return int(g.end.Sub(g.start) / of) }

// noun is what a step is called.
func (g grid) noun() string {
	switch g.step {
	case day:
		return "day"
	case time.Hour:
		return "hour"
	}
	return "time"
}

// cpuStep is the step of a container's CPU: an hour, or five minutes where an hour is the window.
func (g grid) cpuStep() time.Duration { return min(max(g.cover, 5*time.Minute), time.Hour) }

// data says how much of the window there is data for, by the ends of the cover steps that have some, in time order, and by when it begins in the first of
// them; zero: with it.
func (g grid) data(ends []int64, begins time.Time) Data {
	all := g.steps(g.cover)
	if len(ends) == 0 {
		return Data{Text: "There is no history of it in this window."}
	}
	first, last := time.UnixMilli(ends[0]).UTC().Add(-g.cover), time.UnixMilli(ends[len(ends)-1]).UTC()
	steps, holes := float64(len(ends)), int(last.Sub(first)/g.cover)-len(ends)
	if into := begins.Sub(first); into > 0 && into <= g.cover {
		steps -= float64(into) / float64(g.cover)
		first = begins
	}
	d := Data{Coverage: min(1, steps/float64(all)), First: &first, Last: &last}
	late, early := first.Sub(g.start), g.end.Sub(last)
	switch {
	case holes > 0:
		d.Text = fmt.Sprintf("There is data for %s of the window; missing in between: %s.", share(d.Coverage), span(time.Duration(holes)*g.cover))
	case late >= g.cover && early >= g.cover:
		d.Text = fmt.Sprintf("There is data for %s of the window, from %s to %s.", share(d.Coverage), stamp(first), stamp(last))
	case late >= g.cover:
		d.Text = fmt.Sprintf("There is data for %s of the window: it begins on %s.", share(d.Coverage), stamp(first))
	case early >= g.cover:
		d.Text = fmt.Sprintf("There is data for %s of the window: it ends on %s.", share(d.Coverage), stamp(last))
	}
	return d
}

// gridUpTo is the grid of a window that ends with the live picture.
func gridUpTo(s *live.Snapshot, window time.Duration) (grid, error) {
	if s == nil {
		return grid{}, badOptions("no live picture")
	}
	g, err := gridOf(s.Time, window)
	if err == nil && (g.end.Year() < 1971 || g.end.Year() > 2099) {
		err = badOptions("time %q is out of range", g.end.Format(time.RFC3339))
	}
	return g, err
}
