package live

import (
	"slices"

	"plimsoll.dev/plimsoll/internal/metric"
)

// early says whether a group is somebody else's reading of a time of which the fast lane has told already, or nearly.
func (s *samples) early(in *intake, t int64) bool {
	return s.source != in.source && in.lane == full && s.last[fast] != 0 && t-s.last[fast] <= s.limit(in.limits, fast)
}

// from notes whose figures come from now on. When somebody else's do, they may have the start from elsewhere, and that is no restart.
func (s *samples) from(in *intake, t int64) {
	if s.source != in.source && t > s.newest() {
		if s.newest() != 0 {
			s.sourced = s.newest() + 1
		}
		s.source, s.start = in.source, [numLanes]int64{}
	}
}

// roughly is how far the times of two who count the same may be apart, in milliseconds.
const roughly = 1000

// cpuGrown is by how much the group's CPU counter is above the newest sample, and over how many milliseconds; 0 where there is nothing to compare. Below 0: the
// container began anew. another says that the sample is of somebody else's counter.
func (s *samples) cpuGrown(g *metric.Group, ln lane) (grown float64, over int64, another bool) {
	for i := len(g.Points) - 1; i >= 0; i-- {
		pt := &g.Points[i]
		if pt.ID != metric.CPUUsage || pt.Sub != "" {
			continue
		}
		k, ok := s.find(0, pt.ID, "")
		if !ok {
			return 0, 0, false
		}
		h := s.pair(&s.series[k])
		another = h.n > 0 && s.base+int64(h.last.t) < s.sourced
		if h.n == 0 || h.lane != ln && !another {
			return 0, 0, false // the lanes' clocks may differ by a moment; the series' own check is enough
		}
		return pt.V - h.last.v(), pt.T - s.base - int64(h.last.t), another
	}
	return 0, 0, false
}

// rest is a copy of what there is of the CPU counter, if that makes a rate; else what there was before that; nil if nothing.
func (s *samples) rest() *ring {
	r := s.rings[ringOfCPU-1]
	if r.n < 2 {
		return s.before
	}
	r.buf = slices.Clone(r.buf)
	return &r
}
