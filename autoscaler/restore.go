package autoscaler

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/store"
)

// restore reads from the log what earlier decisions left behind, the first time that a target is seen and whenever this process may
// write anew: the state that the newest entry carries, beside what this process would have asked for meanwhile. While it cannot be read nothing
// is lowered (tooEarly), and it is asked again. A process that ended as it should wrote a last entry (keepState) and nothing is
// missing; after a crash the passes since the last entry, at most holdEvery, are. They cannot have asked for more
// than the count that was, or it would have been raised and logged: so that count is remembered in their place,
// as late as they can have been, and the count is kept for longer than it would have been without the crash.
//
// Whose a count of 0 is, is in the status of the policy too (Zero), which goes before an entry that is older, and is all there is where there is
// no log. A process that may not write believes it at all times, as who may write keeps it.
func (l *Loop) restore(ctx context.Context, t *target, now time.Time) {
	l.mu.Lock()
	zero := t.policy.Zero
	l.mu.Unlock()
	if t.restored || t.unread != nil && time.Now().Before(t.recalls) {
		if zero != nil && (zero.Another || !t.leads) {
			t.asleep(zero.Ours)
		}
		return
	}
	logged, err := l.recall(ctx, t, now)
	again := t.unread != nil
	switch {
	case err != nil && !again:
		l.log.Warn("cannot read earlier decisions: the count is not lowered until they can be read", "target", t.key.String(), "err", err)
	case err == nil && again:
		l.log.Info("earlier decisions can be read again", "target", t.key.String())
	}
	t.restored, t.unread = err == nil, err
	t.recalls = time.Now().Add(max(recallEvery, recallShare*time.Since(now)))
	switch {
	case again && t.counted > 0: // by a raise of this process, say
		t.asleep(false)
	case zero != nil && (zero.Ours || zero.Another || !zero.Since.Before(logged)):
		t.asleep(zero.Ours)
	}
}

// How often a log that cannot be read is asked again: at least so long after a try, and after so many times as long as that took.
const (
	recallEvery = 5 * time.Second
	recallShare = 20
)

// recall is restore for the log. It returns when the entry was written whose state is in force now; zero: none is. What this process decided since it
// may write is not asked for: it stays in force beside that.
func (l *Loop) recall(ctx context.Context, t *target, now time.Time) (written time.Time, err error) {
	if l.opts.Log == nil {
		return written, nil
	}
	end := now
	if t.leads {
		end = t.took
	}
	end = end.Add(-time.Millisecond) // an entry of that very moment is this process's own
	ask := func(q store.DecisionQuery) (entries []cluster.Decision, err error) {
		err = l.call(ctx, t, func(ctx context.Context) (err error) {
			entries, err = l.opts.Log.Decisions(ctx, q)
			return err
		})
		return entries, err
	}
	entries, err := ask(store.DecisionQuery{Target: t.key, End: end, Limit: 1})
	if err != nil {
		return written, err
	}
	if len(entries) > 0 && t.unread == nil {
		l.mu.Lock()
		t.shown.Desired = entries[0].To // until it is seen
		l.mu.Unlock()
	}
	if len(entries) == 0 || now.Sub(entries[0].Time) > time.Hour || entries[0].Time.After(now) {
		return written, nil
	}
	last := entries[0]
	var detail struct {
		State *policy.State `json:"state"`
	}
	if err := json.Unmarshal(last.Detail, &detail); err != nil || detail.State == nil {
		l.log.Warn("cannot read an earlier decision: changes before it do not count for speed limits", "target", t.key.String(), "err", err)
		return written, nil
	}
	seen := t.state
	t.state = detail.State
	monotonic(t.state, now)
	if seen != nil {
		t.state.Recommendations = append(t.state.Recommendations, seen.Recommendations...)
		since := func(e policy.ScaleEvent) bool { return t.leads && !e.At.Before(t.took) }
		for _, e := range seen.ScaleUps { // raises went on
			if since(e) {
				t.state.ScaleUps = append(t.state.ScaleUps, e)
			}
		}
		for _, e := range seen.ScaleDowns { // of another scaler
			if since(e) {
				t.state.ScaleDowns = append(t.state.ScaleDowns, e)
			}
		}
	}
	if last.Reason != string(shuttingDown) {
		at := last.Time.Add(holdEvery)
		if at.After(now) {
			at = now
		}
		t.state.Recommendations = append(t.state.Recommendations, policy.Recommendation{At: at, Replicas: cluster.DesiredReplicas(last.To)})
	}
	change, err := ask(store.DecisionQuery{Target: t.key, Actions: []string{string(policy.Up), string(policy.Down)}, Limit: 1})
	if err == nil && len(change) > 0 {
		l.mu.Lock()
		t.shown.Change = &change[0]
		l.mu.Unlock()
	}
	return last.Time, nil
}

// monotonic gives the times of a state that was written down a reading of the monotonic clock, as those have that passes of this
// process add: else a wall clock that is set back would make them count for that much longer.
func monotonic(s *policy.State, now time.Time) {
	at := func(t *time.Time) {
		if !t.IsZero() {
			*t = now.Add(t.Sub(now.Round(0)))
		}
	}
	for i := range s.Recommendations {
		at(&s.Recommendations[i].At)
	}
	for _, events := range [][]policy.ScaleEvent{s.ScaleUps, s.ScaleDowns} {
		for i := range events {
			at(&events[i].At)
		}
	}
}

// shuttingDown is the reason of a target's last entry before Plimsoll ends.
const shuttingDown policy.Reason = "ShuttingDown"

// keepState writes a target's last entry, with what the next process needs to go on as if nothing had happened.
func (l *Loop) keepState(t *target, now time.Time) {
	if t.state == nil || t.shown.Last == nil || !t.leads {
		return
	}
	n := t.shown.Last.To
	d := policy.Decision{Action: policy.Hold, Current: cluster.DesiredReplicas(n), Desired: cluster.DesiredReplicas(n), Reason: shuttingDown,
		Message: fmt.Sprintf("Plimsoll ends; the count stays at %d.", n), State: *t.state}
	detail, err := json.Marshal(d)
	if err != nil {
		return
	}
	l.writer.decision(cluster.Decision{Time: now, Target: t.key,
		Action: string(policy.Hold), From: n, To: n, Reason: string(shuttingDown), Message: d.Message, Detail: detail})
}

// Remembered returns the count that a target had according to the log, and when that was last written. It is for
// targets that end with Plimsoll, as local processes do, and should come back as many as they were; ok is false
// if the log knows nothing newer than the given age.
func Remembered(ctx context.Context, log DecisionLog, t cluster.Target, now time.Time, age time.Duration) (count int32, at time.Time, ok bool) {
	entries, err := log.Decisions(ctx, store.DecisionQuery{Target: t, Start: now.Add(-age), End: now, Limit: 1})
	if err != nil || len(entries) == 0 {
		return 0, time.Time{}, false
	}
	return entries[0].To, entries[0].Time, true
}
