package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// status is the status of a ScalePolicy.
type status struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Target             string             `json:"target,omitempty"` // see Declared.subject
	Mode               string             `json:"mode,omitempty"`
	CurrentReplicas    *int32             `json:"currentReplicas"` // nil: not known, which takes away what a patch is merged into
	DesiredReplicas    *int32             `json:"desiredReplicas"`
	Schedule           *string            `json:"schedule"` // nil: none holds
	LastScaleTime      *metav1.Time       `json:"lastScaleTime,omitempty"`
	LastDecision       *lastDecision      `json:"lastDecision,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`

	failed string // the metrics that the newest decision goes without
	lacks  bool   // some pods have no sample that counts, which its sentence says
}

// lastDecision is the newest decision: what is done, why, and in a sentence.
type lastDecision struct {
	Time    metav1.Time `json:"time"`
	Action  string      `json:"action"`
	Reason  string      `json:"reason"`
	Message string      `json:"message"`
}

// conditionText is what a condition says that is as it should be, or that the decision's own sentence does not explain.
var conditionText = map[policy.Reason]string{
	policy.SucceededGetScale: "The target's scale can be read.", policy.ReadyForNewScale: "The count may be changed when the load asks for it.",
	policy.SucceededRescale: "The count was changed.", policy.ValidMetricFound: "The metrics say how many replicas are needed.",
	policy.ScaleDownStabilized: "The highest need of the last minutes holds the count.", policy.ScaleUpStabilized: "The lowest need of the last minutes holds the count.",
	policy.DesiredWithinRange: "The wished count is within the limits.", policy.TooManyReplicas: "More replicas are needed than maxReplicas allows.",
	policy.TooFewReplicas: "Fewer replicas are needed than minReplicas allows.", policy.ScaleUpLimit: "The count rises as fast as it may.", policy.ScaleDownLimit: "The count falls as fast as it may.",
	policy.ScaledToZero: "There are no replicas because none are needed.", policy.NotScaledToZero: "There are replicas.",
}

// after is the status that a pass leaves behind.
func (s *status) after(d *Declared, mode string, o *autoscaler.Outcome) status {
	out := status{ObservedGeneration: d.version, Target: d.subject(), Mode: mode, LastScaleTime: s.LastScaleTime,
		LastDecision: &lastDecision{metav1.NewTime(o.Time), string(o.Decision.Action), string(o.Decision.Reason), o.Decision.Message}}
	if o.Seen {
		out.CurrentReplicas, out.DesiredReplicas = new(int32(o.Replicas)), new(int32(o.Decision.Desired))
	}
	if o.Decision.Action != policy.Hold {
		out.LastScaleTime = &metav1.Time{Time: o.Time}
	}
	out.Conditions = slices.Clone(s.Conditions)
	for _, c := range o.Decision.Conditions {
		text := cmp.Or(c.Message, conditionText[c.Reason], o.Decision.Message)
		out.condition(d.version, c.Type, c.Status, string(c.Reason), text, o.Time)
	}
	out.made(d.version, o)
	for _, m := range o.Decision.Metrics {
		if m.Error != "" {
			out.failed += m.Type + " " + m.Container + "/" + m.Name + "\n"
		}
		out.lacks = out.lacks || len(m.Pods.Missing)+len(m.Pods.Unready) > 0
	}
	return out
}

// zeroCondition is the type of the condition that a count of 0 is Plimsoll's decision.
const zeroCondition = string(autoscalingv2.ScaledToZero)

// ofAnother says whether a status was written while its policy named another target; one of an older Plimsoll does not tell.
func (s *status) ofAnother(d *Declared) bool { return s.Target != "" && s.Target != d.subject() }

// replicasMade is the type of the condition that the replicas that are asked for can be made.
const replicasMade = "ReplicasMade"

// made tells while what is asked for cannot be made, and then that it can. Of a target that was not seen it says nothing new.
func (s *status) made(generation int64, o *autoscaler.Outcome) {
	switch {
	case !o.Seen:
	case o.Trouble != "":
		s.condition(generation, replicasMade, "False", "FailedCreate", "The replicas that are asked for cannot be made: "+o.Trouble, o.Time)
	case s.get(replicasMade).Status != "":
		s.condition(generation, replicasMade, "True", "Created", "The replicas that are asked for can be made.", o.Time)
	}
}

// refused is the status of a policy that is not in force: nobody counts its target's replicas.
func (s *status) refused(d *settled, now time.Time) status {
	out := *s
	out.CurrentReplicas, out.DesiredReplicas, out.Schedule, out.failed = nil, nil, nil, ""
	out.ObservedGeneration, out.Conditions, out.LastDecision = d.version, slices.Clone(s.Conditions), &lastDecision{metav1.NewTime(now), string(policy.Hold), string(d.reason), d.why}
	if d.spec.Mode != "" {
		out.Mode = string(d.spec.Mode)
	}
	out.condition(d.version, "AbleToScale", "False", string(d.reason), d.why, now)
	return out
}

// condition sets one of the conditions. Its sentence is always that of the newest pass, so that what is written tells of one look; a
// sentence alone is no reason to write.
func (s *status) condition(generation int64, kind, value, reason, text string, now time.Time) {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionStatus(value), Reason: reason, Message: text, ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now)}
	i := slices.IndexFunc(s.Conditions, func(c metav1.Condition) bool { return c.Type == kind })
	if i < 0 {
		s.Conditions = append(s.Conditions, c)
		return
	}
	if old := &s.Conditions[i]; old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	s.Conditions[i] = c
}

// get returns a condition, an empty one if there is none.
func (s *status) get(kind string) metav1.Condition {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return metav1.Condition{}
}

// How long a change of the status may wait to be written: that of whose a count of 0 is, which a process that begins reads there, not at all; one that people look for, one of the decision's reason, or of whether it lacks pods, alone, and
// one of its sentence alone. The last two come at every pass where a load is near its line.
const (
	zeroWait     = time.Nanosecond
	changeWait   = time.Second
	reasonWait   = 10 * time.Second
	sentenceWait = time.Minute
)

// wait says how long after the last writing a status is to be written in the place of another; 0: nothing has changed.
func (s *status) wait(written *status) time.Duration {
	a, b := s.essence(), written.essence()
	switch {
	case s.get(zeroCondition).Status != written.get(zeroCondition).Status:
		return zeroWait
	case a != b, s.failed != written.failed:
		return changeWait
	case s.LastDecision == nil || written.LastDecision == nil:
		return 0
	case s.LastDecision.Reason != written.LastDecision.Reason, s.lacks != written.lacks:
		return reasonWait
	case s.LastDecision.Message != written.LastDecision.Message:
		return sentenceWait
	}
	return 0
}

// essence is what a status says, but for the newest decision.
func (s *status) essence() (e struct {
	generation       int64
	target           string
	mode, conditions string
	current, desired int32
	schedule         string
	scaled           int64
	decided          bool
}) {
	e.generation, e.target, e.mode, e.current, e.desired, e.decided = s.ObservedGeneration, s.Target, s.Mode, known(s.CurrentReplicas), known(s.DesiredReplicas), s.LastDecision != nil
	if s.Schedule != nil {
		e.schedule = *s.Schedule
	}
	if s.LastScaleTime != nil {
		e.scaled = s.LastScaleTime.Unix()
	}
	var b strings.Builder
	for _, c := range s.Conditions {
		b.WriteString(c.Type + string(c.Status) + c.Reason + "\n")
	}
	e.conditions = b.String()
	return e
}

// scheduleOf says which limits schedules of a policy set at a time, and since when; nil where none holds.
func scheduleOf(p *policy.Policy, now time.Time) *string {
	least, most, since := p.Limits(now)
	if since == "" {
		return nil
	}
	return new(fmt.Sprintf("%d to %d since %s", least, most, since))
}

// known is a count, -1 where there is none.
func known(n *int32) int32 {
	if n == nil {
		return -1
	}
	return *n
}
