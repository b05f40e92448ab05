package policy

import (
	"math"
	"math/bits"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// addMilli adds, held at the ends of the range.
func addMilli(a, b cluster.Milli) cluster.Milli {
	s := a + b
	switch {
	case a > 0 && b > 0 && s < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && s >= 0:
		return math.MinInt64
	}
	return s
}

// mulDiv is a·b/c cut toward zero, held at the ends of the range; c is not zero.
func mulDiv(a, b, c int64) int64 {
	neg := (a < 0) != (b < 0) != (c < 0)
	hi, lo := bits.Mul64(abs64(a), abs64(b))
	d := abs64(c)
	if hi >= d {
		if neg {
			return math.MinInt64
		}
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, d)
	switch {
	case q > math.MaxInt64 && neg:
		return math.MinInt64
	case q > math.MaxInt64:
		return math.MaxInt64
	case neg:
		return -int64(q)
	}
	return int64(q)
}

func abs64(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}
