package api

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the API's own.
type metrics struct {
	streams  prometheus.Gauge
	rejected prometheus.Counter
	events   *prometheus.CounterVec
	dropped  prometheus.Counter
	tick     prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_aggregator_streams",
			Help: "Streams that are open."}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_aggregator_streams_rejected_total",
			Help: "Streams refused because as many as allowed were open."}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_aggregator_stream_events_total",
			Help: "Events written to streams, by event."}, []string{"event"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_aggregator_stream_events_dropped_total",
			Help: "Events replaced by newer ones before a slow client took them."}),
		tick: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_aggregator_stream_tick_seconds",
			Help:    "Time to make the events of one second for all streams.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}}),
	}
	for _, e := range []string{"overview", "workload", "gone", "decision"} {
		m.events.WithLabelValues(e)
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.streams, m.rejected, m.events, m.dropped, m.tick} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register the API's metrics: %w", err)
		}
	}
	return m, nil
}
