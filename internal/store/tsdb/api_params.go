package tsdb

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// parseTime reads Unix seconds, with decimals, or RFC 3339.
func parseTime(s string) (time.Time, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > math.MaxInt64/1000 {
			return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
		}
		sec, frac := math.Modf(f)
		frac = math.Round(frac*1000) / 1000
		return time.Unix(int64(sec), int64(frac*float64(time.Second))).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
}

// timeParam reads a time, or the default where there is none.
func timeParam(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	s := r.FormValue(name)
	if s == "" {
		return otherwise, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return t, badParam(name, fmt.Errorf("invalid time value for '%s': %w", name, err))
	}
	return t, nil
}

// units of a Prometheus duration, in the order in which they must come.
var units = [...]struct {
	name string
	unit time.Duration
}{
	{"y", 365 * 24 * time.Hour}, {"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour},
	{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond},
}

// parseDuration reads seconds, with decimals, or a Prometheus duration: 1h30m, 500ms.
func parseDuration(s string) (time.Duration, error) {
	invalid := fmt.Errorf("cannot parse %q to a valid duration", s)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		d := f * float64(time.Second)
		if math.IsNaN(d) || d > math.MaxInt64 || d < math.MinInt64 {
			return 0, fmt.Errorf("%w. It overflows int64", invalid)
		}
		return time.Duration(d), nil
	}
	var total time.Duration
	from := 0
	rest := s
	for rest != "" {
		digits := 0
		for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, invalid
		}
		letters := digits
		for letters < len(rest) && 'a' <= rest[letters] && rest[letters] <= 'z' {
			letters++
		}
		i := from
		for i < len(units) && units[i].name != rest[digits:letters] {
			i++
		}
		if i == len(units) || n > int64(math.MaxInt64/units[i].unit) || total > math.MaxInt64-time.Duration(n)*units[i].unit {
			return 0, invalid
		}
		total += time.Duration(n) * units[i].unit
		from, rest = i+1, rest[letters:]
	}
	if s == "" {
		return 0, invalid
	}
	return total, nil
}

// durationParam reads a duration, or zero where there is none.
func durationParam(r *http.Request, name string) (time.Duration, error) {
	s := r.FormValue(name)
	if s == "" {
		return 0, nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return 0, badParam(name, err)
	}
	return d, nil
}

// limitParam reads a limit; zero is none.
func limitParam(r *http.Request) (int, error) {
	s := r.FormValue("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, badParam("limit", err)
	}
	if n < 0 {
		return 0, badParam("limit", errors.New("limit must be non-negative"))
	}
	return n, nil
}

// hint is one more than the limit, so that truncation shows.
func hint(limit int) int {
	if limit > 0 && limit < math.MaxInt {
		return limit + 1
	}
	return limit
}

// matcherParam reads the match[] parameters. Each must have a matcher that does not match the empty value.
func (db *DB) matcherParam(r *http.Request) ([][]*labels.Matcher, error) {
	sets, err := db.selectors(r.Form["match[]"])
	if err != nil {
		return nil, badParam("match[]", err)
	}
	for _, set := range sets {
		narrow := false
		for _, m := range set {
			narrow = narrow || m != nil && !m.Matches("")
		}
		if !narrow {
			return nil, badParam("match[]", errors.New("match[] must contain at least one non-empty matcher"))
		}
	}
	return sets, nil
}

// selection is what the label and series requests have in common.
type selection struct {
	start, end int64 // Unix milliseconds
	limit      int
	sets       [][]*labels.Matcher
}

func (db *DB) selectionParams(r *http.Request) (s selection, err error) {
	if s.limit, err = limitParam(r); err != nil {
		return s, err
	}
	s.start, s.end = math.MinInt64, math.MaxInt64
	for _, p := range []struct {
		name string
		to   *int64
	}{{"start", &s.start}, {"end", &s.end}} {
		t, err := timeParam(r, p.name, time.Time{})
		if err != nil {
			return s, err
		}
		if !t.IsZero() {
			*p.to = t.UnixMilli()
		}
	}
	s.sets, err = db.matcherParam(r)
	return s, err
}

// labelParam reads the label name in a path. Names of other alphabets come escaped, as U__name with each other
// character as its code point between underscores; the catalogue has none, so they simply match nothing.
func labelParam(r *http.Request) (string, error) {
	name := r.PathValue("name")
	if name == "" || strings.ToValidUTF8(name, "") != name {
		return "", badData(fmt.Errorf("invalid label name: %q", name))
	}
	return name, nil
}
