package top

import (
	"fmt"
	"math"
)

// meant is where a number has more digits than it can mean.
const meant = 1e15

// cell prints a number that may not be known.
func cell(v *float64, factor float64, decimals int, unit string) string {
	if v == nil {
		return "-"
	}
	if x := *v * factor; math.Abs(x) >= meant {
		return fmt.Sprintf("%.3g%s", x, unit)
	}
	return fmt.Sprintf("%.*f%s", decimals, *v*factor, unit)
}

func cores(v *float64) string   { return cell(v, 1000, 0, "m") } // as kubectl does: 1250m
func percent(v *float64) string { return cell(v, 100, 0, "%") }  // a ratio: 31%
func count(v *float64) string   { return cell(v, 1, 0, "") }

// mebibytes prints bytes as kubectl does, 512Mi, as long as that can be read.
func mebibytes(v *float64) string {
	switch {
	case v != nil && math.Abs(*v) >= 1<<60:
		return cell(v, 1./(1<<60), 1, "Ei")
	case v != nil && math.Abs(*v) >= 1<<50:
		return cell(v, 1./(1<<50), 1, "Pi")
	}
	return cell(v, 1./(1<<20), 0, "Mi")
}

// share prints part of whole as a percentage.
func share(part, whole *float64) string {
	if part == nil || whole == nil || *whole <= 0 {
		return "-"
	}
	ratio := *part / *whole
	return percent(&ratio)
}

// perSecond prints bytes a second.
func perSecond(v *float64) string {
	switch {
	case v != nil && *v >= 1e15:
		return cell(v, 1e-15, 1, "PB/s")
	case v != nil && *v >= 1e6:
		return cell(v, 1e-6, 1, "MB/s")
	case v != nil && *v >= 1e3:
		return cell(v, 1e-3, 1, "kB/s")
	}
	return cell(v, 1, 0, "B/s")
}
