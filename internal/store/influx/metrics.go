package influx

import "github.com/prometheus/client_golang/prometheus"

// writerMetrics are the writer's metrics.
type writerMetrics struct {
	requests *prometheus.CounterVec // by lane and class of answer
	lines    *prometheus.CounterVec // by lane
	bytes    *prometheus.CounterVec
	refused  *prometheus.CounterVec // by class
	lost     prometheus.Counter
	duration prometheus.Histogram
	blocked  prometheus.Gauge
}

func newWriterMetrics(reg prometheus.Registerer) (*writerMetrics, error) {
	m := &writerMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_influx_requests_total", Help: "Write requests to InfluxDB, by lane and class of answer."}, []string{"lane", "class"}),
		lines: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_influx_lines_stored_total", Help: "Lines that InfluxDB acknowledged, resent ones included, by lane."}, []string{"lane"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_influx_stored_bytes_total", Help: "Bytes of acknowledged lines before compression, by lane."}, []string{"lane"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_influx_lines_refused_total", Help: "Lines that InfluxDB refused for ever, by class of answer."}, []string{"class"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_influx_lines_lost_total", Help: "Refused lines that could not be set aside either."}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "plimsoll_influx_request_duration_seconds", Help: "Time of a write request to InfluxDB.", Buckets: prometheus.ExponentialBuckets(0.002, 4, 7)}),
		blocked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "plimsoll_influx_blocked", Help: "1 while InfluxDB takes no data, 0 otherwise."}),
	}
	for _, c := range []class{tooLarge, beyond, conflict, unparsable, refused} {
		m.refused.WithLabelValues(c.String())
	}
	return m, register(reg, m.requests, m.lines, m.bytes, m.refused, m.lost, m.duration, m.blocked)
}

// register registers all or none.
func register(reg prometheus.Registerer, all ...prometheus.Collector) error {
	if reg == nil {
		return nil
	}
	for i, c := range all {
		if err := reg.Register(c); err != nil {
			for _, done := range all[:i] {
				reg.Unregister(done)
			}
			return err
		}
	}
	return nil
}
