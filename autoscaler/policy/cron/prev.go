package cron

import "time"

// horizon is how many days back a firing is looked for: eight years, the longest time between two 29ths of February.
const horizon = 8*366 + 1

// overlap is more than any clock was ever put back.
const overlap = 3 * 60 // minutes

// Prev returns the last time at or before t at which the line fired, in the location loc; ok is false if it did not
// within eight years.
func (l *Line) Prev(t time.Time, loc *time.Location) (fired time.Time, ok bool) {
	local := t.In(loc)
	y, m, d := local.Date()
	limit := local.Hour()*60 + local.Minute() + overlap // no later minute of today can have come already
	for back := range horizon {
		noon := time.Date(y, m, d-back, 12, 0, 0, 0, time.UTC)
		if back > 0 {
			limit = 24 * 60
		}
		if !l.day(noon) {
			continue
		}
		if fired, ok = l.prevOn(noon, limit, t, loc); ok {
			return fired, true
		}
	}
	return time.Time{}, false
}

// prevOn returns the last firing at or before t on one date, among the minutes of the day up to limit.
func (l *Line) prevOn(date time.Time, limit int, t time.Time, loc *time.Location) (time.Time, bool) {
	for h := 23; h >= 0; h-- {
		if l.hour&(1<<h) == 0 {
			continue
		}
		for min := 59; min >= 0; min-- {
			if l.minute&(1<<min) == 0 || h*60+min > limit {
				continue
			}
			if at := instant(date, h, min, loc); !at.After(t) {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// instant turns a local date and time into a moment: the change of the clock if the time is skipped, the first of two
// if it comes twice.
func instant(date time.Time, h, min int, loc *time.Location) time.Time {
	at := time.Date(date.Year(), date.Month(), date.Day(), h, min, 0, 0, loc)
	start, end := at.ZoneBounds()
	if wall := at.Hour()*60 + at.Minute(); wall != h*60+min || at.Day() != date.Day() {
		wanted := time.Date(date.Year(), date.Month(), date.Day(), h, min, 0, 0, time.UTC)
		have := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC)
		if have.After(wanted) { // at lies after the change
			return start
		}
		return end
	}
	if start.IsZero() {
		return at
	}
	_, now := at.Zone()
	_, before := start.Add(-1).Zone()
	if earlier := at.Add(-time.Duration(before-now) * time.Second); before > now && earlier.Before(start) {
		return earlier
	}
	return at
}
