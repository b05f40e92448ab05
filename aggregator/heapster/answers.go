package heapster

import (
	"math"
	"time"

	"plimsoll.dev/plimsoll/internal/model"
)

// Series is the answer about one metric of one thing.
type Series struct {
	Metrics         []Point   `json:"metrics"`
	LatestTimestamp time.Time `json:"latestTimestamp"` // 0001-01-01T00:00:00Z where there is no point
}

// List is the answer about several pods, in the order of the request.
type List[T any] struct {
	Items []T `json:"items"`
}

// Point is one value. Value is the number without its fraction, at least 0; FloatValue is there when that is not
// the number itself.
type Point struct {
	Timestamp  time.Time `json:"timestamp"`
	Value      uint64    `json:"value"`
	FloatValue *float64  `json:"floatValue,omitempty"`
}

// Number is one aggregated value: an integer or a float.
type Number struct {
	IntValue   *int64   `json:"intValue,omitempty"`
	FloatValue *float64 `json:"floatValue,omitempty"`
}

// Bucket is what one stretch of time comes to; what was not asked for is absent.
type Bucket struct {
	Timestamp   time.Time         `json:"timestamp"` // when the bucket begins
	Count       *uint64           `json:"count,omitempty"`
	Average     *Number           `json:"average,omitempty"`
	Maximum     *Number           `json:"maximum,omitempty"`
	Minimum     *Number           `json:"minimum,omitempty"`
	Median      *Number           `json:"median,omitempty"`
	Percentiles map[string]Number `json:"percentiles,omitempty"` // "50", "95", "99"
}

// Aggregate is the answer to metrics-aggregated.
type Aggregate struct {
	Buckets    []Bucket `json:"buckets"`
	BucketSize int64    `json:"bucketSize"` // nanoseconds
}

// pointOf writes a value so that clients of either kind can read it.
func pointOf(p point) Point {
	out := Point{Timestamp: p.t.UTC()}
	if p.v > 0 {
		out.Value = uint64(min(p.v, math.MaxInt64))
	}
	if p.v != math.Trunc(p.v) || p.v < 0 || p.v > math.MaxInt64 {
		out.FloatValue = &p.v
	}
	return out
}

func seriesOf(points []point) Series {
	s := Series{Metrics: make([]Point, 0, len(points))}
	for _, p := range points {
		s.Metrics = append(s.Metrics, pointOf(p))
		s.LatestTimestamp = p.t.UTC()
	}
	return s
}

// numberOf is an integer where the metric has integers and the value is one.
func numberOf(s *model.Metric, v float64) Number {
	v = math.Round(v*1e6) / 1e6
	if s.Whole && v == math.Trunc(v) && math.Abs(v) < math.MaxInt64 {
		i := int64(v)
		return Number{IntValue: &i}
	}
	return Number{FloatValue: &v}
}
