package collector

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// lane reads at its own pace and hands what it read to its sinks.
type lane struct {
	name  string
	every time.Duration
	// early is how far ticks are apart within the first interval: rates need two, and nobody likes to wait for the first.
	early time.Duration
	read  func(time.Time) *metric.Batch
	extra []Extra
	sinks []*sender
	kills *kills // nil: the lane counts none

	c   *Collector
	log *slog.Logger

	ended  atomic.Pointer[time.Time] // when the last good tick ended; before that when Run began
	inside atomic.Bool               // a tick is being read
	prev   time.Time                 // when the last tick began, by the monotonic clock
	wall   time.Time                 // and by the wall clock
}

func (l *lane) init(c *Collector) {
	l.c = c
	l.log = c.opt.Logger.With("lane", l.name)
	for _, s := range l.sinks {
		s.lane, s.own, s.log, s.deadline = l.name, c.own, l.log, l.every
	}
}

func (l *lane) begin() {
	now := time.Now()
	l.ended.Store(&now)
}

// patience is how many intervals a lane may be without a tick that ended.
const patience = 3

// health says what is wrong with a lane, from its flow: that no tick has ended for patience intervals, and for least.
func (l *lane) health(now time.Time, least time.Duration) error {
	ended := l.ended.Load()
	if ended == nil {
		return fmt.Errorf("the %s lane has not begun", l.name)
	}
	quiet := now.Sub(*ended)
	if quiet <= max(patience*l.every, least) {
		return nil
	}
	err := fmt.Errorf("the %s lane has ended no tick for %v", l.name, quiet.Round(time.Millisecond))
	if l.inside.Load() {
		return fmt.Errorf("%w: its reader has not returned", err)
	}
	return err
}

// run ticks until ctx ends, on the monotonic clock: tick k is due k intervals after the start, and more come
// within the first. A tick that comes due while one is still being read is skipped and counted.
func (l *lane) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		l.tick(ctx, &wg)
		passed := time.Since(start)
		if due := (passed/l.early + 1) * l.early; due < l.every {
			timer.Reset(due - passed)
			continue
		}
		next := int64(passed/l.every) + 1
		if skipped := next - k - 1; skipped > 0 {
			l.c.own.skipped.WithLabelValues(l.name).Add(float64(skipped))
			l.log.Debug("a tick took too long; the next were skipped", "skipped", skipped)
		}
		k = next
		timer.Reset(time.Duration(k)*l.every - passed)
	}
}

// tick reads once and sends. Reading is on this goroutine, sending on the senders'.
func (l *lane) tick(ctx context.Context, wg *sync.WaitGroup) {
	now := time.Now()
	stepped := l.stepped(now)
	l.prev, l.wall = now, now.Round(0)
	l.inside.Store(true)
	b, err := l.c.gather(l, now)
	l.inside.Store(false)
	took := time.Since(now)
	o := l.c.own
	o.duration.WithLabelValues(l.name).Observe(took.Seconds())
	if err != nil {
		o.panics.Inc()
		l.log.Error("a tick is lost", "err", err)
		return
	}
	if took > l.every {
		o.overruns.WithLabelValues(l.name).Inc()
		l.log.Warn("reading took longer than the interval", "took", took, "interval", l.every)
	}
	o.read.WithLabelValues(l.name).Add(float64(b.Samples()))
	if stepped && len(b.Groups) > 0 {
		o.dropped(l.name, "reader", "clock", b.Samples())
		l.log.Warn("the clock was stepped; this tick's samples are dropped", "tick", now)
		for i := range b.Groups {
			b.Gaps = append(b.Gaps, metric.Gap{Entity: b.Groups[i].Entity, Reason: "clock", Detail: "the machine's clock was stepped"})
		}
		b.Groups = nil
	}
	end := time.Now()
	l.ended.Store(&end)
	o.last.WithLabelValues(l.name).Set(float64(now.UnixMilli()) / 1e3)
	for _, s := range l.sinks {
		s.offer(ctx, wg, b)
	}
}

// stepped says whether the wall clock was set between the last tick and now.
func (l *lane) stepped(now time.Time) bool {
	if l.prev.IsZero() {
		return false
	}
	return l.slipped(now.Round(0).Sub(l.wall), now.Sub(l.prev))
}

// slipped says whether the wall clock and the monotonic one parted between two ticks by more than adjusting the clock
// slowly (adjtime(2): 0.5 ms a second) can do.
func (l *lane) slipped(wall, mono time.Duration) bool {
	return (wall - mono).Abs() > max(50*time.Millisecond, l.every/20)
}
