// Package duration reads and writes durations as people give them to flags and to the API: what time.ParseDuration reads, and days
// and weeks before it or alone. Prometheus' own parser (prometheus/common/model) cannot serve: it knows no fractions, and 1.5d,
// 0.5h and 1.5h30m are in use.
package duration

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// mostDays is the most that days and weeks may come to: a hundred years.
const mostDays = 36500

// Parse reads "15d", "2w", "1.5d", "36h", "1w2d" or "1d12h". Days and weeks are not negative.
func Parse(s string) (time.Duration, error) {
	rest, days := s, 0.0
	for _, u := range []struct {
		name string
		days float64
	}{{"w", 7}, {"d", 1}} {
		n, after, ok := strings.Cut(rest, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(n, 64)
		if err != nil {
			return 0, unreadable(s)
		}
		if days += v * u.days; !(v >= 0 && days <= mostDays) {
			return 0, fmt.Errorf("%q is not between 0 and 100 years", s)
		}
		rest = after
	}
	whole := time.Duration(days * float64(day))
	if rest == "" && s != "" {
		return whole, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || rest != s && (d < 0 || d > day*mostDays-whole) {
		return 0, unreadable(s)
	}
	return whole + d, nil
}

func unreadable(s string) error {
	return fmt.Errorf("%q is no duration: want one such as 15d or 36h", s)
}

// Format writes what Parse reads as the same: whole days as days, and no units that are zero at the end.
func Format(d time.Duration) string {
	if d >= day && d <= mostDays*day && d%day == 0 { // more days are not read
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
