package metricsapi

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// meters are the API's own metrics.
type meters struct {
	freshness prometheus.Histogram
	objects   *prometheus.CounterVec
}

func newMeters(r prometheus.Registerer) *meters {
	f := promauto.With(r)
	return &meters{
		freshness: f.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_metricsapi_freshness_seconds",
			Help: "How old the newest sample was of what was served, observed for each pod and node.", Buckets: prometheus.ExponentialBuckets(0.5, 2, 9)}),
		objects: f.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_metricsapi_objects_total",
			Help: "Pods and nodes that were asked for, by whether there were values to serve."}, []string{"resource", "result"}),
	}
}

func (m *meters) count(resource string, served, missing int) {
	m.objects.WithLabelValues(resource, "served").Add(float64(served))
	m.objects.WithLabelValues(resource, "missing").Add(float64(missing))
}
