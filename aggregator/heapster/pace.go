package heapster

import (
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// pace gives rates over the time between two passes, as a history wants them: the picture's are those of the last second. It has what
// was seen in the pass before.
type pace map[cell]reading

// cell is a counter of a thing.
type cell struct {
	entity *metric.Entity
	id     metric.ID
	sub    string
}

type reading struct {
	t      time.Time
	v      float64
	start  time.Time
	rate   float64
	window time.Duration
}

// over returns the snapshot with such rates in its containers and pods, and begins the next pass.
func (p *pace) over(s *live.Snapshot) *live.Snapshot {
	if s == nil {
		return nil
	}
	next := pace{}
	out := *s
	pods := make(map[*live.Item]*live.Item, len(s.Pods))
	out.Pods = make([]*live.Item, len(s.Pods))
	for i, it := range s.Pods {
		out.Pods[i] = p.item(next, it)
		pods[it] = out.Pods[i]
	}
	out.Containers = make([]*live.Item, len(s.Containers))
	for i, it := range s.Containers {
		c := p.item(next, it)
		if pod := pods[it.Parent]; pod != nil {
			c.Parent = pod
		}
		out.Containers[i] = c
	}
	*p = next
	return &out
}

// item is a copy with other rates; next remembers it.
func (p *pace) item(next pace, it *live.Item) *live.Item {
	out := *it
	out.Values = it.List()
	for i := range out.Values {
		v := &out.Values[i]
		if metric.Get(v.ID).HeapsterRate == "" {
			continue
		}
		k := cell{it.Entity, v.ID, v.Sub}
		last, known := (*p)[k]
		now := reading{t: v.T, v: v.V, start: it.Start}
		switch {
		case !known || v.V < last.v || identity.Follows(last.start, it.Start) != 0:
		case v.T.After(last.t):
			now.window = v.T.Sub(last.t)
			now.rate = (v.V - last.v) / now.window.Seconds()
		default: // the same sample
			now = last
		}
		next[k] = now
		v.Rate, v.Window = now.rate, now.window
	}
	return &out
}
