package influx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Queue takes lines that must not be lost; when Append returns nil they survive kill -9. Safe for concurrent use.
type Queue interface {
	Append(ctx context.Context, lines []byte, n int) error
}

// SinkOptions say how batches become records of the queue.
type SinkOptions struct {
	Encoder EncoderOptions
	Queue   Queue
	// Logger is for changes of state; nil discards.
	Logger *slog.Logger
	// Registerer takes the sink's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer

	// Tests alone set what follows.

	maxRecord int              // the most bytes of a record, unless one line is longer: 1 MiB, what the writer sends in a request
	now       func() time.Time // the clock
}

// Sink encodes batches and queues them: the store's appender. Safe for concurrent use.
type Sink struct {
	opts SinkOptions
	cond *condition.Set
	met  *sinkMetrics

	mu      sync.Mutex // has the encoder and buf
	encoder *Encoder
	buf     []byte
}

// NewSink returns a sink.
func NewSink(o SinkOptions) (*Sink, error) {
	if o.Queue == nil {
		return nil, errors.New("cannot queue for InfluxDB: no queue")
	}
	e, err := NewEncoder(o.Encoder)
	if err != nil {
		return nil, err
	}
	if o.maxRecord <= 0 {
		o.maxRecord = 1 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.now == nil {
		o.now = time.Now
	}
	met, err := newSinkMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("cannot register the metrics of InfluxDB's sink: %w", err)
	}
	return &Sink{opts: o, cond: newConditions(o.now), encoder: e, met: met}, nil
}

// Append encodes a batch and queues its lines. When it returns nil they survive kill -9. Points that can never be stored are
// left out and counted. Batches are queued in the order in which they were encoded.
func (s *Sink) Append(ctx context.Context, b *metric.Batch) error {
	return s.append(ctx, what(b), func(dst []byte) ([]byte, Encoded) { return s.encoder.Encode(dst, b, s.opts.now()) })
}

// append queues what encode makes of what is named.
func (s *Sink) append(ctx context.Context, name string, encode func(dst []byte) ([]byte, Encoded)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot append %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var n Encoded
	s.buf, n = encode(s.buf[:0])
	s.note(n)
	if err := s.queue(ctx, s.buf); err != nil {
		return fmt.Errorf("cannot append %s: %w", name, err)
	}
	if cap(s.buf) > 16<<20 { // a rare, huge batch does not stay
		s.buf = nil
	}
	return nil
}

// AppendDecision queues a decision.
func (s *Sink) AppendDecision(ctx context.Context, d cluster.Decision) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot append decision about %q: %w", d.Name, err)
	}
	if o := s.opts.Encoder.Schema; o != "" && o != SchemaV1 {
		return nil // Heapster's schema has no decisions
	}
	line, err := EncodeDecision(nil, s.opts.Encoder.Cluster, d)
	if err != nil {
		return err
	}
	if err := s.queue(ctx, line); err != nil {
		return fmt.Errorf("cannot append decision about %q: %w", d.Name, err)
	}
	return nil
}

// queue appends lines in records that are not too long.
func (s *Sink) queue(ctx context.Context, lines []byte) error {
	for len(lines) > 0 {
		n := prefix(lines, len(lines), s.opts.maxRecord)
		if err := s.opts.Queue.Append(ctx, lines[:n], bytes.Count(lines[:n], []byte{'\n'})); err != nil {
			return err
		}
		lines = lines[n:]
	}
	return nil
}

// note counts what became of a batch and keeps the condition of the series budget. The caller has mu.
func (s *Sink) note(n Encoded) {
	s.met.lines.Add(float64(n.Lines))
	s.met.cut.Add(float64(n.Cut))
	for d, k := range n.Dropped {
		if k > 0 {
			s.met.dropped.WithLabelValues(Drop(d).String()).Add(float64(k))
		}
	}
	if n.Dropped[DropSeriesBudget] == 0 {
		return
	}
	for i, r := range s.encoder.Refusals() {
		if i == maxNamed {
			break
		}
		s.met.refused.WithLabelValues(r.Namespace).Set(float64(r.Refused))
		if i > 0 {
			continue
		}
		m := fmt.Sprintf("namespace %q has %d series within a day, the most that it may have: lines of new ones are left out (%d so far)", r.Namespace, r.Series, r.Refused)
		if s.cond.SayFor(remembered, ReasonSeriesBudget, m) {
			s.opts.Logger.Warn("too many series", "namespace", r.Namespace, "series", r.Series)
		}
	}
}

// maxNamed is the most namespaces that are named in metrics.
const maxNamed = 20

// Conditions returns what is wrong at present.
func (s *Sink) Conditions() []condition.Condition { return s.cond.List() }

// sinkMetrics are the sink's metrics.
type sinkMetrics struct {
	lines, cut prometheus.Counter
	dropped    *prometheus.CounterVec
	refused    *prometheus.GaugeVec
}

func newSinkMetrics(reg prometheus.Registerer) (*sinkMetrics, error) {
	m := &sinkMetrics{
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_influx_lines_encoded_total", Help: "Lines made of batches."}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_influx_tag_values_cut_total", Help: "Tag values that were too long, in lines made."}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_influx_points_dropped_total", Help: "Points left out because they could never be stored, by reason."}, []string{"reason"}),
		refused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plimsoll_influx_series_refused_lines", Help: "Lines left out since the start because their namespace had too many series, for the namespaces that lost most."}, []string{"namespace"}),
	}
	for d := range numDrops {
		m.dropped.WithLabelValues(d.String())
	}
	return m, register(reg, m.lines, m.cut, m.dropped, m.refused)
}
