package policy

import (
	"encoding/json"
	"fmt"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Logged is the decision that an entry of the decision log stands for, as far as Lines tells of it.
func Logged(e cluster.Decision) Decision {
	var detail struct {
		Steps []Step `json:"steps"`
		Times *Times `json:"times"`
	}
	_ = json.Unmarshal(e.Detail, &detail) // an entry without a detail has no steps
	return Decision{Current: cluster.DesiredReplicas(e.From), Desired: cluster.DesiredReplicas(e.To), Reason: Reason(e.Reason), Message: e.Message, Steps: detail.Steps, Times: detail.Times}
}

// Lines tells people of the decision with its steps, after a head that says when or what, as the page shows it.
func (d Decision) Lines(head string) []string {
	change := func(from, to cluster.DesiredReplicas, held string) string {
		if from == to {
			return fmt.Sprint(to) + held
		}
		return fmt.Sprintf("%d -> %d", from, to)
	}
	counts := change(d.Current, d.Desired, ", held")
	if d.Reason == FailedGetScale {
		counts = "count not known, held"
	}
	lines := []string{fmt.Sprintf("%s  %s  (%s)", head, counts, d.Reason), "  " + d.Message}
	for _, s := range d.Steps {
		lines = append(lines, fmt.Sprintf("    %-10s %-8s %s", s.Step, change(s.Before, s.After, ""), s.Why))
	}
	if d.Times != nil {
		lines = append(lines, fmt.Sprintf("    %-10s %-8s %s", "times", "", d.Times.Line()))
	}
	return lines
}
