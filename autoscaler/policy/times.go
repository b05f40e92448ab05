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

// Line tells people of it. Samples have the time of their machine's clock, the rest that of ours: where that says that something came before what it rests on, their
// clock is ahead, nothing is told of the time between, and the rest is counted from the first that is ours.
func (t *Times) Line() string {
	if t.Sampled.IsZero() {
		return "not sampled"
	}
	const clock = "15:04:05.000"
	line, from := "newest sample "+t.Sampled.UTC().Format(clock), t.Sampled
	after := func(what string, at time.Time) {
		if !at.IsZero() {
			line += fmt.Sprintf(", %s %+.3f s", what, at.Sub(from).Seconds())
		}
	}
	after("oldest", t.Oldest)
	ours := []struct {
		what string
		at   time.Time
	}{{"taken in", t.TakenIn}, {"looked", t.Looked}, {"decided", t.Decided}, {"written", t.Written}}
	if ours[0].at.IsZero() {
		ours = ours[1:]
	}
	if first := ours[0]; first.at.Before(t.Sampled) {
		line += fmt.Sprintf(" by a clock that is ahead of this one by %.3f s or more, %s %s", t.Sampled.Sub(first.at).Seconds(), first.what, first.at.UTC().Format(clock))
		from, ours = first.at, ours[1:]
	}
	for _, o := range ours {
		after(o.what, o.at)
	}
	return line
}
