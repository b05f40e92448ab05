package tsdb

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the store's.
type metrics struct {
	appended  prometheus.Counter
	dropped   *prometheus.CounterVec // by reason
	append    prometheus.Histogram
	errors    *prometheus.CounterVec // by class
	query     *prometheus.HistogramVec
	decisions prometheus.Counter
	markers   prometheus.Counter
	reopened  prometheus.Counter
	displaced prometheus.Counter
}

// newMetrics makes the metrics and registers them, together with gauges read from the store when scraped.
func newMetrics(reg prometheus.Registerer, db *DB) (*metrics, func(), error) {
	m := &metrics{
		appended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_store_samples_appended_total", Help: "Samples accepted into the embedded store."}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_store_samples_dropped_total", Help: "Samples left out because they could never be stored, by reason."}, []string{"reason"}),
		append: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "plimsoll_store_append_duration_seconds", Help: "Time to append one batch, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8)}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_store_errors_total", Help: "Errors of the embedded store, by class."}, []string{"class"}),
		query: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plimsoll_store_query_duration_seconds", Help: "Time to answer a query, waiting included, by kind.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}, []string{"kind"}),
		decisions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_store_decisions_appended_total", Help: "Decisions accepted into the decision log."}),
		markers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_store_stale_markers_total", Help: "Series marked as ended."}),
		reopened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_store_reopened_total", Help: "Times the engine was reopened after a failed write."}),
		displaced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_store_queries_displaced_total", Help: "Requests of the PromQL API that were ended after five seconds since another client waited while theirs had several."}),
	}
	for _, r := range []string{dropNotFinite, dropFuture, dropTooOld, dropDuplicate, dropUnknown, dropSeriesLimit} {
		m.dropped.WithLabelValues(r)
	}
	for _, c := range []string{classRead, classWrite, classFull, classQuery, classMaintenance} {
		m.errors.WithLabelValues(c)
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	all := []prometheus.Collector{m.appended, m.dropped, m.append, m.errors, m.query, m.decisions, m.markers, m.reopened, m.displaced,
		gauge("plimsoll_store_bytes", "Bytes in the data folder.", func() float64 { return float64(db.Stats().Bytes) }),
		gauge("plimsoll_store_series", "Series in the head of the embedded store.", func() float64 { return float64(db.Stats().Series) }),
		gauge("plimsoll_store_healthy", "1 if the embedded store accepts data, 0 if not.", func() float64 {
			if db.Health().OK() {
				return 1
			}
			return 0
		}),
	}
	if reg == nil {
		return m, func() {}, nil
	}
	unregister := func() {
		for _, c := range all {
			reg.Unregister(c)
		}
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			unregister()
			return nil, nil, err
		}
	}
	return m, unregister, nil
}

// Reasons for which a sample is left out.
const (
	dropNotFinite   = "not_finite"
	dropFuture      = "future"
	dropTooOld      = "too_old"
	dropDuplicate   = "duplicate" // a second, different value for the same moment
	dropUnknown     = "unknown"   // not in the catalogue at that level, or invalid
	dropSeriesLimit = "series_limit"
)

// Classes of errors.
const (
	classRead        = "read"
	classWrite       = "write"
	classFull        = "disk_full"
	classQuery       = "query"
	classMaintenance = "maintenance"
)
