package policy

import (
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// State is what one pass leaves behind for the next. It belongs to whoever holds it; Decide copies what it changes.
type State struct {
	// Recommendations are what earlier passes wanted before stabilisation and limits; nil until the scale was read for the first time.
	Recommendations []Recommendation `json:"recommendations"`
	// ScaleUps and ScaleDowns are the changes made, kept only while the policy has a behavior.
	ScaleUps   []ScaleEvent `json:"scaleUps"`
	ScaleDowns []ScaleEvent `json:"scaleDowns"`
	// ScaledToZero is true while the count is zero because a decision made it so.
	ScaledToZero bool `json:"scaledToZero"`
	// Raised is when the load raised the count last; zero where it never did, or nobody remembers.
	Raised time.Time `json:"raised,omitzero"`
	// Looked is what the last look at shrinking left; nil where no metric has looks.
	Looked *Looked `json:"looked,omitempty"`
}

// Beside is the state with a change of the count that another scaler made, where a policy only raises: its speed limits go by what the count was, whoever
// changed it since.
func (s *State) Beside(p *Policy, was, is cluster.DesiredReplicas, now time.Time) *State {
	b := p.behavior
	if s == nil || b == nil || !p.raiseOnly || was == is {
		return s
	}
	out, oldest := *s, now.Add(-max(b.up.longest, b.down.longest))
	add := func(events []ScaleEvent, change cluster.DesiredReplicas) []ScaleEvent {
		events = slices.DeleteFunc(slices.Clone(events), func(e ScaleEvent) bool { return e.At.Before(oldest) })
		return append(events, ScaleEvent{At: now, Change: int32(change)})
	}
	if is > was {
		out.ScaleUps = add(s.ScaleUps, is-was)
	} else {
		out.ScaleDowns = add(s.ScaleDowns, was-is)
	}
	return &out
}

// Looked is what a look at shrinking found. It stands until the next one while count and limits are the same.
type Looked struct {
	Replicas cluster.DesiredReplicas `json:"replicas"` // as that pass left them
	Wanted   cluster.DesiredReplicas `json:"wanted"`   // the same, had the mode been Auto
	Min      cluster.DesiredReplicas `json:"min"`
	Max      cluster.DesiredReplicas `json:"max"`
	Able     Reason                  `json:"able"`           // of AbleToScale
	Limited  Reason                  `json:"limited"`        // of ScalingLimited
	Held     Reason                  `json:"held,omitempty"` // what kept the count from being lowered; "": nothing did
	Why      string                  `json:"why,omitempty"`  // the same as a clause
}

// Recommendation is what one pass wanted.
type Recommendation struct {
	At       time.Time               `json:"at"`
	Replicas cluster.DesiredReplicas `json:"replicas"`
}

// ScaleEvent is one change of the count; Change is positive in both directions.
type ScaleEvent struct {
	At     time.Time `json:"at"`
	Change int32     `json:"change"`
	// Outdated is true for an event that was too old for every policy when a later one was noted. The HPA gives its place away, even
	// when a policy was changed meanwhile and counts it again (compat only).
	Outdated bool `json:"outdated,omitempty"`
}
