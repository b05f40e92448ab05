package policy

import (
	"math"
	"math/bits"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// numbers is how a pass computes: exactly and held at the ends of the range, or as the HPA's Go code does where wrap is set. What the
// processor makes of a float that does not fit an integer is then the answer here as there.
type numbers struct{ wrap bool }

// add adds two amounts.
func (x numbers) add(a, b cluster.Milli) cluster.Milli {
	if x.wrap {
		return a + b
	}
	return a.Plus(b)
}

// mulDiv is a·b/c cut toward zero; c is not zero.
func (x numbers) mulDiv(a, b, c int64) int64 {
	if x.wrap {
		return a * b / c
	}
	return mulDiv(a, b, c)
}

// whole turns a whole number into one of 32 bits.
func (x numbers) whole(n int64) int32 {
	if x.wrap {
		return int32(n)
	}
	return int32(min(max(n, math.MinInt32), math.MaxInt32))
}

// count turns a float into a count.
func (x numbers) count(f float64) int32 {
	if x.wrap {
		return int32(f)
	}
	return saturate32(f)
}

// amount turns a float into an amount.
func (x numbers) amount(f float64) cluster.Milli {
	if x.wrap {
		return cluster.Milli(f)
	}
	return cluster.Milli(saturate64(f))
}

// window is the controller's stabilisation as a behavior uses it: the HPA cuts it to whole seconds.
func (x numbers) window(d time.Duration) time.Duration {
	if x.wrap {
		return time.Duration(int32(d.Seconds())) * time.Second
	}
	return d
}

// total adds up the values of an External metric. The HPA holds a sum at the upper end of its range; of an average per replica it
// takes any sum below zero for one that ran over that end.
func (x numbers) total(values []cluster.Milli, average bool) (sum cluster.Milli) {
	for _, v := range values {
		if x.wrap && !average && v > 0 && sum > math.MaxInt64-v {
			return math.MaxInt64
		}
		if sum = x.add(sum, v); x.wrap && average && sum < 0 {
			return math.MaxInt64
		}
	}
	return sum
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
