package top

import (
	"fmt"
	"strings"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// unread says whether nothing is known of a metric.
func unread(m cluster.Load) bool { return m.Load == nil && m.Target == nil }

// limit is one of a target's limits; a question mark where it is not known.
func limit(n *int32) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}

// scaledCell says how a workload stands to its line, and who sets its count if Plimsoll does not, or not alone: "cpu 41%/70%, 3 (1-10), HPA web scales it".
func scaledCell(s *api.Scaled) string {
	if s == nil {
		return "-"
	}
	if s.Gap != nil && s.Gap.Reason == cluster.GapPolicy {
		return s.State
	}
	text, state := "", ""
	if s.State != "" {
		state = ", " + s.State
	}
	for _, m := range s.Metrics {
		if s.Gap != nil && unread(m) {
			text += m.Title() + " cannot be read"
			if s.Last != nil && strings.HasPrefix(s.Last.Reason, "FailedGet") {
				text += " (" + s.Last.Reason + ")"
			}
			text += ", "
			continue
		}
		text += m.Title() + " " + percent(m.Load) + "/" + percent(m.Target) + ", "
	}
	replicas := fmt.Sprint(s.Replicas)
	if s.Updated == nil || s.Gap != nil && s.Gap.Reason == cluster.GapScale {
		replicas = "not known"
	}
	since := ""
	if s.Schedule != "" {
		since = " since " + s.Schedule
	}
	return fmt.Sprintf("%s%s (%s-%s%s)%s", text, replicas, limit(s.Min), limit(s.Max), since, state)
}
