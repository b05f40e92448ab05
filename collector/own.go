package collector

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// own are the room's own metrics.
type own struct {
	duration *prometheus.HistogramVec
	read     *prometheus.CounterVec
	sent     *prometheus.CounterVec
	lost     *prometheus.CounterVec
	last     *prometheus.GaugeVec
	skipped  *prometheus.CounterVec
	overruns *prometheus.CounterVec
	panics   prometheus.Counter
}

func newOwn(reg prometheus.Registerer) (*own, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_" + name, Help: help}, labels)
	}
	o := &own{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plimsoll_collector_tick_duration_seconds",
			Help: "How long a tick took to read.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"lane"}),
		read:     counter("read_samples_total", "Samples that the readers took.", "lane"),
		sent:     counter("sent_samples_total", "Samples that a sink took.", "lane", "sink"),
		lost:     counter("unsent_samples_total", "Samples that were taken but not sent, by reason.", "lane", "sink", "reason"),
		skipped:  counter("skipped_ticks_total", "Ticks that came due while one before was still being read.", "lane"),
		overruns: counter("slow_ticks_total", "Ticks whose reading took longer than the interval.", "lane"),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "plimsoll_collector_last_tick_timestamp_seconds",
			Help: "When the last tick that ended well began."}, []string{"lane"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_collector_panics_total",
			Help: "Ticks, or parts of them, that were lost because a reader or sink panicked or gave nothing."}),
	}
	if reg == nil {
		return o, nil
	}
	var errs error
	for _, c := range []prometheus.Collector{o.duration, o.read, o.sent, o.lost, o.last, o.skipped, o.overruns, o.panics} {
		errs = errors.Join(errs, reg.Register(c))
	}
	if errs != nil {
		return nil, fmt.Errorf("cannot register the collector's metrics: %w", errs)
	}
	return o, nil
}

// dropped counts samples that were taken but not sent.
func (o *own) dropped(lane, sink, reason string, samples int) {
	o.lost.WithLabelValues(lane, sink, reason).Add(float64(samples))
}
