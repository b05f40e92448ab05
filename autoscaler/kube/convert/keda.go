package convert

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// What a ScaledObject means where it says nothing.
const (
	kedaMost   = 100
	kedaTarget = "Deployment"
	kedaAPI    = "apps/v1"
)

// scaledObject is what is read of the specification of keda.sh/v1alpha1.
type scaledObject struct {
	ScaleTargetRef *struct {
		Name                   string `json:"name"`
		APIVersion             string `json:"apiVersion,omitempty"`
		Kind                   string `json:"kind,omitempty"`
		EnvSourceContainerName string `json:"envSourceContainerName,omitempty"` // for what triggers read of its environment; none that is carried over does
	} `json:"scaleTargetRef"`
	PollingInterval       *int32 `json:"pollingInterval,omitempty"`
	InitialCooldownPeriod *int32 `json:"initialCooldownPeriod,omitempty"`
	CooldownPeriod        *int32 `json:"cooldownPeriod,omitempty"`
	IdleReplicaCount      *int32 `json:"idleReplicaCount,omitempty"`
	MinReplicaCount       *int32 `json:"minReplicaCount,omitempty"`
	MaxReplicaCount       *int32 `json:"maxReplicaCount,omitempty"`
	Advanced              struct {
		HorizontalPodAutoscalerConfig struct {
			Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
			Name     string                                         `json:"name,omitempty"`
		} `json:"horizontalPodAutoscalerConfig,omitzero"`
		RestoreToOriginalReplicaCount bool           `json:"restoreToOriginalReplicaCount,omitempty"`
		ScalingModifiers              map[string]any `json:"scalingModifiers,omitempty"`
	} `json:"advanced,omitzero"`
	Triggers []trigger      `json:"triggers"`
	Fallback map[string]any `json:"fallback,omitempty"`
}

// trigger is one of its triggers.
type trigger struct {
	Type              string            `json:"type"`
	Name              string            `json:"name,omitempty"`
	Metadata          map[string]string `json:"metadata"`
	AuthenticationRef map[string]any    `json:"authenticationRef,omitempty"`
	MetricType        string            `json:"metricType,omitempty"`
	UseCachedMetrics  bool              `json:"useCachedMetrics,omitempty"`
}

// scaledObject converts one: its limits, what it says of the HPA that KEDA makes, and those of its triggers that Plimsoll can read without KEDA.
func (c *conversion) scaledObject() error {
	if c.of.APIVersion != "keda.sh/v1alpha1" {
		return fmt.Errorf("apiVersion %q is not keda.sh/v1alpha1", c.of.APIVersion)
	}
	var s scaledObject
	if err := c.decode(&s); err != nil {
		return err
	}
	if s.ScaleTargetRef == nil {
		return errors.New("spec.scaleTargetRef must be there")
	}
	c.spec = policy.Spec{Behavior: s.Advanced.HorizontalPodAutoscalerConfig.Behavior, ScaleTargetRef: &autoscalingv2.CrossVersionObjectReference{
		APIVersion: cmp.Or(s.ScaleTargetRef.APIVersion, kedaAPI), Kind: cmp.Or(s.ScaleTargetRef.Kind, kedaTarget), Name: s.ScaleTargetRef.Name}}
	c.limits(&s)
	left := 0
	for i := range s.Triggers {
		if !c.trigger(fmt.Sprintf("spec.triggers[%d]", i), i, &s.Triggers[i]) {
			left++
		}
	}
	c.leftOut(&s)
	c.paused()
	switch {
	case len(c.spec.Metrics) > 0:
	case left > 0:
		return errors.New("none of its triggers that say what the load is can be carried over")
	case len(s.Triggers) == 0:
		return errors.New("it has no triggers")
	default:
		c.byTheClock()
	}
	return nil
}

// limits sets the fewest and the most replicas.
func (c *conversion) limits(s *scaledObject) {
	least := int32(0)
	if s.MinReplicaCount != nil {
		least = *s.MinReplicaCount
	}
	if least == 0 {
		least = 1
		c.note("spec.minReplicaCount", "0 becomes 1: nothing that is carried over can be seen without pods")
	}
	c.spec.MinReplicas, c.spec.MaxReplicas = &least, kedaMost
	if s.MaxReplicaCount != nil {
		c.spec.MaxReplicas = *s.MaxReplicaCount
	} else {
		c.note("spec.maxReplicaCount", "left out, so %d, as KEDA has it", kedaMost)
	}
}

// trigger carries one over, or tells why it cannot be.
func (c *conversion) trigger(path string, i int, t *trigger) bool {
	var err error
	switch t.Type {
	case "cpu", "memory":
		var m autoscalingv2.MetricSpec
		if m, err = t.metric(); err == nil {
			c.spec.Metrics = append(c.spec.Metrics, m)
			c.strangers(path, t, "type", "value", "containerName")
		}
	case "cron":
		var s *policy.Schedule
		if s, err = c.schedule(path, t); err == nil {
			c.strangers(path, t, "timezone", "start", "end", "desiredReplicas")
		}
		if s != nil {
			c.spec.Schedules = append(c.spec.Schedules, *s)
		}
	default:
		c.note(path, "%s is left out: its metric, s%d-..., is served by KEDA, and only while the ScaledObject is there; a metric of type External that an adapter serves can take its place", t.Type, i)
		return false
	}
	if err != nil {
		c.note(path, "%s is left out: %v", t.Type, err)
	}
	return err == nil
}

// strangers tells of metadata that was not read.
func (c *conversion) strangers(path string, t *trigger, known ...string) {
	read := map[string]any{}
	for _, k := range known {
		read[k] = nil
	}
	given := map[string]any{}
	for k, v := range t.Metadata {
		given[k] = v
	}
	c.unknown(path+".metadata", given, read)
}

// metric is that of a trigger of CPU or memory.
func (t *trigger) metric() (m autoscalingv2.MetricSpec, err error) {
	kind, value := cmp.Or(t.MetricType, t.Metadata["type"]), t.Metadata["value"]
	target := autoscalingv2.MetricTarget{Type: autoscalingv2.MetricTargetType(kind)}
	switch target.Type {
	case autoscalingv2.UtilizationMetricType:
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return m, fmt.Errorf("metadata.value %q is not a whole number of percent", value)
		}
		target.AverageUtilization = new(int32(n))
	case autoscalingv2.AverageValueMetricType:
		q, err := cluster.ParseQuantity(value)
		if err != nil {
			return m, fmt.Errorf("metadata.value %q is no quantity", value)
		}
		target.AverageValue = &q
	default:
		return m, fmt.Errorf("metricType %q is neither Utilization nor AverageValue", kind)
	}
	resource := corev1.ResourceName(t.Type)
	if name := t.Metadata["containerName"]; name != "" {
		return autoscalingv2.MetricSpec{Type: autoscalingv2.ContainerResourceMetricSourceType, ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: resource, Container: name, Target: target}}, nil
	}
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: resource, Target: target}}, nil
}

// schedule is that of a trigger of the clock, which asks for so many replicas between two times; nil where the policy has as many at all times.
func (c *conversion) schedule(path string, t *trigger) (*policy.Schedule, error) {
	text := t.Metadata["desiredReplicas"]
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("metadata.desiredReplicas %q is not a whole number", text)
	}
	floor := int32(n)
	s := policy.Schedule{Start: strings.Join(strings.Fields(t.Metadata["start"]), " "), End: strings.Join(strings.Fields(t.Metadata["end"]), " "), TimeZone: t.Metadata["timezone"], MinReplicas: &floor}
	if s.TimeZone == "" {
		return nil, errors.New("metadata.timezone must be there")
	}
	if floor <= *c.spec.MinReplicas {
		c.note(path+".metadata.desiredReplicas", "left out: %d is no more than the policy's fewest", floor)
		return nil, nil
	}
	// Whether its times can be used is for the policies' own check.
	if _, err := policy.Compile(policy.Spec{MaxReplicas: max(floor, 1), Schedules: []policy.Schedule{s}}); err != nil {
		return nil, err
	}
	if floor > c.spec.MaxReplicas {
		c.note(path+".metadata.desiredReplicas", "%d becomes %d, which is spec.maxReplicaCount: a schedule would raise the ceiling", floor, c.spec.MaxReplicas)
		floor = c.spec.MaxReplicas
	}
	return &s, nil
}

// byTheClock has the limits alone set the count, as schedules alone do of a ScaledObject: a policy without metrics would look at CPU.
func (c *conversion) byTheClock() {
	c.note("spec.triggers", "they are of the clock alone: maxReplicas is minReplicas, so that the schedules set the count and no load does; spec.maxReplicaCount is left out")
	c.spec.MaxReplicas = *c.spec.MinReplicas
	for i := range c.spec.Schedules {
		c.spec.Schedules[i].MaxReplicas = c.spec.Schedules[i].MinReplicas
	}
}
