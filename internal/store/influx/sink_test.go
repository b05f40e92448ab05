package influx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store"
)

// memory is a queue without a disk.
type memory struct {
	mu      sync.Mutex
	records []string
	lines   int
	err     error
}

func (m *memory) Append(_ context.Context, lines []byte, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.records = append(m.records, string(lines))
	m.lines += n
	return nil
}

func newSink(t testing.TB, o SinkOptions) *Sink {
	t.Helper()
	s, err := NewSink(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSink(t *testing.T) {
	m := &memory{}
	now := time.UnixMilli(base)
	s := newSink(t, SinkOptions{Queue: m, maxRecord: 10_000, now: func() time.Time { return now }, Registerer: prometheus.NewRegistry(), Encoder: EncoderOptions{SeriesPerNamespace: 100}})
	if err := s.Append(t.Context(), &metric.Batch{Groups: every(0)}); err != nil {
		t.Fatal(err)
	}
	b := metric.Batch{}
	for i := range 300 {
		b.Groups = append(b.Groups, metric.Group{Entity: &metric.Entity{Level: metric.Pod, Namespace: "loud", Pod: strings.Repeat("x", 100) + fmt.Sprint(i)},
			Points: []metric.Point{{ID: metric.MemoryRSS, T: base, V: 1}}})
	}
	if err := s.Append(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if m.lines != len(metric.Levels())+100 || len(m.records) < 3 {
		t.Errorf("%d lines in %d records", m.lines, len(m.records))
	}
	for _, r := range m.records {
		if len(r) > 10_000 || !strings.HasSuffix(r, "\n") {
			t.Errorf("a record of %d bytes", len(r))
		}
	}
	if cs := s.Conditions(); len(cs) != 1 || cs[0].Reason != ReasonSeriesBudget || !strings.Contains(cs[0].Message, `"loud"`) {
		t.Errorf("got %+v", cs)
	}
	if n := testutil.ToFloat64(s.met.dropped.WithLabelValues("series_budget")); n != 200 {
		t.Errorf("%g dropped, want 200", n)
	}
	now = now.Add(remembered)
	if cs := s.Conditions(); len(cs) != 0 {
		t.Errorf("later: %+v", cs)
	}
	if err := s.AppendDecision(t.Context(), cluster.Decision{Time: now, Target: cluster.Target{Name: "web"}}); err != nil || !strings.HasPrefix(m.records[len(m.records)-1], "decision,workload=web ") {
		t.Errorf("%v, %q", err, m.records[len(m.records)-1])
	}
	if err := s.AppendDecision(t.Context(), cluster.Decision{Target: cluster.Target{Name: "web"}}); err == nil {
		t.Error("a decision without a time: got no error")
	}
	m.err = store.ErrReadOnly
	if err := s.Append(t.Context(), &metric.Batch{Groups: every(1)}); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Append(ctx, &metric.Batch{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func openQueue(t testing.TB, o queue.Options) *queue.Queue {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	q, err := queue.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// TestFromBatchToServer: sink, real queue and writer together, with an outage in between: every point arrives, lines that are
// refused are among the queue's dead letters.
func TestFromBatchToServer(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t, queue.Options{Dir: dir, SyncEvery: time.Second})
		d := OnQueue(q)
		now := time.UnixMilli(base)
		s := newSink(t, SinkOptions{Queue: d, now: func() time.Time { return now.Add(time.Hour) }})
		f := &fake{start: time.Now(), answer: func(n int, lines []string) reply {
			if n < 5 {
				return reply{code: 503}
			}
			for _, l := range lines {
				if strings.HasPrefix(l, "cluster ") {
					return reply{code: 422, message: "partial write: field type conflict dropped=1"}
				}
			}
			return reply{code: 204}
		}}
		conn, err := NewConn(ConnOptions{URL: "http://influx.test", Bucket: "b", transport: f})
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWriter(WriterOptions{Conn: conn, Lanes: d.Lanes(), DeadLetters: d})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = w.Run(ctx) })
		wg.Go(func() { _ = q.Run(ctx) })
		for i := range int64(30) {
			if err := s.Append(ctx, &metric.Batch{Groups: every(i)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		cancel()
		wg.Wait()
		got := map[string]bool{}
		for _, l := range f.stored {
			got[l] = true
		}
		if want := 30 * (len(metric.Levels()) - 1); len(got) != want {
			t.Errorf("%d lines stored, want %d", len(got), want)
		}
	})
}

// BenchmarkSink is encoding and queueing: lines of 20 fields into a real queue that syncs once a second.
func BenchmarkSink(b *testing.B) {
	q := openQueue(b, queue.Options{SyncEvery: time.Second, MaxBytes: 64 << 20})
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = q.Run(ctx) })
	bs := twenty(450)
	s := newSink(b, SinkOptions{Queue: OnQueue(q), now: func() time.Time { return bs[15].Time }})
	lines := 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%16 == 0 {
			s.encoder.entries.byPtr = map[*metric.Entity]*entry{}
		}
		if err := s.Append(ctx, bs[i%16]); err != nil {
			b.Fatal(err)
		}
		lines += 450
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds()*60/1e6, "Mlines/min")
}
