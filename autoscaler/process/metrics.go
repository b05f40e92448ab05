package process

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the supervisor's own.
type metrics struct {
	sup      *Supervisor
	replicas *prometheus.Desc
	restarts *prometheus.CounterVec
	killed   *prometheus.CounterVec
	lost     *prometheus.CounterVec
}

func newMetrics(s *Supervisor) *metrics {
	labels := []string{"namespace", "service"}
	return &metrics{
		sup: s,
		replicas: prometheus.NewDesc("plimsoll_autoscaler_process_replicas",
			"Replicas of process services, by state.", append(labels, "state"), nil),
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_autoscaler_process_restarts_total",
			Help: "Replicas that ended by themselves or could not be started."}, labels),
		killed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_autoscaler_process_killed_total",
			Help: "Replicas that had to be killed because they did not end within their drain time."}, labels),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_autoscaler_process_output_dropped_bytes_total",
			Help: "Bytes that replicas wrote faster than their output is read."}, labels),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m), r.Register(m.restarts), r.Register(m.killed), r.Register(m.lost))
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.replicas }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.sup.mu.Lock()
	defer m.sup.mu.Unlock()
	for k, svc := range m.sup.services {
		count := map[State]int{Starting: 0, Ready: 0, Draining: 0, BackingOff: 0, Dead: 0}
		for _, r := range svc.replicas {
			count[r.now.State]++
		}
		for state, n := range count {
			ch <- prometheus.MustNewConstMetric(m.replicas, prometheus.GaugeValue, float64(n), k.Namespace, k.Name, string(state))
		}
	}
}
