package main

import (
	"math"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/aggregator/capacity"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// looks lets the autoscaler see the live picture.
type looks struct{ picture *live.Picture }

// Look returns what each pod of the target used over the newest w.
func (l looks) Look(now time.Time, t autoscaler.Target, id metric.ID, w time.Duration) []autoscaler.PodUsage {
	seen := l.picture.Look(now, t.Namespace, t.Kind, t.Name, id, w)
	out := make([]autoscaler.PodUsage, len(seen))
	for i, p := range seen {
		out[i] = autoscaler.PodUsage{Pod: p.Pod, Timestamp: p.Timestamp, Window: p.Window, Containers: make([]autoscaler.ContainerUsage, len(p.Containers))}
		for j, c := range p.Containers {
			out[i].Containers[j] = autoscaler.ContainerUsage(c)
		}
	}
	return out
}

// Gap says since when and why a pod has no value.
func (l looks) Gap(now time.Time, t autoscaler.Target, pod string) (string, time.Time) {
	for _, it := range l.picture.Missing(now) {
		if e := it.Entity; e.Namespace == t.Namespace && e.Pod == pod && it.Gap != nil {
			return it.Gap.Detail, it.Gap.Since
		}
	}
	return "", time.Time{}
}

// scaledOf shows the autoscaler's targets in the API's form.
type scaledOf struct{ loop *autoscaler.Loop }

// Scaled returns the targets.
func (s scaledOf) Scaled(now time.Time) []api.Scaled {
	if s.loop == nil {
		return nil
	}
	var out []api.Scaled
	for _, st := range s.loop.Scaled(now) {
		x := api.Scaled{Namespace: st.Target.Namespace, Kind: st.Target.Kind, Name: st.Target.Name, Mode: st.Mode, Min: st.Min, Max: st.Max,
			Replicas: st.Replicas, Ready: st.Ready, Wished: st.Wished, Last: decisionOf(st.Last), Change: decisionOf(st.Change), Policy: st.Policy,
			Metrics: []api.Load{}, Members: []api.Replica{}}
		if !st.Updated.IsZero() {
			x.Updated = &st.Updated
		}
		if st.Gap != "" {
			x.Gap = &api.Gap{Since: st.GapSince, Reason: "target", Detail: st.Gap}
		}
		for _, m := range st.Metrics {
			x.Metrics = append(x.Metrics, api.Load{Name: m.Name, Type: m.Type, Load: known(m.Load), Target: known(m.Target), Noise: known(m.Noise), Of: m.Of, Window: m.Window.Seconds()})
		}
		for _, m := range st.Members {
			r := api.Replica{Name: m.Name, State: m.State, Restarts: m.Restarts, Detail: m.Detail}
			if !m.Since.IsZero() {
				r.Since = &m.Since
			}
			x.Members = append(x.Members, r)
		}
		out = append(out, x)
	}
	return out
}

// targets are the loads that the autoscaler keeps.
func (s scaledOf) targets(now time.Time) []capacity.Target {
	if s.loop == nil {
		return nil
	}
	var out []capacity.Target
	for _, st := range s.loop.Scaled(now) {
		first := len(out)
		for _, u := range st.Utilizations {
			i := first + slices.IndexFunc(out[first:], func(t capacity.Target) bool { return t.Container == u.Container })
			if i < first {
				i = len(out)
				out = append(out, capacity.Target{Namespace: st.Target.Namespace, Kind: st.Target.Kind, Name: st.Target.Name, Container: u.Container})
			}
			switch u.Resource {
			case "cpu":
				out[i].CPU = &u.Share
			case "memory":
				out[i].Memory = &u.Share
			}
		}
		if len(out) == first { // scaled by something else
			out = append(out, capacity.Target{Namespace: st.Target.Namespace, Kind: st.Target.Kind, Name: st.Target.Name})
		}
	}
	return out
}

// known turns NaN into null.
func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func decisionOf(d *store.Decision) *api.Decision {
	if d == nil {
		return nil
	}
	return &api.Decision{Time: d.Time, Namespace: d.Namespace, Kind: d.Kind, Name: d.Name, Action: d.Action, From: d.From, To: d.To, Reason: d.Reason, Message: d.Message, Detail: d.Detail}
}
