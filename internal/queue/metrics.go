package queue

import "github.com/prometheus/client_golang/prometheus"

// metrics are the queue's, read from Stats when scraped, but for the histogram.
type metrics struct {
	sync       prometheus.Histogram
	unregister func()
}

func newMetrics(reg prometheus.Registerer, q *Queue) (*metrics, error) {
	m := &metrics{sync: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "plimsoll_queue_sync_duration_seconds", Help: "Time of an fsync of the queue.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9)}), unregister: func() {}}
	if reg == nil {
		return m, nil
	}
	all := append(q.gauges(), m.sync)
	for i, c := range all {
		if err := reg.Register(c); err != nil {
			for _, c := range all[:i] {
				reg.Unregister(c)
			}
			return nil, err
		}
	}
	m.unregister = func() {
		for _, c := range all {
			reg.Unregister(c)
		}
	}
	return m, nil
}

func (q *Queue) gauges() []prometheus.Collector {
	var all []prometheus.Collector
	gauge := func(name, help string, f func(*Stats) float64) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { s := q.Stats(); return f(&s) }))
	}
	counter := func(name, help string, labels prometheus.Labels, f func(*Stats) uint64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { s := q.Stats(); return float64(f(&s)) }))
	}
	gauge("plimsoll_queue_bytes", "Bytes of the queue's segments on disk.", func(s *Stats) float64 { return float64(s.Bytes) })
	gauge("plimsoll_queue_records", "Records in the queue that are not delivered.", func(s *Stats) float64 { return float64(s.Records) })
	gauge("plimsoll_queue_points", "Points in the queue that are not delivered.", func(s *Stats) float64 { return float64(s.Points) })
	gauge("plimsoll_queue_in_flight_records", "Records that a writer has and did not give back.", func(s *Stats) float64 { return float64(s.InFlight) })
	gauge("plimsoll_queue_segments", "Segments on disk.", func(s *Stats) float64 { return float64(s.Segments) })
	gauge("plimsoll_queue_oldest_age_seconds", "Age of the oldest record that is not delivered.", func(s *Stats) float64 { return s.OldestAge.Seconds() })
	all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_queue_healthy", Help: "1 if the queue accepts records, 0 if not."},
		func() float64 {
			if q.Health().OK() {
				return 1
			}
			return 0
		}))
	both := func(name, help string, labels prometheus.Labels, f func(*Stats) Count) {
		counter("plimsoll_queue_"+name+"_records_total", "Records "+help, labels, func(s *Stats) uint64 { return f(s).Records })
		counter("plimsoll_queue_"+name+"_points_total", "Points "+help, labels, func(s *Stats) uint64 { return f(s).Points })
	}
	both("appended", "accepted into the queue.", nil, func(s *Stats) Count { return s.Appended })
	both("delivered", "acknowledged by the writer.", nil, func(s *Stats) Count { return s.Delivered })
	both("dead_letter", "written to the dead-letter file.", nil, func(s *Stats) Count { return s.Dead })
	for _, r := range reasons() {
		both("dropped", "lost or not accepted, by reason.", prometheus.Labels{"reason": r}, func(s *Stats) Count { return s.Dropped[r] })
	}
	counter("plimsoll_queue_dead_letters_dropped_total", "Dead letters dropped because there were too many.", nil, func(s *Stats) uint64 { return s.DeadDropped })
	counter("plimsoll_queue_set_aside_segments_total", "Damaged files found and set aside.", nil, func(s *Stats) uint64 { return s.SetAside })
	counter("plimsoll_queue_torn_bytes_total", "Bytes cut from the end of a segment after an unclean end.", nil, func(s *Stats) uint64 { return s.TornBytes })
	counter("plimsoll_queue_sync_errors_total", "Times that fsync failed.", nil, func(s *Stats) uint64 { return s.SyncErrors })
	counter("plimsoll_queue_record_bytes_total", "Bytes of the records accepted, before compression.", nil, func(s *Stats) uint64 { return s.RawBytes })
	counter("plimsoll_queue_written_bytes_total", "Bytes written to segments and cursor.", nil, func(s *Stats) uint64 { return s.WrittenBytes })
	return all
}
