package autoscaler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Loop observes, decides and acts. All methods are safe for concurrent use.
type Loop struct {
	opts    Options
	log     *slog.Logger
	metrics *metrics
	writer  *writer

	mu       sync.Mutex // everything below; not held during calls to the outside
	targets  map[cluster.Target]*target
	changed  chan struct{} // one message: the targets have changed
	running  bool
	lastPass time.Time
	since    time.Time
}

// New checks the options and builds a Loop. It starts nothing.
func New(o Options) (*Loop, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	l := &Loop{opts: o, log: o.Logger, targets: map[cluster.Target]*target{}, changed: make(chan struct{}, 1)}
	l.metrics = newMetrics(l)
	l.writer = newWriter(o.Log, o.History, o.CallTimeout, o.Logger, l.metrics)
	if o.Registerer != nil {
		if err := l.metrics.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("cannot register the autoscaler's metrics: %w", err)
		}
	}
	return l, l.Apply(o.Policies)
}

// Apply makes these the policies. A target that stays keeps its history and what earlier decisions left behind. With
// an error nothing is changed.
func (l *Loop) Apply(ps []Policy) error {
	if err := validatePolicies(ps); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := map[cluster.Target]bool{}
	for _, p := range ps {
		keep[p.Target] = true
		if t := l.targets[p.Target]; t != nil {
			t.adopt(p)
			continue
		}
		l.targets[p.Target] = newTarget(l.opts.Node, p)
	}
	for k := range l.targets {
		if !keep[k] {
			delete(l.targets, k)
		}
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return nil
}

// Run runs the loop until ctx ends. What was decided by then is written before it returns.
func (l *Loop) Run(ctx context.Context) error {
	l.mu.Lock()
	if l.running {
		l.mu.Unlock()
		return errors.New("cannot run an autoscaler twice at a time")
	}
	l.running, l.since = true, time.Now()
	l.mu.Unlock()
	stop := l.writer.start()
	defer func() {
		l.mu.Lock()
		l.running = false
		ts := l.ordered()
		l.mu.Unlock()
		for _, t := range ts {
			l.keepState(t, time.Now())
		}
		stop()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.changed:
		case <-timer.C:
		}
		timer.Reset(max(0, time.Until(l.turn(ctx))))
	}
}

// turn passes over every target that is due, and returns when the next one is.
func (l *Loop) turn(ctx context.Context) (next time.Time) {
	l.mu.Lock()
	ts := l.ordered()
	l.mu.Unlock()
	for _, t := range ts {
		now := time.Now()
		if t.due.IsZero() {
			t.due = firstDue(now, t.key, l.opts.Interval)
		}
		if now.Before(t.due) || ctx.Err() != nil {
			continue
		}
		at := t.due
		late := now.Sub(at)
		if skipped := late / l.opts.Interval; skipped > 0 { // what was missed is not made up for
			l.metrics.skipped.Add(float64(skipped))
			at = at.Add(skipped * l.opts.Interval)
		}
		l.metrics.lateness.Observe(late.Seconds())
		t.due = at.Add(l.opts.Interval)
		l.pass(ctx, t, now, at)
	}
	next = time.Now().Add(l.opts.Interval)
	for _, t := range ts {
		if t.due.Before(next) {
			next = t.due
		}
	}
	return next
}

// ordered returns the targets in a steady order. The lock is held.
func (l *Loop) ordered() []*target {
	ts := make([]*target, 0, len(l.targets))
	for _, t := range l.targets {
		ts = append(ts, t)
	}
	slices.SortFunc(ts, func(a, b *target) int { return cmp.Compare(a.key.String(), b.key.String()) })
	return ts
}

// firstDue spreads the targets over the interval, each always at the same place in it. It keeps away from the
// interval's end, so that a pass that is a little late still falls into its own second. The time returned counts on the
// monotonic clock, as now does: a wall clock that is set back must not put the next pass off until it has caught up.
func firstDue(now time.Time, t cluster.Target, interval time.Duration) time.Time {
	h := fnv.New64a()
	h.Write([]byte(t.String()))
	phase := time.Duration(float64(h.Sum64()%1000) / 1000 * 0.9 * float64(interval))
	wait := now.Truncate(interval).Add(phase).Sub(now.Round(0))
	if wait < 0 {
		wait += interval
	}
	return now.Add(wait)
}

// Health says what is wrong: no pass for a while, or decisions that cannot be kept.
func (l *Loop) Health() error {
	l.mu.Lock()
	running, last, n := l.running, l.lastPass, len(l.targets)
	if last.Before(l.since) {
		last = l.since
	}
	l.mu.Unlock()
	if !running {
		return errors.New("the autoscaler does not run")
	}
	if age := time.Since(last); n > 0 && age > 5*l.opts.Interval+l.opts.CallTimeout {
		return fmt.Errorf("the autoscaler's last pass ended %s ago", age.Round(time.Second))
	}
	return l.writer.health()
}
