package top

import "fmt"

// cell prints a number that may not be known.
func cell(v *float64, factor float64, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v*factor)
}

func cores(v *float64) string     { return cell(v, 1000, "%.0fm") }        // as kubectl does: 1250m
func mebibytes(v *float64) string { return cell(v, 1./(1<<20), "%.0fMi") } // as kubectl does: 512Mi
func percent(v *float64) string   { return cell(v, 100, "%.0f%%") }        // a ratio: 31%
func count(v *float64) string     { return cell(v, 1, "%.0f") }

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
	case v != nil && *v >= 1e6:
		return cell(v, 1e-6, "%.1fMB/s")
	case v != nil && *v >= 1e3:
		return cell(v, 1e-3, "%.1fkB/s")
	}
	return cell(v, 1, "%.0fB/s")
}
