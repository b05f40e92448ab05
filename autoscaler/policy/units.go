package policy

import (
	"math"
	"strconv"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Amount is a Milli that may be absent. It is written as a quantity, or as "" when absent.
type Amount struct {
	Milli cluster.Milli
	Known bool
}

// Count is a whole number that may be absent. It is written as a number, or as null when absent.
type Count struct {
	N     int32
	Known bool
}

func known(m cluster.Milli) Amount { return Amount{Milli: m, Known: true} }
func count(n int32) Count          { return Count{N: n, Known: true} }

// saturate32 turns a float into an int32, held at the ends of the range; what is not a number is zero.
func saturate32(f float64) int32 {
	if math.IsNaN(f) {
		return 0
	}
	return int32(min(max(f, math.MinInt32), math.MaxInt32))
}

// saturate64 does the same for int64, whose upper end no float is.
func saturate64(f float64) int64 {
	switch {
	case math.IsNaN(f):
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	}
	return int64(max(f, math.MinInt64))
}

// seconds writes a duration for people: "3 s", "5 min", "1 h".
func seconds(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d >= 2*time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= 2*time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d%time.Second == 0:
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
	return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + " s"
}
