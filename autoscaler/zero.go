package autoscaler

import (
	"context"
	"errors"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// asleep notes whether a count of 0 is one that a decision made.
func (t *target) asleep(ours bool) {
	if t.state == nil && !ours || t.state != nil && t.state.ScaledToZero == ours {
		return
	}
	next := policy.State{}
	if t.state != nil {
		next = *t.state // others hold it
	}
	next.ScaledToZero = ours
	t.state = &next
}

// awakeFor is for how long a count is seen not to be 0 before somebody must have raised it: a reading may be older than the change to 0.
const awakeFor = 15 * time.Second

// wakes notes that somebody has raised a count that a decision had made 0: if it is 0 again that was somebody's too.
func (t *target) wakes(in *policy.Input, d *policy.Decision, now time.Time) {
	switch {
	case in.Target.Problem != nil:
		return
	case in.Target.SpecReplicas == 0:
		t.awake = time.Time{}
		return
	case t.awake.IsZero():
		t.awake = now
	}
	if !d.State.ScaledToZero || d.Action != policy.Hold || now.Sub(t.awake) < awakeFor {
		return
	}
	d.State.ScaledToZero = false
	awake(d)
}

// awake has the condition say that no decision made the count 0, where none that was carried out did.
func awake(d *policy.Decision) {
	for i := range d.Conditions {
		if c := &d.Conditions[i]; c.Type == string(autoscalingv2.ScaledToZero) && !d.State.ScaledToZero {
			c.Status, c.Reason = string(corev1.ConditionFalse), policy.NotScaledToZero
		}
	}
}

// announce tells who keeps it that a count is to be 0 by a decision, before it is changed: if this process is killed right after the change, the 0 counts as Plimsoll's all the same.
func (l *Loop) announce(ctx context.Context, t *target, d *policy.Decision) error {
	if l.opts.ToZero == nil || !d.State.ScaledToZero {
		return nil
	}
	if err := l.opts.ToZero(ctx, t.key); err != nil {
		return errors.New("it could not be written first that the count of 0 is Plimsoll's: " + err.Error()) // not wrapped: the change was not begun, whatever this was
	}
	return nil
}
