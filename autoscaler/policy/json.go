package policy

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// MarshalJSON writes the amount as a quantity, "" when absent.
func (a Amount) MarshalJSON() ([]byte, error) {
	if !a.Known {
		return []byte(`""`), nil
	}
	return strconv.AppendQuote(nil, a.Milli.String()), nil
}

// MarshalJSON writes the count as a number, null when absent.
func (c Count) MarshalJSON() ([]byte, error) {
	if !c.Known {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(c.N), 10), nil
}

// MarshalJSON writes the window in seconds where it is whole: "60s", not "1m0s".
func (l LookReport) MarshalJSON() ([]byte, error) {
	window := l.Window.String()
	if l.Window%time.Second == 0 {
		window = strconv.FormatInt(int64(l.Window/time.Second), 10) + "s"
	}
	return json.Marshal(struct {
		Window string `json:"window"`
		Noise  Amount `json:"noise"`
	}{window, l.Noise})
}

// MarshalJSON writes the decision as plimsoll.dev/decision/v1. Lists are never null, but for the
// recommendations of a target that was never seen: none is not the same as none yet.
func (d Decision) MarshalJSON() ([]byte, error) {
	type fields Decision // without this method
	d.Metrics = slices.Clone(list(d.Metrics))
	for i := range d.Metrics {
		g := &d.Metrics[i].Pods
		g.Unready, g.Missing, g.Ignored = list(g.Unready), list(g.Missing), list(g.Ignored)
	}
	d.Steps, d.Conditions = list(d.Steps), list(d.Conditions)
	d.State.ScaleUps, d.State.ScaleDowns = list(d.State.ScaleUps), list(d.State.ScaleDowns)
	return json.Marshal(struct {
		Schema string `json:"schema"`
		fields
	}{Schema, fields(d)})
}

// list turns a nil slice into an empty one.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
