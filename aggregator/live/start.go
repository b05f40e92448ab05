package live

import (
	"math"

	"plimsoll.dev/plimsoll/internal/metric"
)

// When the process begins, its members do not begin with it: they went on, are heard one after the other, and some bring what they held back. A sum from the first reading of one
// would lack what the others used meanwhile, and nobody could tell it from less use. So in the first pass each member is told at its pace, what it used in a
// millisecond on average over its own readings, and a sum begins by as much before its first point as the shortest of them is long. Where one has been read once there is only the
// point of 0. Later a member that comes is one that begins.

// paced is what a member counts for where sums begin: inc is what it has grown by in a millisecond. What has ended is no member.
func paced(by count, ended bool) count {
	if by.from == 0 || ended {
		return count{}
	}
	if by.span > 0 {
		by.inc /= float64(by.span)
	}
	return by
}

// begin has counters of members that are told at their pace begin where each of these counts, and says when the first does; 0: none does.
func (r *rollup) begin(now int64) (first int64) {
	for i := range r.cells {
		x := &r.cells[i]
		if x.from == 0 {
			continue
		}
		x.from, x.inc = x.time(now)-x.span, x.inc*float64(x.span)
		if metric.Get(x.id).Unit != metric.Seconds { // counted one by one
			x.inc = math.Round(x.inc)
		}
		if first == 0 || x.from < first {
			first = x.from
		}
	}
	return first
}
