package policy

import (
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// schedule replaces the limits by those of the schedules that hold now.
func (p *pass) schedule() {
	var since string
	if p.min, p.max, since = p.policy.Limits(p.in.Now); since != "" {
		p.step(StepSchedule, p.draft, "since "+since+": "+p.rangeText())
	}
}

// Limits are the fewest and the most replicas at a time, and since when the schedules that set them hold, as their starts are written; "" where none holds.
func (p *Policy) Limits(now time.Time) (least, most cluster.DesiredReplicas, since string) {
	var low, high *cluster.DesiredReplicas
	for i := range p.schedules {
		s := &p.schedules[i]
		if !s.holds(now) {
			continue
		}
		if s.min != nil && (low == nil || *s.min > *low) {
			low = s.min
		}
		if s.max != nil && (high == nil || *s.max > *high) {
			high = s.max
		}
		if since != "" {
			since += "; "
		}
		since += s.text
	}
	if least, most = p.min, p.max; since == "" {
		return least, most, since
	}
	if low != nil {
		least = *low
	}
	if high != nil {
		most = *high
	}
	return least, max(most, least, 1), since
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
