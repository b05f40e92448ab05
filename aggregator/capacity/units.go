package capacity

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit says how a resource is written.
type unit int

const (
	coresUnit unit = iota
	bytesUnit
)

// text writes an amount as kubectl does: 250m, 1.5, 512Mi.
func (u unit) text(v float64) string {
	if u == bytesUnit {
		return bytesText(v)
	}
	return coresText(v)
}

// signed is text with a plus before what is not negative.
func (u unit) signed(v float64) string {
	s := u.text(v)
	if strings.Trim(s, "0.m") == "" {
		return s
	}
	if !strings.HasPrefix(s, "-") {
		return "+" + s
	}
	return strings.Replace(s, "-", "−", 1)
}

// full is text with the resource's name.
func (u unit) full(v float64) string {
	if u == bytesUnit {
		return bytesText(v) + " memory"
	}
	return coresText(v) + " CPU"
}

func coresText(v float64) string {
	switch a := math.Abs(v); {
	case a >= 9.9995:
		return trim(v, 1)
	case a >= 0.9995:
		return trim(v, 2)
	case a >= 0.01 || a < 5e-5:
		return unminus(fmt.Sprintf("%.0fm", v*1000))
	default:
		return fmt.Sprintf("%.1fm", v*1000)
	}
}

func bytesText(v float64) string {
	const k = 1024
	units := [...]string{"", "Ki", "Mi", "Gi", "Ti", "Pi"}
	i := 0
	for a := math.Abs(v); a >= k-0.5 && i < len(units)-1; i++ {
		v, a = v/k, a/k
	}
	if math.Abs(v) < 9.95 && i >= 3 {
		return trim(v, 1) + units[i]
	}
	return trim(v, 0) + units[i]
}

// trim writes a number with at most so many decimals, and with no more digits than it can mean.
func trim(v float64, decimals int) string {
	if math.Abs(v) >= 1e15 {
		return fmt.Sprintf("%.3g", v)
	}
	return decimal(v, decimals)
}

// decimal writes a number with at most so many decimals.
func decimal(v float64, decimals int) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return unminus(s)
}

// unminus takes the sign from nothing.
func unminus(s string) string {
	if strings.Trim(s, "-0.m") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return s
}

// raw writes a number in base units, without what arithmetic leaves behind the ninth decimal.
func raw(v float64) string { return decimal(v, 9) }

// share writes a ratio as a percentage. It is 100 % only when nothing is missing.
func share(v float64) string {
	p := v * 100
	switch {
	case p > 99.5 && p < 100:
		return fmt.Sprintf("%.1f %%", math.Floor(p*10)/10)
	case p > 0 && p < 9.95:
		return trim(p, 1) + " %"
	}
	return trim(p, 0) + " %"
}

// span writes how long something is.
func span(d time.Duration) string {
	switch {
	case d >= 2*day:
		return trim(d.Hours()/24, 1) + " days"
	case d >= 2*time.Hour:
		return trim(d.Hours(), 1) + " hours"
	case d >= 59*time.Minute+30*time.Second && d < 61*time.Minute:
		return "1 hour"
	}
	return plural(math.Round(d.Minutes()), "minute")
}

// stamp writes a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2 January 15:04 UTC") }
