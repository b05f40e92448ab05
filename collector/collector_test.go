package collector

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
)

// readerFunc is a reader made of a function.
type readerFunc func(now time.Time) *metric.Batch

func (f readerFunc) Read(now time.Time) *metric.Batch { return f(now) }

// one gives batches of one sample each.
func one(fast bool) readerFunc {
	e := &metric.Entity{Pod: "p"}
	return func(now time.Time) *metric.Batch {
		return &metric.Batch{Node: "n1", Time: now, Fast: fast, Groups: []metric.Group{{Entity: e,
			Points: []metric.Point{{ID: metric.CPUUsage, T: now.UnixMilli(), V: 1}}}}}
	}
}

// taken is a sink that notes when it took what; with a hold it takes that long.
type taken struct {
	start time.Time
	hold  time.Duration
	err   error

	mu  sync.Mutex
	log []string
}

func (s *taken) Take(ctx context.Context, b *metric.Batch) error {
	if s.hold > 0 {
		select {
		case <-time.After(s.hold):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := "full"
	if b.Fast {
		kind = "fast"
	}
	if s.err == nil {
		s.log = append(s.log, kind+"@"+b.Time.Sub(s.start).String())
	}
	return s.err
}

// metrics reads the own metrics by "name{label="value",...}" without the prefix.
func metrics(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			key := strings.TrimPrefix(f.GetName(), "plimsoll_collector_") + "{" + strings.Join(labels, ",") + "}"
			out[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// runFor runs a collector for a time in a bubble and stops it.
func runFor(t *testing.T, c *Collector, d time.Duration, during ...func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	time.Sleep(d)
	synctest.Wait()
	for _, f := range during {
		f()
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, history := &taken{start: time.Now()}, &taken{start: time.Now()}
		reg := prometheus.NewRegistry()
		c, err := New(Options{Full: one(false), Fast: one(true), Live: live, History: history, Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		if c.Health() == nil {
			t.Error("a collector that has not begun is healthy")
		}
		runFor(t, c, 10500*time.Millisecond, func() {
			if err := c.Health(); err != nil {
				t.Errorf("Health: %v", err)
			}
		})
		if d := cmp.Diff(history.log, []string{"full@0s", "full@5s", "full@10s"}); d != "" {
			t.Errorf("history lane (-got +want):\n%s", d)
		}
		got := strings.Join(live.log, " ")
		for _, want := range []string{"full@0s", "full@5s", "full@10s", "fast@0s", "fast@250ms", "fast@500ms", "fast@750ms", "fast@1s", "fast@9s", "fast@10s"} {
			if !strings.Contains(got+" ", want+" ") {
				t.Errorf("the live lane lacks %s: %s", want, got)
			}
		}
		if len(live.log) != 17 {
			t.Errorf("the live lane took %d batches, want 17: %s", len(live.log), got)
		}
		m := metrics(t, reg)
		for key, want := range map[string]float64{
			"read_samples_total{fast}": 14, "read_samples_total{full}": 3, "sent_samples_total{full,history}": 3,
			"sent_samples_total{fast,live}": 14, "tick_duration_seconds{fast}": 14, "panics_total{}": 0,
		} {
			if m[key] != want {
				t.Errorf("%s = %v, want %v", key, m[key], want)
			}
		}
	})
}

// TestSlowSinkHoldsNoTick lets the live sink take three seconds for each batch.
func TestSlowSinkHoldsNoTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &taken{start: time.Now(), hold: 900 * time.Millisecond}
		history := &taken{start: time.Now(), hold: 25 * time.Second}
		reg := prometheus.NewRegistry()
		c, _ := New(Options{Full: one(false), Fast: one(true), FastInterval: 300 * time.Millisecond, Live: live, History: history, Registerer: reg})
		runFor(t, c, 59*time.Second)
		m := metrics(t, reg)
		if got, want := m["tick_duration_seconds{fast}"], 200.0; got != want {
			t.Errorf("%v fast ticks, want %v: a slow sink held them up", got, want)
		}
		if m["unsent_samples_total{fast,busy,live}"] == 0 || m["unsent_samples_total{fast,deadline,live}"] == 0 {
			t.Errorf("what a busy sink did not take was not counted: %v", m)
		}
		if m["skipped_ticks_total{fast}"] != 0 {
			t.Errorf("%v ticks were skipped for a slow sink", m["skipped_ticks_total{fast}"])
		}
		if got := m["unsent_samples_total{full,deadline,history}"]; got != 5 {
			t.Errorf("%v full batches met their deadline at the history sink, want 5", got)
		}
	})
}

func TestSlowReaderSkipsTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &taken{start: time.Now()}
		slow := readerFunc(func(now time.Time) *metric.Batch { time.Sleep(2500 * time.Millisecond); return one(true)(now) })
		reg := prometheus.NewRegistry()
		c, _ := New(Options{Full: one(false), Fast: slow, Live: live, Registerer: reg})
		runFor(t, c, 9900*time.Millisecond)
		var fast []string
		for _, x := range live.log {
			if strings.HasPrefix(x, "fast") {
				fast = append(fast, x)
			}
		}
		if d := cmp.Diff(fast, []string{"fast@0s", "fast@3s", "fast@6s", "fast@9s"}); d != "" {
			t.Errorf("fast ticks (-got +want):\n%s", d)
		}
		if got := metrics(t, reg)["skipped_ticks_total{fast}"]; got != 8 {
			t.Errorf("%v skipped ticks, want 8", got)
		}
	})
}

func TestHangingReaderIsUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hang := readerFunc(func(now time.Time) *metric.Batch { <-release; return one(true)(now) })
		c, _ := New(Options{Full: one(false), Fast: hang, Live: &taken{start: time.Now()}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(3 * time.Second)
		if err := c.Health(); err != nil {
			t.Errorf("too early: %v", err)
		}
		time.Sleep(time.Second)
		if err := c.Health(); err == nil || !strings.Contains(err.Error(), "fast") {
			t.Errorf("Health = %v, want the fast lane's hanging reader", err)
		}
		if err := c.Stuck(time.Minute); err != nil {
			t.Errorf("stuck too early: %v", err)
		}
		time.Sleep(time.Minute)
		if err := c.Stuck(time.Minute); err == nil || !strings.Contains(err.Error(), "fast") {
			t.Errorf("Stuck = %v, want the fast lane's hanging reader", err)
		}
		cancel()
		if err := <-done; err == nil || !strings.Contains(err.Error(), "fast reader has not returned") {
			t.Errorf("Run = %v, want the reader that has not returned", err)
		}
		close(release)
	})
}

func TestPanicsCostOneTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		n := 0
		full := readerFunc(func(now time.Time) *metric.Batch {
			n++
			switch n {
			case 2:
				panic("broken file")
			case 3:
				return nil
			}
			return one(false)(now)
		})
		history := &taken{start: time.Now()}
		reg := prometheus.NewRegistry()
		c, _ := New(Options{Full: full, History: history, Extra: []Extra{panicky{}}, Registerer: reg,
			Logger: slog.New(slog.NewTextHandler(&text, nil))})
		runFor(t, c, 21*time.Second)
		if d := cmp.Diff(history.log, []string{"full@0s", "full@20s"}); d != "" {
			t.Errorf("batches (-got +want):\n%s", d)
		}
		if got := metrics(t, reg)["panics_total{}"]; got != 4 {
			t.Errorf("%v panics, want 2 of the reader and 2 of the measurement", got)
		}
		if !strings.Contains(text.String(), "broken file") {
			t.Errorf("the log does not tell of the panic: %s", text.String())
		}
	})
}

type panicky struct{}

func (panicky) Read(time.Time) ([]metric.Group, []metric.Gap) { panic("no /proc") }

type extra struct{ e *metric.Entity }

func (x extra) Read(now time.Time) ([]metric.Group, []metric.Gap) {
	return []metric.Group{{Entity: x.e}}, []metric.Gap{{Entity: x.e, Reason: "gone"}}
}

func TestExtraJoinsBothLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[bool]int{}
		live := sinkFunc(func(b *metric.Batch) error {
			mu.Lock()
			defer mu.Unlock()
			if len(b.Groups) == 2 && len(b.Gaps) == 1 {
				seen[b.Fast]++
			}
			return nil
		})
		c, _ := New(Options{Full: one(false), Fast: one(true), Live: live, Extra: []Extra{extra{&metric.Entity{}}}})
		runFor(t, c, 1500*time.Millisecond)
		if d := cmp.Diff(seen, map[bool]int{true: 5, false: 1}); d != "" {
			t.Errorf("batches with the extra's group and gap (-got +want):\n%s", d)
		}
	})
}

type sinkFunc func(b *metric.Batch) error

func (f sinkFunc) Take(_ context.Context, b *metric.Batch) error { return f(b) }

func TestFailingAndPanickingSinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		history := &taken{start: time.Now(), err: errors.New("disk full")}
		live := sinkFunc(func(*metric.Batch) error { panic("nil map") })
		c, _ := New(Options{Full: one(false), Live: live, History: history, Registerer: reg})
		runFor(t, c, 21*time.Second, func() {
			if err := c.Health(); err != nil {
				t.Errorf("Health = %v: a sink's failure is the sink's", err)
			}
		})
		m := metrics(t, reg)
		if m["unsent_samples_total{full,error,history}"] != 4 || m["unsent_samples_total{full,error,live}"] != 4 || m["panics_total{}"] != 4 {
			t.Errorf("metrics: %v", m)
		}
	})
}

func TestClockStep(t *testing.T) {
	l := &lane{every: 10 * time.Second}
	f := func(wall, mono time.Duration, want bool) {
		t.Helper()
		if got := l.slipped(wall, mono); got != want {
			t.Errorf("wall clock %v on, monotonic %v: got %v, want %v", wall, mono, got, want)
		}
	}
	f(10*time.Second, 10*time.Second, false)
	f(10*time.Second+40*time.Millisecond, 10*time.Second, false)
	f(3610*time.Second, 10*time.Second, true)
	f(-5*time.Second, 10*time.Second, true)
}

// TestClockStepCostsTheTick sets the wall clock back between two ticks.
func TestClockStepCostsTheTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gaps []metric.Gap
		live := sinkFunc(func(b *metric.Batch) error {
			if len(b.Groups) == 0 {
				gaps = append(gaps, b.Gaps...)
			}
			return nil
		})
		reg := prometheus.NewRegistry()
		c, _ := New(Options{Full: one(false), Live: live, Registerer: reg})
		l := c.lanes[0]
		var wg sync.WaitGroup
		l.tick(context.Background(), &wg)
		time.Sleep(l.every)
		l.wall = l.wall.Add(time.Hour) // as if the clock had been set back by an hour since
		l.tick(context.Background(), &wg)
		wg.Wait()
		if len(gaps) != 1 || gaps[0].Reason != "clock" || gaps[0].Entity == nil {
			t.Errorf("gaps: %+v", gaps)
		}
		if got := metrics(t, reg)["unsent_samples_total{full,clock,reader}"]; got != 1 {
			t.Errorf("%v samples lost to the clock, want 1", got)
		}
	})
}

func TestOptionsValidate(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want an error with %q", err, want)
		}
	}
	f(Options{}, "full reader")
	f(Options{Full: one(false)}, "sink")
	f(Options{Full: one(false), Live: &taken{}, Interval: -1}, "negative")
}
