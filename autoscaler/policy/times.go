package policy

import (
	"fmt"
	"time"
)

// Times says when what a change rests on came about, stage by stage: where the seconds of a reaction go. The loop fills it in.
type Times struct {
	Oldest  time.Time `json:"oldestSample,omitzero"` // the newest sample of the pod whose one is oldest
	Sampled time.Time `json:"sampled,omitzero"`      // the newest sample of all
	TakenIn time.Time `json:"takenIn,omitzero"`      // when the newest batch of the pods' nodes was in the picture; zero where that is not known
	Looked  time.Time `json:"looked"`                // when the pass began
	Decided time.Time `json:"decided"`
	Written time.Time `json:"written"` // when the new count had been taken
}

// Line tells people of it.
func (t *Times) Line() string {
	after := func(what string, at time.Time) string {
		if at.IsZero() || t.Sampled.IsZero() {
			return ""
		}
		return fmt.Sprintf(", %s %+.3f s", what, at.Sub(t.Sampled).Seconds())
	}
	head := "not sampled"
	if !t.Sampled.IsZero() {
		head = "newest sample " + t.Sampled.UTC().Format("15:04:05.000")
	}
	return head + after("oldest", t.Oldest) + after("taken in", t.TakenIn) + after("looked", t.Looked) + after("decided", t.Decided) + after("written", t.Written)
}
