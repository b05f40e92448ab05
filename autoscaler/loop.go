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
	workers chan struct{} // a message for each that is at work
	slow    chan struct{} // a message for each pass that waits for calls

	mu       sync.Mutex // everything below; not held during calls to the outside
	targets  map[cluster.Target]*target
	order    []*target       // those that have a policy, in a steady order
	ctx      context.Context // of Run; nil while it does not run
	busy     int             // targets that somebody has in hand
	idle     chan struct{}   // closed when nobody has one any more; nil until somebody waits for that
	lastPass time.Time
	since    time.Time
	pace     pacer
}

// New checks the options and builds a Loop. It starts nothing.
func New(o Options) (*Loop, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	l := &Loop{opts: o, log: o.Logger, targets: map[cluster.Target]*target{}, pace: pacer{},
		workers: make(chan struct{}, workers), slow: make(chan struct{}, slowPlaces)}
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
	l.order = nil
	for _, t := range l.targets {
		t.gone = true
	}
	for _, p := range ps {
		t := l.targets[p.Target]
		if t == nil {
			t = newTarget(l.opts.Node, p.Target)
			l.targets[p.Target] = t
			l.arm(t)
		}
		t.adopt(p)
		l.order = append(l.order, t)
	}
	slices.SortFunc(l.order, func(a, b *target) int { return cmp.Compare(a.key.String(), b.key.String()) })
	for _, t := range l.targets {
		if t.gone && !t.busy { // who has it in hand forgets it
			l.forget(t)
		}
	}
	return nil
}

// arm sets a target's first pass. The lock is held.
func (l *Loop) arm(t *target) {
	if l.ctx == nil || t.busy {
		return
	}
	t.due = firstDue(time.Now(), t.key, l.opts.interval)
	t.timer = time.AfterFunc(time.Until(t.due), func() { l.serve(t) })
}

// forget lets go of a target. The lock is held.
func (l *Loop) forget(t *target) {
	delete(l.targets, t.key)
	l.pace.follow(t, "")
	if t.hung > 0 {
		l.metrics.hung.Dec()
	}
}

// Run runs the loop until ctx ends. What was decided by then is written before it returns.
func (l *Loop) Run(ctx context.Context) error {
	l.mu.Lock()
	if l.ctx != nil {
		l.mu.Unlock()
		return errors.New("cannot run an autoscaler twice at a time")
	}
	l.ctx, l.since = ctx, time.Now()
	for _, t := range l.order {
		l.arm(t)
	}
	l.mu.Unlock()
	stop := l.writer.start()
	<-ctx.Done()
	l.mu.Lock()
	l.ctx = nil
	idle := make(chan struct{})
	if l.busy == 0 {
		close(idle)
	} else {
		l.idle = idle
	}
	l.mu.Unlock()
	select {
	case <-idle:
	case <-time.After(l.opts.CallTimeout):
	}
	l.mu.Lock()
	for _, t := range l.order {
		if t.busy { // its call ends for no deadline
			l.log.Warn("cannot keep the state of a target whose calls hang", "target", t.key.String())
			continue
		}
		if t.timer != nil {
			t.timer.Stop()
		}
		l.keepState(t, time.Now())
	}
	l.mu.Unlock()
	stop()
	return nil
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
	if err := l.Stuck(0); err != nil {
		return err
	}
	return l.writer.health()
}

// Stuck says what Health says of passes, where none has ended for so long at least.
func (l *Loop) Stuck(least time.Duration) error {
	l.mu.Lock()
	running, last, n := l.ctx != nil, l.lastPass, len(l.order)
	if last.Before(l.since) {
		last = l.since
	}
	l.mu.Unlock()
	if !running {
		return errors.New("the autoscaler does not run")
	}
	if age := time.Since(last); n > 0 && age > max(5*l.opts.interval+l.opts.CallTimeout, least) {
		return fmt.Errorf("the autoscaler's last pass ended %s ago", age.Round(time.Second))
	}
	return nil
}
