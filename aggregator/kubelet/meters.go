package kubelet

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/apimachinery/pkg/labels"
)

// meters are the Source's own metrics.
type meters struct {
	asked          *prometheus.CounterVec
	seconds, round prometheus.Histogram
	nodes          prometheus.Gauge
	refused        prometheus.Counter
}

func newMeters(r prometheus.Registerer) *meters {
	f := promauto.With(r)
	return &meters{
		asked: f.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_kubelet_requests_total",
			Help: "Questions to kubelets, by result: success, partial (the kubelet could not read everything), error."}, []string{"result"}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_kubelet_request_duration_seconds",
			Help: "Time until a kubelet has answered, or not.", Buckets: prometheus.ExponentialBuckets(0.005, 3, 8)}),
		round: f.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_kubelet_round_duration_seconds",
			Help: "Time to ask all nodes once.", Buckets: prometheus.ExponentialBuckets(0.05, 2, 11)}),
		nodes: f.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_kubelet_nodes",
			Help: "Nodes that have no collector, whose kubelets are asked."}),
		refused: f.NewCounter(prometheus.CounterOpts{Name: "plimsoll_kubelet_lines_refused_total",
			Help: "Lines of kubelets' pages that could not be used."}),
	}
}

func set(m map[string]string) labels.Set { return m }
