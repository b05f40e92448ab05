package live

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
)

// reason says why a sample was not applied.
type reason uint8

const (
	dropFuture     reason = iota // later than its batch's time by more than the skew
	dropOld                      // not newer than the newest sample there is
	dropNotFinite                // NaN or infinite
	dropUnknownRow               // no such row, or not at this level
	dropEntity                   // nil, nameless or misnamed
	dropLimit                    // too many entities or series
	dropDuplicate                // another container of the same names, older than the one shown
	dropFastLane                 // a full batch's copy of a row that the fast lane carries
	numReasons
)

var reasonNames = [numReasons]string{"future", "old", "not_finite", "unknown_row", "entity", "limit", "duplicate", "fast_lane"}

// drops counts the samples dropped during one Apply, by reason.
type drops [numReasons]int

// meters are the picture's own metrics.
type meters struct {
	applied  prometheus.Counter
	dropped  [numReasons]prometheus.Counter
	entities [len(levelCounts{})]prometheus.Gauge
	restarts prometheus.Counter
	steps    prometheus.Counter
	evicted  prometheus.Counter
	newest   prometheus.Gauge
	snapshot prometheus.Histogram
}

// levelCounts has one place for each level.
type levelCounts [metric.Cluster + 1]int

func newMeters(r prometheus.Registerer) (*meters, error) {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_live_samples_dropped_total",
		Help: "Samples that were not applied to the live picture, by reason."}, []string{"reason"})
	entities := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "plimsoll_live_entities",
		Help: "Entities in the live picture, by level, roll-ups included."}, []string{"level"})
	m := &meters{
		applied: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_live_samples_applied_total",
			Help: "Samples applied to the live picture."}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_live_restarts_total",
			Help: "Times an entity's counters began anew under the same names."}),
		steps: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_live_clock_steps_total",
			Help: "Times an entity's samples went on at an earlier time."}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_live_entities_evicted_total",
			Help: "Entities of whoever sent the most that gave their place to others' when the picture was full."}),
		newest: prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_live_newest_sample_timestamp_seconds",
			Help: "Time of the newest sample of the last batch, Unix time: the picture's lag is now less this."}),
		snapshot: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_live_snapshot_duration_seconds",
			Help: "Time to build a snapshot.", Buckets: prometheus.ExponentialBuckets(1e-4, 4, 8)}),
	}
	for i := range m.dropped {
		m.dropped[i] = dropped.WithLabelValues(reasonNames[i])
	}
	for _, l := range metric.Levels() {
		m.entities[l] = entities.WithLabelValues(l.String())
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.applied, dropped, entities, m.restarts, m.steps, m.evicted, m.newest, m.snapshot} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

// count adds what became of one Apply.
func (m *meters) count(in *intake) {
	if in.applied > 0 {
		m.applied.Add(float64(in.applied))
		m.newest.Set(float64(in.heard) / 1000)
	}
	m.restarts.Add(float64(in.restarts))
	m.steps.Add(float64(in.steps))
	m.evicted.Add(float64(in.evicted))
	for i, n := range in.drops {
		m.dropped[i].Add(float64(n))
	}
}
