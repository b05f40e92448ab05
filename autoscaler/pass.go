package autoscaler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/turns"
)

// Reasons of the loop's own, beside those of the brain.
const (
	failedUpdateScale policy.Reason = "FailedUpdateScale" // the HPA's: the count could not be changed
	waitingToRetry    policy.Reason = "WaitingToRetry"    // the last change failed; the next try comes later
	changedMeanwhile  policy.Reason = "ChangedMeanwhile"  // somebody else changed the count
	notLeader         policy.Reason = "NotLeader"         // this process may not write
	policyChanged     policy.Reason = "PolicyChanged"     // the policy was changed or removed meanwhile
	waitingForTurn    policy.Reason = "WaitingForTurn"    // more changes than may be made in a second
	podsNotKnown      policy.Reason = "PodsNotKnown"      // nobody has told yet which pods there are
	scaledByAnother   policy.Reason = "ScaledByAnother"   // somebody else sets the count of this target
)

// broke says whether a reason is that of a change that could not be made.
func broke(why policy.Reason) bool { return why == failedUpdateScale || why == waitingToRetry }

// pass observes one target, decides, and acts. at is when it was due. When ctx ends, what was not written by then is left.
func (l *Loop) pass(ctx context.Context, t *target, now, at time.Time) {
	led := t.leads
	if t.leads = l.opts.Gate.MayWrite() == nil; t.leads && !led {
		t.restored, t.took, t.recalls = false, now, time.Time{} // what the last one that could write left behind is in the log
		t.tries, t.retry, t.failed = 0, time.Time{}, ""
	}
	l.restore(ctx, t, now)
	l.mu.Lock()
	p := t.policy
	l.mu.Unlock()
	var anew []policy.Step // why this decision is the second of its pass
	for {
		if t.of != p.Compiled {
			t.under(p.Compiled)
		}
		was := t.counted
		in, unknown := l.observe(ctx, t, p.Compiled, now, at)
		if ctx.Err() != nil {
			return
		}
		if unknown != nil {
			l.undecided(t, unknown, now)
			return
		}
		t.blind = time.Time{}
		t.where(in.Pods)
		t.beside(&in, p.Owner, was)
		l.found(t, &in, now)
		d := policy.Decide(in)
		d.Steps = append(anew, d.Steps...)
		l.metrics.computed(&d, time.Since(now))
		t.look(&in, &d, at)
		t.wakes(&in, &d, now)
		if d.Action == policy.Down && d.Reason != policy.CurrentAboveMax { // limits do not rest on the load
			if why := t.tooEarly(p.Compiled, at); why != "" {
				hold(&d, in.State, policy.AwaitingLook, why)
			}
		}
		if p.Foreign != "" && in.Target.Problem == nil {
			leave(&d, in.State, p.Foreign)
		}
		l.act(ctx, t, p, &in, &d, now)
		if t.failed != "" && p.Compiled.Mode() == policy.Auto {
			failing(&d, t.failed)
		}
		if ctx.Err() != nil && d.Action == policy.Hold {
			return
		}
		if d.Reason == changedMeanwhile && anew == nil && in.Options.RecomputesOnConflict() {
			anew = d.Steps[len(d.Steps)-1:]
			now = time.Now()
			continue
		}
		t.state = &d.State
		l.metrics.passed(&d, time.Since(now))
		l.tell(t, &in, &d, now)
		return
	}
}

// blindFor is for how long a target's pods may be unknown, as they are for a moment at each start, before that is told.
const blindFor = time.Minute

// undecided ends a pass that had nothing to rest on: what is shown of the target stays, and nothing is kept. Once that goes on for long it is told,
// with who does not tell of the pods and why.
func (l *Loop) undecided(t *target, unknown error, now time.Time) {
	if t.blind.IsZero() {
		t.blind = now
	}
	why := strings.TrimSuffix(unknown.Error(), ": "+cluster.ErrNotYet.Error())
	long := now.Sub(t.blind) >= blindFor
	l.mu.Lock()
	l.lastPass = now
	if long {
		t.shown.Gap = &cluster.Gap{Since: t.blind, Reason: "target", Detail: "nothing is decided, as its pods are not known yet: " + why}
	}
	l.mu.Unlock()
	if long && t.leads && l.opts.Told != nil {
		l.opts.Told(Outcome{Target: t.key, Time: now, Decision: &policy.Decision{Action: policy.Hold, Reason: podsNotKnown, Message: "Nothing is decided, as the target's pods are not known yet: " + why + ".",
			Conditions: []policy.Condition{{Type: "ScalingActive", Status: "False", Reason: podsNotKnown}}}})
	}
}

// hold turns a decision that is not carried out into one that keeps the count; of what it would have left behind
// for the next pass only its recommendation stays.
func hold(d *policy.Decision, before *policy.State, why policy.Reason, message string) {
	recs := d.State.Recommendations
	d.State = policy.State{}
	if before != nil {
		d.State = *before
	}
	d.State.Recommendations, d.State.Looked = recs, nil // what the look before it found does not stand beside what this one did
	d.Steps = append(d.Steps, policy.Step{Step: "act", Before: d.Desired, After: d.Current, Why: message})
	d.Action, d.Desired, d.Reason, d.Message = policy.Hold, d.Current, why, message
	for i := range d.Conditions {
		if c := &d.Conditions[i]; c.Type == "AbleToScale" && c.Reason == policy.SucceededRescale {
			c.Reason = policy.ReadyForNewScale
		}
	}
	awake(d)
}

// failing keeps the condition from an all-clear until a change succeeds, although none may be asked for meanwhile.
func failing(d *policy.Decision, failed string) {
	for i := range d.Conditions {
		if c := &d.Conditions[i]; c.Type == "AbleToScale" && c.Status == "True" {
			c.Status, c.Reason, c.Message = "False", failedUpdateScale, failed
		}
	}
}

// leave keeps a count that is another's to set.
func leave(d *policy.Decision, before *policy.State, whose string) {
	hold(d, before, scaledByAnother, fmt.Sprintf("The count is left alone: %s. %s", whose, d.Message))
	for i := range d.Conditions {
		if c := &d.Conditions[i]; c.Type == "AbleToScale" {
			c.Status, c.Reason, c.Message = "False", scaledByAnother, fmt.Sprintf("The count is left alone: %s.", whose)
		}
	}
}

// act carries a decision out. What fails becomes the decision's outcome and is tried again, each time a little later.
func (l *Loop) act(ctx context.Context, t *target, p Policy, in *policy.Input, d *policy.Decision, now time.Time) {
	if d.Action == policy.Hold {
		t.asked = time.Time{}
		return
	}
	change := fmt.Sprintf("The change from %d to %d", d.Current, d.Desired)
	if now.Before(t.retry) {
		hold(d, in.State, waitingToRetry, fmt.Sprintf("%s The next try is in %d s. %s", t.failed, int(t.retry.Sub(now).Seconds()+0.999), d.Message))
		return
	}
	times := l.times(t, in, now)
	why, text := l.forbidden(t, p)
	if why == "" && !l.await(ctx, t, d) {
		why, text = waitingForTurn, "waits for its turn: only so many are made in a second"
	} else if why == "" {
		why, text = l.forbidden(t, p) // it may have waited for long
	}
	if why != "" {
		hold(d, in.State, why, fmt.Sprintf("%s %s. %s", change, text, d.Message))
		return
	}
	t.lost = nil
	// A change that was begun is brought to its end when ctx ends.
	err := l.call(context.WithoutCancel(ctx), t, func(ctx context.Context) error {
		if err := l.announce(ctx, t, d); err != nil {
			return err
		}
		return l.opts.Scaler.SetScale(ctx, t.key, d.Current, d.Desired)
	})
	switch {
	case err == nil:
		t.made = d.Desired
		t.tries, t.retry, t.failed = 0, time.Time{}, ""
		times.Written = time.Now()
		d.Times = times
	case errors.Is(err, ErrConflict):
		hold(d, in.State, changedMeanwhile, fmt.Sprintf("Somebody else changed the count from %d; it is decided anew.", d.Current))
	default:
		if unanswered(err) {
			t.lost = copied(d)
		}
		t.retry = now.Add(min(time.Second<<min(t.tries, 10), 30*time.Second))
		t.tries++
		d.Error = err.Error()
		t.refusal, t.sought = d.Error, d.Desired
		t.failed = fmt.Sprintf("%s could not be made: %s.", change, strings.TrimSuffix(d.Error, "."))
		if t.tries > 1 {
			t.failed += fmt.Sprintf(" That was try %d in a row.", t.tries)
		}
		hold(d, in.State, failedUpdateScale, t.failed+" "+d.Message)
	}
}

// found ends what is told of a change that failed once the count is what it asked for. One whose answer was lost was made then all the same: it counts among those that were made, and so do what
// it left behind for the next passes and the story of the target.
func (l *Loop) found(t *target, in *policy.Input, now time.Time) {
	if in.Target.Problem != nil {
		return
	}
	if t.failed != "" && in.Target.SpecReplicas == t.sought { // whoever made it so
		t.tries, t.retry, t.failed = 0, time.Time{}, ""
	}
	d := t.lost
	if d == nil {
		return
	}
	t.lost = nil
	if in.Target.SpecReplicas != d.Desired {
		return
	}
	d.Message += " The answer to the change was lost; it was made."
	in.State, t.state = &d.State, &d.State
	l.tell(t, in, d, now)
}

// unanswered says of a change that failed whether it may have been made.
func unanswered(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// copied is a decision of which the parts that hold changes are its own.
func copied(d *policy.Decision) *policy.Decision {
	out := *d
	out.Steps, out.Conditions = slices.Clone(d.Steps), slices.Clone(d.Conditions)
	return &out
}

// forbidden says why a count may not be changed by this process, or for this policy; "" if it may.
func (l *Loop) forbidden(t *target, p Policy) (why policy.Reason, text string) {
	l.mu.Lock()
	stale := t.gone || t.policy.Compiled != p.Compiled || t.policy.Foreign != p.Foreign
	l.mu.Unlock()
	if stale {
		return policyChanged, "is not made: the policy was changed meanwhile"
	}
	if err := l.opts.Gate.MayWrite(); err != nil {
		return notLeader, "is not made: " + err.Error()
	}
	return "", ""
}

// await waits until a change may be made, without a worker, for as long as a call may last; one that has waited before goes first.
func (l *Loop) await(ctx context.Context, t *target, d *policy.Decision) bool {
	if t.asked.IsZero() {
		t.asked = time.Now()
	}
	class := turns.Lower
	if d.Action == policy.Up {
		class = turns.Raise
	}
	if k := l.opts.Turns.Join(class, t.asked); !k.Come() {
		t.leave()
		wait, cancel := context.WithTimeout(ctx, l.opts.CallTimeout)
		defer cancel()
		turn := l.opts.Turns.Wait(wait, k)
		if !l.enter(ctx, t) || !turn {
			return false
		}
	}
	t.asked = time.Time{}
	return true
}

// holdEvery is how often a hold is written to the log when nothing changes, and holdAfter how long after the last
// entry one with another reason is: a load near its target changes the reason every second. That the target cannot be seen is written at once. A change that is refused is one
// reason as long as it is refused in the same words, however often it is tried: its sentence counts the tries.
const (
	holdEvery = time.Minute
	holdAfter = 5 * time.Second
)

// tell writes the decision down: for the page at once, in the log when the count changes, when the reason has, or when
// a minute has passed.
func (l *Loop) tell(t *target, in *policy.Input, d *policy.Decision, now time.Time) {
	vanished := in.Target.Problem != nil
	entry := cluster.Decision{Time: now, Target: t.key,
		Action: string(d.Action), From: int32(d.Current), To: int32(d.Desired), Reason: string(d.Reason), Message: d.Message}
	since := now.Sub(t.logged.at)
	was, cause := t.logged.reason, entry.Reason
	if broke(d.Reason) {
		cause = string(failedUpdateScale) + " " + t.refusal
	}
	write := d.Action != policy.Hold || entry.To != t.logged.desired || since >= holdEvery || cause != t.logged.cause && (since >= holdAfter || d.Reason == failedUpdateScale || vanished)
	if write {
		if detail, err := json.Marshal(d); err == nil {
			entry.Detail = detail
		}
		t.logged.at, t.logged.reason, t.logged.cause, t.logged.desired = now, entry.Reason, cause, entry.To
		if t.leads { // of several processes that share a log one writes it
			l.writer.decision(entry)
		}
	}
	switch {
	case d.Action != policy.Hold:
		l.log.Info("scaled", "target", t.key.String(), "from", d.Current, "to", d.Desired, "reason", d.Reason, "message", d.Message)
	case d.Reason == failedUpdateScale:
		l.log.Warn("cannot scale", "target", t.key.String(), "err", d.Error, "next", t.retry)
	case vanished && write && was != entry.Reason:
		l.log.Warn("cannot see target", "target", t.key.String(), "err", d.Error)
	default:
		l.log.Debug("held", "target", t.key.String(), "replicas", d.Current, "reason", d.Reason, "message", d.Message)
	}
	if !vanished {
		l.series(t, in, d, now)
	}
	l.show(t, in, d, entry, now)
	if t.leads && l.opts.Told != nil {
		l.opts.Told(Outcome{Target: t.key, Time: now, Replicas: in.Target.StatusReplicas, Seen: !vanished, Trouble: t.trouble, Decision: d})
	}
}

// show makes the newest decision what Scaled returns.
func (l *Loop) show(t *target, in *policy.Input, d *policy.Decision, entry cluster.Decision, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastPass = now
	s := &t.shown
	s.Updated, s.Last, t.whole = &now, &entry, &detail{of: d}
	if d.Action != policy.Hold {
		s.Change = &entry
	}
	if t.lacks = t.trouble; in.Target.Problem != nil {
		t.lacks = ""
	}
	t.fails = t.failed != "" && t.policy.Compiled.Mode() == policy.Auto // else nothing is tried
	s.State = t.policy.state(d.Reason, t.lacks, t.fails)
	t.limits(now)
	gap, why := "", "target"
	if in.Target.Problem != nil {
		gap, why = strings.TrimSuffix(d.Message, "."), cluster.GapScale // a clause: who shows it ends the sentence
		s.Replicas, s.Ready, s.Metrics = 0, 0, nil
	} else {
		s.Replicas, s.Desired = int32(in.Target.StatusReplicas), int32(d.Desired)
		s.Ready = readyOf(in.Pods)
		s.Metrics = loads(d)
		if d.Error != "" && d.Reason != failedUpdateScale {
			gap = d.Error
		}
	}
	old := s.Gap // readers hold it
	if s.Gap = nil; gap != "" {
		s.Gap = &cluster.Gap{Since: now, Reason: why, Detail: gap}
		if old != nil {
			s.Gap.Since = old.Since
		}
	}
}

func loads(d *policy.Decision) []cluster.Load {
	known := func(v float64) *float64 {
		if math.IsNaN(v) {
			return nil
		}
		return &v
	}
	out := make([]cluster.Load, len(d.Metrics))
	for i := range d.Metrics {
		m := &d.Metrics[i]
		out[i] = cluster.Load{Name: m.Name, Type: m.Type, Container: m.Container, Load: known(m.Load), Target: known(m.Target), Noise: known(m.Noise), Of: m.Of, Amount: m.Amount}
		if d.Look != nil {
			out[i].Window = d.Look.Window.Seconds()
		}
	}
	return out
}

// readyOf counts the pods that can serve.
func readyOf(pods []cluster.Pod) (n int32) {
	for i := range pods {
		if pods[i].Ready == corev1.ConditionTrue {
			n++
		}
	}
	return n
}
