package influx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/store"
)

// readMetrics are the reader's metrics.
type readMetrics struct {
	seconds *prometheus.HistogramVec
	errors  *prometheus.CounterVec
}

func newReadMetrics(reg prometheus.Registerer) (*readMetrics, error) {
	m := &readMetrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plimsoll_influx_read_seconds", Help: "Time of reads from InfluxDB, by kind.",
			Buckets: prometheus.ExponentialBuckets(0.002, 3, 10)}, []string{"kind"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_influx_read_errors_total", Help: "Reads from InfluxDB that gave no answer, by reason."}, []string{"reason"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.seconds, m.errors} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register the metrics of reads from InfluxDB: %w", err)
		}
	}
	return m, nil
}

// done counts a read.
func (m *readMetrics) done(kind string, elapsed time.Duration, err error) {
	m.seconds.WithLabelValues(kind).Observe(elapsed.Seconds())
	if err == nil {
		return
	}
	reason := "network"
	var answer *ReadError
	switch {
	case errors.Is(err, store.ErrTooLarge):
		reason = "too_large"
	case errors.Is(err, store.ErrBadQuery):
		reason = "bad_query"
	case errors.Is(err, store.ErrClosed):
		reason = "closed"
	case errors.Is(err, context.Canceled):
		reason = "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		reason = "timeout"
	case errors.As(err, &answer) && (answer.Status == 401 || answer.Status == 403):
		reason = "unauthorized"
	case errors.As(err, &answer):
		reason = "server"
	}
	m.errors.WithLabelValues(reason).Inc()
}
