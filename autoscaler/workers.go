package autoscaler

import (
	"context"
	"errors"
	"time"
)

const (
	// workers is how many passes work at a time, and slowPlaces how many more may wait for calls to the outside.
	workers    = 8
	slowPlaces = 256
	// patience is how long a pass may keep a worker. One that lasts longer waits for a call: it moves to a slow place.
	patience = 10 * time.Millisecond
	// hungRest is the most intervals between two tries of a target whose calls run into their deadline.
	hungRest = 4
)

// serve makes the pass that a target is due for, and sets its next one. From begin to end nobody else has the target.
func (l *Loop) serve(t *target) {
	l.mu.Lock()
	ctx := l.ctx
	if ctx == nil || t.gone || t.busy {
		l.mu.Unlock()
		return
	}
	if early := time.Until(t.due); early > 0 { // a batch and the timer came at once: this pass has been made
		t.timer.Reset(early)
		l.mu.Unlock()
		return
	}
	t.busy, t.late = true, false
	l.busy++
	l.mu.Unlock()
	if l.enter(ctx, t) {
		now := time.Now()
		at := t.due
		late := now.Sub(at)
		if skipped := late / l.opts.interval; skipped > 0 { // what was missed is not made up for
			l.metrics.skipped.Add(float64(skipped))
			at = at.Add(skipped * l.opts.interval)
		}
		l.metrics.lateness.Observe(late.Seconds())
		t.due = at.Add(l.opts.interval)
		l.pass(ctx, t, now, t.tick(now, at, l.opts.interval))
		t.leave()
	}
	l.release(t)
}

// release gives a target out of this hand: it waits for its next pass, or is forgotten.
func (l *Loop) release(t *target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case t.late:
		if t.hung++; t.hung == 1 {
			l.metrics.hung.Inc()
			l.log.Warn("calls for a target hang", "target", t.key.String(), "timeout", l.opts.CallTimeout)
		}
		rest := time.Duration(min(t.hung, hungRest)) * l.opts.interval
		t.due = t.due.Add(max(0, time.Since(t.due)+rest).Truncate(l.opts.interval))
	case t.hung > 0:
		t.hung = 0
		l.metrics.hung.Dec()
		l.log.Info("calls for a target are answered again", "target", t.key.String())
	}
	t.busy = false
	if l.pace.choose(t, time.Now(), l.opts.interval); t.follow != "" && t.hung == 0 {
		t.due = t.due.Add(l.opts.interval / grace)
	}
	if l.busy--; l.busy == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
	switch {
	case t.gone:
		l.forget(t)
	case l.ctx != nil:
		t.timer.Reset(time.Until(t.due))
	}
}

// enter waits in the queue for a worker, and is false if ctx ended first. A target that hangs has no claim to one: it gets a slow place.
func (l *Loop) enter(ctx context.Context, t *target) bool {
	places := l.workers
	if t.hung > 0 {
		places = l.slow
	}
	t.leave = func() {}
	l.metrics.queued.Inc()
	defer l.metrics.queued.Dec()
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	if t.hung > 0 {
		t.leave = func() { <-places }
		return true
	}
	left, settled := make(chan struct{}), make(chan struct{})
	timer := time.AfterFunc(patience, func() {
		defer close(settled)
		select {
		case l.slow <- struct{}{}:
			<-l.workers
			places = l.slow
		case <-left:
		}
	})
	t.leave = func() {
		close(left)
		if !timer.Stop() {
			<-settled
		}
		<-places
	}
	return true
}

// call makes one call to the outside, and notes if it ran into its deadline.
func (l *Loop) call(ctx context.Context, t *target, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.opts.CallTimeout)
	defer cancel()
	err := f(ctx)
	t.late = t.late || errors.Is(ctx.Err(), context.DeadlineExceeded)
	return err
}
