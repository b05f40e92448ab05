package policy

import (
	"math"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// WishedReplicas is a number of replicas that somebody asks for: what the scale subresource has in its spec, and
// what a decision wants there.
type WishedReplicas int32

// ObservedReplicas is a number of replicas that were seen to exist.
type ObservedReplicas int32

// Milli is an amount in thousandths of its unit: millicores, thousandths of a byte. The HPA computes in these.
type Milli int64

// MilliOf turns a quantity into thousandths, rounded up as the HPA does, and held at the ends of the range
// instead of wrapping.
func MilliOf(q resource.Quantity) Milli {
	f := q.AsApproximateFloat64()
	switch {
	case f >= math.MaxInt64/1000:
		return math.MaxInt64
	case f <= math.MinInt64/1000:
		return math.MinInt64
	}
	return Milli(q.MilliValue())
}

// MilliOfFloat turns a number in the base unit (cores, bytes) into thousandths, rounded up like MilliOf. What is
// not a number is zero.
func MilliOfFloat(f float64) Milli {
	return Milli(saturate64(math.Ceil(f * 1000)))
}

// Float gives the amount in its base unit.
func (m Milli) Float() float64 { return float64(m) / 1000 }

// String writes the amount as Kubernetes does: "150m", "2", "64Mi" never (the HPA writes decimal).
func (m Milli) String() string {
	if m >= 0 && m < 1000 {
		if m == 0 {
			return "0"
		}
		return strconv.FormatInt(int64(m), 10) + "m"
	}
	return resource.NewMilliQuantity(int64(m), resource.DecimalSI).String()
}

// Amount is a Milli that may be absent. It is written as a quantity, or as "" when absent.
type Amount struct {
	Milli Milli
	Known bool
}

// Count is a whole number that may be absent. It is written as a number, or as null when absent.
type Count struct {
	N     int32
	Known bool
}

func known(m Milli) Amount { return Amount{Milli: m, Known: true} }
func count(n int32) Count  { return Count{N: n, Known: true} }

// saturate32 turns a float into an int32, held at the ends of the range; what is not a number is zero.
func saturate32(f float64) int32 {
	switch {
	case f != f:
		return 0
	case f >= math.MaxInt32:
		return math.MaxInt32
	case f <= math.MinInt32:
		return math.MinInt32
	}
	return int32(f)
}

// saturate64 does the same for int64.
func saturate64(f float64) int64 {
	switch {
	case f != f:
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
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
