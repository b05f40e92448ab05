package influx_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// TestServerKills: batches go through the real queue while the server is killed again and again; every point that was acknowledged
// to the sink is there in the end, with its value.
func TestServerKills(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		ready(s)
		q, err := queue.Open(queue.Options{Dir: t.TempDir(), SyncEvery: 100 * time.Millisecond, FreshFor: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = q.Close() })
		d := influx.OnQueue(q)
		sink, err := influx.NewSink(influx.SinkOptions{Queue: d})
		if err != nil {
			t.Fatal(err)
		}
		w, err := influx.NewWriter(influx.WriterOptions{Conn: s.Conn("plimsoll"), Lanes: d.Lanes(), DeadLetters: d, Timeout: 2 * time.Second,
			Random: func() float64 { return 0.05 * rand.Float64() }}) // short waits: the test's outages are short
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = w.Run(ctx) })
		wg.Go(func() { _ = q.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		over := make(chan struct{})
		go func() { // four kills, two of them while the server is being written to
			defer close(over)
			for range 4 {
				time.Sleep(time.Duration(300+rand.IntN(300)) * time.Millisecond)
				s.Kill()
				time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
				s.Start()
			}
		}()
		var es []*metric.Entity
		for i := range 20 {
			es = append(es, &metric.Entity{Level: metric.Container, Node: "n", Namespace: "d", Container: fmt.Sprint("c", i)})
		}
		start := time.Now().Add(-time.Hour).Truncate(time.Second)
		ticks := 0
		for done := false; !done; ticks++ {
			select {
			case <-over:
				done = true
			case <-time.After(5 * time.Millisecond):
			}
			at := start.Add(time.Duration(ticks) * time.Second)
			b := &metric.Batch{Time: at}
			for i, e := range es {
				b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryUsage, T: at.UnixMilli(), V: float64(1000*ticks + i)}}})
			}
			if err := sink.Append(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
		missing := -1
		for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			got := map[string]float64{}
			for _, series := range s.Query("plimsoll", `SELECT memory_usage_bytes FROM container GROUP BY container`) {
				for _, v := range series.Values {
					got[fmt.Sprintf("%s %d", series.Tags["container"], int64(v[0].(float64)))], _ = v[1].(float64)
				}
			}
			missing = 0
			for tick := range ticks {
				for i := range es {
					v, ok := got[fmt.Sprintf("c%d %d", i, start.Add(time.Duration(tick)*time.Second).UnixMilli())]
					if !ok {
						missing++
					} else if v != float64(1000*tick+i) {
						t.Fatalf("tick %d of c%d is %g", tick, i, v)
					}
				}
			}
			if missing == 0 {
				break
			}
		}
		if missing != 0 {
			t.Errorf("%d of %d points are missing; %+v", missing, ticks*len(es), w.Conditions())
		}
		t.Logf("%d points through 4 kills", ticks*len(es))
	})
}
