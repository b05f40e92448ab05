// Package cron reads the five fields of a cron line and says when it last fired. It is what ScalePolicy schedules
// are written in: minute hour day-of-month month day-of-week, with *, lists, ranges, steps and English names.
//
// A local time that a change of the clock skips fires at the change; one that comes twice fires the first time.
package cron

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Line is a parsed cron line. It does not change.
type Line struct {
	minute, hour, dom, month, dow uint64 // bit n is value n
	anyDom, anyDow                bool   // the field began with *
}

// field describes one of the five.
type field struct {
	name   string
	lo, hi int
	names  []string // names of lo, lo+1, ...
}

var fields = [5]field{
	{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// Parse reads a cron line.
func Parse(s string) (Line, error) {
	parts := strings.Fields(s)
	if len(parts) != len(fields) {
		return Line{}, fmt.Errorf("cron line %q has %d fields, not 5: minute hour day month weekday", s, len(parts))
	}
	var bits [5]uint64
	for i, p := range parts {
		b, err := fields[i].parse(p)
		if err != nil {
			return Line{}, fmt.Errorf("cron line %q: %w", s, err)
		}
		bits[i] = b
	}
	l := Line{minute: bits[0], hour: bits[1], dom: bits[2], month: bits[3], dow: bits[4]}
	if l.dow&(1<<7) != 0 { // 7 is Sunday too
		l.dow = l.dow&^(1<<7) | 1
	}
	l.anyDom, l.anyDow = strings.HasPrefix(parts[2], "*"), strings.HasPrefix(parts[4], "*")
	if !l.possible() {
		return Line{}, fmt.Errorf("cron line %q never fires: no such day in those months", s)
	}
	return l, nil
}

// parse reads one field into bits.
func (f *field) parse(s string) (uint64, error) {
	var bits uint64
	for _, item := range strings.Split(s, ",") {
		span, step, stepped := strings.Cut(item, "/")
		by := 1
		if stepped {
			n, err := strconv.Atoi(step)
			if err != nil || n < 1 || n > f.hi {
				return 0, fmt.Errorf("%s %q: step %q is not a number from 1 to %d", f.name, s, step, f.hi)
			}
			by = n
		}
		lo, hi, err := f.span(span, stepped)
		if err != nil {
			return 0, fmt.Errorf("%s %q: %w", f.name, s, err)
		}
		for v := lo; v <= hi; v += by {
			bits |= 1 << v
		}
	}
	return bits, nil
}

// span reads *, n, or n-m. "n/step" runs to the end of the field.
func (f *field) span(s string, stepped bool) (lo, hi int, err error) {
	if s == "*" {
		return f.lo, f.hi, nil
	}
	first, last, ranged := strings.Cut(s, "-")
	if lo, err = f.value(first); err != nil {
		return 0, 0, err
	}
	switch {
	case ranged:
		if hi, err = f.value(last); err != nil {
			return 0, 0, err
		}
	case stepped:
		hi = f.hi
	default:
		hi = lo
	}
	if hi < lo {
		return 0, 0, fmt.Errorf("range %q runs backwards", s)
	}
	return lo, hi, nil
}

func (f *field) value(s string) (int, error) {
	for i, n := range f.names {
		if strings.EqualFold(n, s) {
			return f.lo + i, nil
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < f.lo || n > f.hi || strings.HasPrefix(s, "+") {
		return 0, fmt.Errorf("%q is not a value from %d to %d", s, f.lo, f.hi)
	}
	return n, nil
}

// possible says whether there is any day on which the line fires.
func (l *Line) possible() bool {
	if !l.anyDow {
		return true
	}
	longest := [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	for m := 1; m <= 12; m++ {
		for d := 1; d <= longest[m] && l.month&(1<<m) != 0; d++ {
			if l.dom&(1<<d) != 0 {
				return true
			}
		}
	}
	return false
}

// Within says whether the line fires only at times at which the other one does, in every year there is.
func (l *Line) Within(other *Line) bool {
	if l.minute&^other.minute != 0 || l.hour&^other.hour != 0 {
		return false
	}
	for d := time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC); d.Year() < 2028; d = d.AddDate(0, 0, 1) { // then the weekdays begin again
		if l.day(d) && !other.day(d) {
			return false
		}
	}
	return true
}

// day says whether the line fires on a date. As in cron, a date is right when either day field is, if both are given.
func (l *Line) day(t time.Time) bool {
	if l.month&(1<<int(t.Month())) == 0 {
		return false
	}
	dom, dow := l.dom&(1<<t.Day()) != 0, l.dow&(1<<int(t.Weekday())) != 0
	if l.anyDom || l.anyDow {
		return dom && dow
	}
	return dom || dow
}
