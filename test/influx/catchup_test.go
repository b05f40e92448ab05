package influx_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// tickOf is one tick of 450 containers with 20 rows each.
func tickOf(es []*metric.Entity, at time.Time) *metric.Batch {
	b := &metric.Batch{Node: "n", Time: at}
	for i, e := range es {
		g := metric.Group{Entity: e}
		for _, row := range metric.Rows() {
			if row.Has(metric.Container) && row.Sub == "" && len(g.Points) < 20 {
				g.Points = append(g.Points, metric.Point{ID: row.ID, T: at.UnixMilli(), V: float64(at.Unix()%100_000) + float64(i)})
			}
		}
		b.Groups = append(b.Groups, g)
	}
	return b
}

// TestCatchUp: ten minutes of 450 containers wait in the queue when the server comes back. The backlog is worked off within a
// minute, and what is fresh does not wait for it: it is there as soon as without a backlog.
func TestCatchUp(t *testing.T) {
	s := influxtest.Start18(t, influxtest.Options{})
	ready(s)
	q, err := queue.Open(queue.Options{Dir: t.TempDir(), SyncEvery: time.Second, FreshFor: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	d := influx.OnQueue(q)
	sink, err := influx.NewSink(influx.SinkOptions{Queue: d})
	if err != nil {
		t.Fatal(err)
	}
	w, err := influx.NewWriter(influx.WriterOptions{Conn: s.Conn("plimsoll"), Lanes: d.Lanes(), DeadLetters: d})
	if err != nil {
		t.Fatal(err)
	}
	es := make([]*metric.Entity, 450)
	for i := range es {
		es[i] = &metric.Entity{Level: metric.Container, Node: "n", Namespace: "d", Pod: fmt.Sprint("p", i), Container: "c"}
	}
	const ticks = 60
	now := time.Now().Truncate(time.Second)
	append1 := func(at time.Time) {
		t.Helper()
		if err := sink.Append(t.Context(), tickOf(es, at)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range ticks {
		append1(now.Add(time.Duration(i-ticks) * 10 * time.Second))
	}
	// FreshFor must pass, so that all of it is backlog; the queue's clock is the machine's.
	for q.Stats().OldestAge < 3*time.Second {
		time.Sleep(100 * time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = q.Run(ctx) })
	began := time.Now()
	wg.Go(func() { _ = w.Run(ctx) })
	delay := func(at time.Time) time.Duration {
		t.Helper()
		append1(at)
		sent := time.Now()
		for time.Since(sent) < 2*time.Minute {
			if got := s.Query("plimsoll", fmt.Sprintf(`SELECT memory_usage_bytes FROM container WHERE pod = 'p449' AND time = %dms`, at.UnixMilli())); len(got) > 0 {
				return time.Since(sent)
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal("a fresh tick did not arrive within two minutes")
		return 0
	}
	during := delay(now)
	left := q.Stats().Points
	for q.Stats().Records > 0 && time.Since(began) < 2*time.Minute {
		time.Sleep(20 * time.Millisecond)
	}
	caught := time.Since(began)
	alone := delay(now.Add(time.Second))
	total, want := 0.0, float64((ticks+2)*len(es))
	for end := time.Now().Add(2 * time.Minute); total != want && time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // a tick's lines become visible one by one
		for _, series := range s.Query("plimsoll", `SELECT COUNT(memory_usage_bytes) FROM container`) {
			total, _ = series.Values[0][1].(float64)
		}
	}
	t.Logf("%d ticks of %d containers caught up in %v; a fresh tick took %v meanwhile (%d points still queued after it) and %v without a backlog", ticks, len(es), caught.Round(time.Millisecond), during.Round(time.Millisecond), left, alone.Round(time.Millisecond))
	if total != want {
		t.Errorf("%v points arrived, want %v", total, want)
	}
	if caught > time.Minute {
		t.Errorf("it took %v, want at most a minute", caught)
	}
	if during > 5*time.Second {
		t.Errorf("a fresh tick waited %v for the backlog", during)
	}
}
