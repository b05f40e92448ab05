package remote

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the writer's own.
type metrics struct {
	sent, refused prometheus.Counter
	failures      *prometheus.CounterVec
	seconds       prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		sent:     prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_remote_sent_points_total", Help: "Points of records that the remote engine took, what it refused of them included."}),
		refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_remote_refused_samples_total", Help: "Samples that the remote engine refused for ever."}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_remote_send_failures_total", Help: "Records that were not taken at an attempt, by class of the answer."}, []string{"class"}),
		seconds:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_remote_send_seconds", Help: "How long an attempt to send a record took.", Buckets: prometheus.ExponentialBuckets(0.005, 3, 9)}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.sent, m.refused, m.failures, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register the metrics of remote write: %w", err)
		}
	}
	return m, nil
}
