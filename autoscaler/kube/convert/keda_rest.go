package convert

import (
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// leftOut tells of fields that have no counterpart.
func (c *conversion) leftOut(s *scaledObject) {
	f := func(given bool, path, why string) {
		if given {
			c.note(path, "left out: %s", why)
		}
	}
	f(s.PollingInterval != nil, "spec.pollingInterval", "Plimsoll decides each second, and reads metrics of others every 5 s")
	f(s.CooldownPeriod != nil, "spec.cooldownPeriod", "it is the wait before no replicas, or idleReplicaCount; how long a high need holds the count is behavior.scaleDown.stabilizationWindowSeconds")
	f(s.InitialCooldownPeriod != nil, "spec.initialCooldownPeriod", "it is the wait before no replicas, or idleReplicaCount")
	f(s.IdleReplicaCount != nil, "spec.idleReplicaCount", "without a trigger that says when nothing is to be done there is no such time; minReplicas holds")
	f(len(s.Fallback) > 0, "spec.fallback", "while metrics are away Plimsoll holds the count")
	f(s.Advanced.RestoreToOriginalReplicaCount, "spec.advanced.restoreToOriginalReplicaCount", "a count stays as it is when its policy is deleted")
	f(s.Advanced.HorizontalPodAutoscalerConfig.Name != "", "spec.advanced.horizontalPodAutoscalerConfig.name", "no HorizontalPodAutoscaler is made")
	f(len(s.Advanced.ScalingModifiers) > 0, "spec.advanced.scalingModifiers", "Plimsoll has no formulas: of several metrics the highest need counts")
}

// The annotations by which people pause a ScaledObject.
const (
	kedaPaused         = "autoscaling.keda.sh/paused"
	kedaPausedReplicas = "autoscaling.keda.sh/paused-replicas"
)

// paused carries over what somebody has paused.
func (c *conversion) paused() {
	given := c.of.Metadata.Annotations
	on := func(name string) bool {
		text, ok := given[name]
		yes, err := strconv.ParseBool(text)
		return ok && (yes || err != nil) // as KEDA reads it
	}
	if n, ok := given[kedaPausedReplicas]; ok {
		c.spec.Mode = policy.Paused
		c.note("metadata.annotations["+kedaPausedReplicas+"]", "the policy is Paused, and does not set %s replicas: the count stays as it is", n)
	}
	if on(kedaPaused) {
		c.spec.Mode = policy.Paused
	}
	if on("autoscaling.keda.sh/paused-scale-in") || on("autoscaling.keda.sh/paused-scale-down") {
		c.never(func(b *autoscalingv2.HorizontalPodAutoscalerBehavior) **autoscalingv2.HPAScalingRules {
			return &b.ScaleDown
		})
	}
	if on("autoscaling.keda.sh/paused-scale-out") {
		c.never(func(b *autoscalingv2.HorizontalPodAutoscalerBehavior) **autoscalingv2.HPAScalingRules {
			return &b.ScaleUp
		})
	}
	const force = "autoscaling.keda.sh/force-activation"
	if on(force) {
		c.note("metadata.annotations["+force+"]", "left out: a target always has minReplicas")
	}
}

// never keeps the count from going one way, as KEDA has its HPA do.
func (c *conversion) never(way func(*autoscalingv2.HorizontalPodAutoscalerBehavior) **autoscalingv2.HPAScalingRules) {
	if c.spec.Behavior == nil {
		c.spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{}
	}
	rules := way(c.spec.Behavior)
	if *rules == nil {
		*rules = &autoscalingv2.HPAScalingRules{}
	}
	(*rules).SelectPolicy = new(autoscalingv2.DisabledPolicySelect)
}
