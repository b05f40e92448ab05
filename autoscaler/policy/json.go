package policy

import (
	"encoding/json"
	"strconv"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
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

// metricJSON is MetricReport on the wire.
type metricJSON struct {
	Type         string   `json:"type"`
	Name         string   `json:"name"`
	Container    string   `json:"container"`
	Utilization  Count    `json:"utilization"`
	AverageValue Amount   `json:"averageValue"`
	Value        Amount   `json:"value"`
	Proposal     Count    `json:"proposal"`
	Error        string   `json:"error"`
	Pods         podsJSON `json:"pods"`
}

type podsJSON struct {
	Counted int      `json:"counted"`
	Unready []string `json:"unready"`
	Missing []string `json:"missing"`
	Ignored []string `json:"ignored"`
}

// lookJSON is LookReport on the wire.
type lookJSON struct {
	Window string `json:"window"`
	Noise  Amount `json:"noise"`
}

// decisionJSON is Decision on the wire, plimsoll.dev/decision/v1.
type decisionJSON struct {
	Schema     string                  `json:"schema"`
	Action     Action                  `json:"action"`
	Current    cluster.DesiredReplicas `json:"currentReplicas"`
	Desired    cluster.DesiredReplicas `json:"desiredReplicas"`
	Reason     Reason                  `json:"reason"`
	Message    string                  `json:"message"`
	Error      string                  `json:"error"`
	Would      *int32                  `json:"wouldReplicas,omitempty"`
	Metrics    []metricJSON            `json:"metrics"`
	Look       *lookJSON               `json:"look"`
	Steps      []Step                  `json:"steps"`
	Conditions []Condition             `json:"conditions"`
	State      State                   `json:"state"`
}

// MarshalJSON writes the decision as plimsoll.dev/decision/v1. Lists are never null.
func (d Decision) MarshalJSON() ([]byte, error) {
	out := decisionJSON{
		Schema: Schema, Action: d.Action, Current: d.Current, Desired: d.Desired, Reason: d.Reason, Message: d.Message, Error: d.Error,
		Metrics: make([]metricJSON, len(d.Metrics)), Steps: list(d.Steps), Conditions: list(d.Conditions), State: d.State,
	}
	if d.Would.Known {
		out.Would = &d.Would.N
	}
	for i := range d.Metrics {
		m := &d.Metrics[i]
		out.Metrics[i] = metricJSON{m.Type, m.Name, m.Container, m.Utilization, m.AverageValue, m.Value, m.Proposal, m.Error,
			podsJSON{m.Pods.Counted, list(m.Pods.Unready), list(m.Pods.Missing), list(m.Pods.Ignored)}}
	}
	if d.Look != nil {
		out.Look = &lookJSON{shortDuration(d.Look.Window), d.Look.Noise}
	}
	out.State.Recommendations = list(d.State.Recommendations)
	out.State.ScaleUps, out.State.ScaleDowns = list(d.State.ScaleUps), list(d.State.ScaleDowns)
	return json.Marshal(out)
}

// list turns a nil slice into an empty one.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// shortDuration writes whole seconds as "60s", not "1m0s".
func shortDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return d.String()
}
