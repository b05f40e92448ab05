package cgroup

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// own are the reader's own metrics.
type own struct {
	dropped  *prometheus.CounterVec
	byReason [numReasons]prometheus.Counter
	reopened prometheus.Counter
	rescans  prometheus.Counter
	cgroups  prometheus.Gauge
	kept     prometheus.Gauge
	polled   prometheus.Gauge
}

func newOwn(reg prometheus.Registerer) (*own, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_collector_fast_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_collector_fast_" + name, Help: help})
	}
	o := &own{
		// Every reader of the collector has a counter of this name, help and labels, told apart by the constant one.
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name:        "plimsoll_collector_dropped_samples_total",
			Help:        "Samples that a reader could not take or had to drop, by reason.",
			ConstLabels: prometheus.Labels{"reader": "fast"},
		}, []string{"reason"}),
		reopened: counter("reopened_reads_total", "Reads that had to open their file because the budget of descriptors is spent."),
		rescans:  counter("lost_events_total", "Times the kernel's queue of events ran over and all cgroups were looked at again."),
		cgroups:  gauge("cgroups", "Cgroups that are read each tick."),
		kept:     gauge("descriptors", "Cgroup files that are kept open."),
		polled:   gauge("polled_directories", "Cgroup directories that are polled because the kernel gives no more inotify watches."),
	}
	for r := gone; r < numReasons; r++ {
		o.byReason[r] = o.dropped.WithLabelValues(r.String())
	}
	if reg == nil {
		return o, nil
	}
	var errs error
	for _, c := range []prometheus.Collector{o.dropped, o.reopened, o.rescans, o.cgroups, o.kept, o.polled} {
		errs = errors.Join(errs, reg.Register(c))
	}
	if errs != nil {
		return nil, fmt.Errorf("cannot register the fast reader's metrics: %w", errs)
	}
	return o, nil
}

// drop counts one lost sample.
func (o *own) drop(r reason) { o.byReason[r].Inc() }
