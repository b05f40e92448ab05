package heapster

import (
	"math"
	"slices"
	"time"
)

// sum is what one bucket of a series comes to.
type sum struct {
	start    time.Time
	avg      float64
	max, min float64
	values   []float64 // sorted
}

// buckets cuts points into stretches of width from start on, each with its left end excluded and its right end
// included, as a point speaks of the step before it. A point at start itself counts in the first. Buckets without points
// are left out.
func buckets(points []point, start time.Time, width time.Duration) []sum {
	var out []sum
	for _, p := range points {
		i := time.Duration(0)
		if d := p.t.Sub(start); d > 0 {
			i = (d - 1) / width
		}
		at := start.Add(i * width)
		if len(out) == 0 || !out[len(out)-1].start.Equal(at) {
			out = append(out, sum{start: at, max: math.Inf(-1), min: math.Inf(1)})
		}
		b := &out[len(out)-1]
		b.values = append(b.values, p.v)
		b.max, b.min = max(b.max, p.v), min(b.min, p.v)
	}
	for i := range out {
		b := &out[i]
		slices.Sort(b.values)
		for _, v := range b.values {
			b.avg += v / float64(len(b.values))
		}
	}
	return out
}

// quantile is linear between the two nearest ranks, as PromQL's.
func (s *sum) quantile(q float64) float64 {
	rank := q * float64(len(s.values)-1)
	low := int(math.Floor(rank))
	high := min(low+1, len(s.values)-1)
	w := rank - float64(low)
	return s.values[low]*(1-w) + s.values[high]*w
}

// total adds up the bucket's values: of counts.
func (s *sum) total() float64 {
	t := 0.0
	for _, v := range s.values {
		t += v
	}
	return t
}
