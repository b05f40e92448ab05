package ingest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reason says why a sample was not written. Those that begin with skip are left out on purpose; the others are
// the sender's mistake or a limit, and make the answer a 400.
type reason uint8

const (
	skipUnknown     reason = iota // not in the catalogue
	skipHistogram                 // native histograms are not kept
	skipExemplar                  // nor are exemplars
	skipPod                       // of a pod that the cluster does not have, or not yet
	skipFormer                    // of a pod that was on the node until lately, whose name another node's has
	rejectNotFinite               // NaN or infinite
	rejectValue                   // what the row cannot have: memory below zero, more than a machine can hold
	rejectFuture                  // ahead of this machine's clock
	rejectTime                    // no time, or before 1970
	rejectLabels                  // without a name, or without the labels that name its entity
	rejectLimit                   // too many series or entities
	rejectDuplicate               // a label name twice: which of the two values it has, nobody knows
	rejectNode                    // of a node that the sender may not speak for, or that another speaks for
	rejectPod                     // of a pod that is on another node
	numReasons
)

var reasonNames = [numReasons]string{"unknown_metric", "histogram", "exemplar", "unknown_pod", "former_pod", "not_finite", "value", "future", "time", "labels", "limit", "duplicate_label", "node", "pod"}

// tally counts samples by reason.
type tally [numReasons]int

// rejected describes the samples that were the sender's mistake; "" if there is none.
func (t *tally) rejected() string {
	var parts []string
	for r := rejectNotFinite; r < numReasons; r++ {
		if t[r] > 0 {
			parts = append(parts, fmt.Sprintf("%d (%s)", t[r], reasonNames[r]))
		}
	}
	return strings.Join(parts, ", ")
}

// metrics are the receiver's own metrics.
type metrics struct {
	requests *prometheus.CounterVec
	written  *prometheus.CounterVec
	dropped  [numReasons]prometheus.Counter
	lag      *prometheus.HistogramVec
	duration *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, of *Receiver) (*metrics, error) {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_ingest_samples_dropped_total",
		Help: "Received samples that were not written, by reason."}, []string{"reason"})
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_ingest_requests_total",
			Help: "Remote write requests, by status code."}, []string{"code"}),
		written: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_ingest_samples_written_total",
			Help: "Received samples that were handed on, by lane."}, []string{"lane"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plimsoll_ingest_lag_seconds",
			Help:    "Age of the newest sample of a request when it was received, by lane.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300}}, []string{"lane"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plimsoll_ingest_request_duration_seconds",
			Help: "Time to take a request, the sinks' included.", Buckets: prometheus.ExponentialBuckets(5e-4, 4, 8)}, nil),
	}
	m.duration.WithLabelValues() // there from the beginning
	for i := range m.dropped {
		m.dropped[i] = dropped.WithLabelValues(reasonNames[i])
	}
	series := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_ingest_series",
		Help: "Series that are known from the last minutes."}, func() float64 { return float64(of.table.size()) })
	troubles := make([]prometheus.Collector, 0, 6)
	for _, why := range []string{NameTaken, NotItsNode, NotItsPod, ClockAhead, ClockBehind, TooManySeries} {
		troubles = append(troubles, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_ingest_troubled_senders", ConstLabels: prometheus.Labels{"reason": why},
			Help: "Nodes whose collector a person has to mend, by reason."}, func() float64 { return float64(of.troubled(why)) }))
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range append(troubles, m.requests, m.written, dropped, m.lag, m.duration, series) {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

// count adds what one request held.
func (m *metrics) count(c *converted, lane string) {
	m.written.WithLabelValues(lane).Add(float64(c.written))
	for i, n := range c.tally {
		m.dropped[i].Add(float64(n))
	}
	if c.lag == c.lag {
		m.lag.WithLabelValues(lane).Observe(max(0, c.lag))
	}
}

func (t *table) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.series)
}

// troubled is the number of nodes with a trouble.
func (r *Receiver) troubled(reason string) (n int) {
	for _, t := range r.Conditions(time.Now()) {
		if t.Reason == reason {
			n++
		}
	}
	return n
}
