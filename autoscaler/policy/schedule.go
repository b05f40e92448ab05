package policy

import (
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// schedule replaces the limits by those of the schedules that hold now.
func (p *pass) schedule() {
	var low, high *cluster.DesiredReplicas
	why := ""
	for i := range p.policy.schedules {
		s := &p.policy.schedules[i]
		if !s.holds(p.in.Now) {
			continue
		}
		if s.min != nil && (low == nil || *s.min > *low) {
			low = s.min
		}
		if s.max != nil && (high == nil || *s.max > *high) {
			high = s.max
		}
		if why != "" {
			why += "; "
		}
		why += s.text
	}
	if why == "" {
		return
	}
	if low != nil {
		p.min = *low
	}
	if high != nil {
		p.max = *high
	}
	p.max = max(p.max, p.min, 1)
	p.step(StepSchedule, p.draft, "since "+why+": "+p.rangeText())
}

// holds says whether a schedule's last start came after its last end.
func (s *schedule) holds(now time.Time) bool {
	start, ok := s.start.Prev(now, s.zone)
	if !ok {
		return false
	}
	end, ok := s.end.Prev(now, s.zone)
	return !ok || start.After(end)
}
