package autoscaler

import (
	"math"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/metric"
)

// series sends a target's numbers to the live picture, and every KeepEvery to the history: to a shared one while this process may write, as another one does else.
func (l *Loop) series(t *target, in *policy.Input, d *policy.Decision, now time.Time) {
	if l.opts.Live == nil && l.opts.History == nil {
		return
	}
	ms := now.UnixMilli()
	var points []metric.Point
	add := func(id metric.ID, sub string, v float64) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			points = append(points, metric.Point{ID: id, Sub: sub, T: ms, V: v})
		}
	}
	add(metric.Replicas, "", float64(in.Target.StatusReplicas))
	add(metric.ReplicasReady, "", float64(readyOf(in.Pods)))
	add(metric.ReplicasDesired, "", float64(d.Desired))
	least, most, _ := in.Policy.Limits(now)
	add(metric.ReplicasMin, "", float64(least))
	add(metric.ReplicasMax, "", float64(most))
	for i := range d.Metrics {
		m := &d.Metrics[i]
		sub := m.Name
		if m.Container != "" {
			sub = m.Container + "/" + m.Name
		}
		add(metric.ScaleLoad, sub, m.Load)
		add(metric.ScaleTarget, sub, m.Target)
	}
	batch := func(fast bool) *metric.Batch {
		return &metric.Batch{Node: l.opts.Node, Time: now, Fast: fast, Groups: []metric.Group{{Entity: t.entity, Points: points}}}
	}
	if l.opts.Live != nil {
		if err := l.opts.Live.Apply(batch(true)); err != nil {
			l.metrics.lost.WithLabelValues("live").Inc()
		}
	}
	if l.opts.History != nil && (t.leads || !l.opts.Shared) && now.Sub(t.kept) >= l.opts.KeepEvery-l.opts.interval/2 {
		t.kept = now
		l.writer.batch(batch(false))
	}
}
