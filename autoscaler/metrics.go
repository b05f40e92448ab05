package autoscaler

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// metrics are the loop's own. Those under the names of the HPA controller (reconciliations, metric_computation,
// desired_replicas, num_horizontal_pod_autoscalers, stale_sync_skips) have its labels and meaning, so that its
// dashboards can be carried over.
type metrics struct {
	loop        *Loop
	decisions   *prometheus.CounterVec
	passes      *prometheus.CounterVec
	passTime    *prometheus.HistogramVec
	computation *prometheus.CounterVec
	computeTime *prometheus.HistogramVec
	lateness    prometheus.Histogram
	skipped     prometheus.Counter
	lost        *prometheus.CounterVec
	number      prometheus.GaugeFunc
	queued      prometheus.Gauge
	busy        prometheus.GaugeFunc
	hung        prometheus.Gauge
	desired     *prometheus.Desc
}

func newMetrics(l *Loop) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_autoscaler_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plimsoll_autoscaler_" + name, Help: help,
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)}, labels)
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Name: "plimsoll_autoscaler_" + name, Help: help}
	}
	return &metrics{
		loop:        l,
		decisions:   counter("decisions_total", "Decisions, holds included, by action and reason.", "action", "reason"),
		passes:      counter("reconciliations_total", "Passes over a target, by action (scale_up, scale_down, none) and error (internal, spec, none).", "action", "error"),
		passTime:    histogram("reconciliation_duration_seconds", "Time of one pass over a target.", "action", "error"),
		computation: counter("metric_computation_total", "Metrics computed, by action, error and type of metric.", "action", "error", "metric_type"),
		computeTime: histogram("metric_computation_duration_seconds", "Time of observing a target and computing all its metrics.", "action", "error", "metric_type"),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_autoscaler_pass_lateness_seconds",
			Help: "How late a pass over a target began.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9)}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_autoscaler_stale_sync_skips_total",
			Help: "Passes left out because the loop was late by more than an interval."}),
		lost: counter("lost_total", "Decisions and series that could not be written, by what they were for (decision, history, live).", "what"),
		number: prometheus.NewGaugeFunc(gauge("num_horizontal_pod_autoscalers", "Targets that the loop scales."), func() float64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return float64(len(l.order))
		}),
		queued: prometheus.NewGauge(gauge("queue_depth", "Targets that are due and wait for a worker.")),
		busy: prometheus.NewGaugeFunc(gauge("busy_workers", fmt.Sprintf("Workers, of %d, that make a pass.", workers)), func() float64 {
			return float64(len(l.workers))
		}),
		hung:    prometheus.NewGauge(gauge("hung_targets", "Targets whose last pass ran into the deadline of a call.")),
		desired: prometheus.NewDesc("plimsoll_autoscaler_desired_replicas", "Replicas that were asked for.", []string{"namespace", "kind", "name"}, nil),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	var errs []error
	for _, c := range []prometheus.Collector{m, m.decisions, m.passes, m.passTime, m.computation, m.computeTime, m.lateness, m.skipped, m.lost, m.number, m.queued, m.busy, m.hung} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.desired }

// Collect implements prometheus.Collector. Two targets of one kind and name, of other API groups, have these with the kind (Deployment.x.example).
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	all := m.loop.Scaled(time.Time{})
	of := make(map[cluster.Target]int, len(all))
	plain := func(t cluster.Target) cluster.Target {
		return cluster.Target{Namespace: t.Namespace, Kind: t.Kind, Name: t.Name}
	}
	for i := range all {
		of[plain(all[i].Target)]++
	}
	for i := range all {
		t, kind := all[i].Target, all[i].Target.Kind
		if of[plain(t)] > 1 {
			kind = t.GroupKind()
		}
		ch <- prometheus.MustNewConstMetric(m.desired, prometheus.GaugeValue, float64(all[i].Desired), t.Namespace, kind, t.Name)
	}
}

func actionLabel(n, current cluster.DesiredReplicas) string {
	switch {
	case n > current:
		return "scale_up"
	case n < current:
		return "scale_down"
	}
	return "none"
}

// computed counts what the brain was asked.
func (m *metrics) computed(d *policy.Decision, took time.Duration) {
	for i := range d.Metrics {
		r := &d.Metrics[i]
		action, failure := "none", "none"
		if r.Error != "" {
			failure = "internal"
		} else if r.Proposal.Known {
			action = actionLabel(cluster.DesiredReplicas(r.Proposal.N), d.Current)
		}
		m.computation.WithLabelValues(action, failure, r.Type).Inc()
		m.computeTime.WithLabelValues(action, failure, r.Type).Observe(took.Seconds())
	}
}

// passed counts a pass that is over.
func (m *metrics) passed(d *policy.Decision, took time.Duration) {
	failure := "none"
	switch {
	case d.Reason == policy.InvalidPolicy:
		failure = "spec"
	case broke(d.Reason) || d.Error != "":
		failure = "internal"
	}
	action := actionLabel(d.Desired, d.Current)
	m.decisions.WithLabelValues(string(d.Action), string(d.Reason)).Inc()
	m.passes.WithLabelValues(action, failure).Inc()
	m.passTime.WithLabelValues(action, failure).Observe(took.Seconds())
}
