// Package casefile reads written cases, those of "plimsoll decide -f CASE.yaml", and runs the brain on them. A case
// is everything that one decision rests on: see the fields of Case.
package casefile

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// Case is one document.
type Case struct {
	Now             time.Time        `json:"now"`
	Policy          policy.Spec      `json:"policy"`
	Target          target           `json:"target"`
	Options         policy.Options   `json:"options"` // given ones replace those of policy.DefaultOptions
	Pods            []pod            `json:"pods"`
	Usage           []podUsage       `json:"usage"`
	Departed        []containerUsage `json:"departed"`
	Looks           []look           `json:"looks"`
	PodsMetrics     []podsMetric     `json:"podsMetrics"`
	ObjectMetrics   []objectMetric   `json:"objectMetrics"`
	ExternalMetrics []externalMetric `json:"externalMetrics"`
	Errors          failures         `json:"errors"`
	State           *policy.State    `json:"state"` // left out: a target never seen before
}

// failures are the texts with which APIs failed; "" where one did not.
type failures struct {
	Scale         string `json:"scale"` // the scale subresource: the counts are as last seen
	policy.Errors        // of metrics
}

type target struct {
	SpecReplicas   *int32 `json:"specReplicas"`
	StatusReplicas *int32 `json:"statusReplicas"` // left out: as specReplicas
}

type resources map[corev1.ResourceName]resource.Quantity

type pod struct {
	Name            string                 `json:"name"`
	Phase           corev1.PodPhase        `json:"phase"` // left out: Running
	Ready           corev1.ConditionStatus `json:"ready"`
	ReadyTransition time.Time              `json:"readyTransition"`
	StartTime       time.Time              `json:"startTime"`
	Deleting        bool                   `json:"deleting"`
	Requests        resources              `json:"requests"`
	Overhead        resources              `json:"overhead"`
	Containers      []container            `json:"containers"`
	InitContainers  []container            `json:"initContainers"`
}

type container struct {
	Name          string                        `json:"name"`
	RestartPolicy corev1.ContainerRestartPolicy `json:"restartPolicy"`
	Requests      resources                     `json:"requests"`
}

type podUsage struct {
	Pod        string           `json:"pod"`
	Timestamp  time.Time        `json:"timestamp"`
	Window     time.Duration    `json:"window"`
	Containers []containerUsage `json:"containers"`
}

type containerUsage struct {
	Name  string    `json:"name"`
	Usage resources `json:"usage"`
}

type look struct {
	Metric   corev1.ResourceName `json:"metric"`
	Window   time.Duration       `json:"window"`
	Noise    *resource.Quantity  `json:"noise"` // left out: not known
	Usage    []podUsage          `json:"usage"`
	Departed []containerUsage    `json:"departed"`
}

type podsMetric struct {
	Metric   string                `json:"metric"`
	Selector *metav1.LabelSelector `json:"selector"` // left out: of whatever the policy selects
	Pods     []podValue            `json:"pods"`
}

type podValue struct {
	Pod       string            `json:"pod"`
	Value     resource.Quantity `json:"value"`
	Timestamp time.Time         `json:"timestamp"`
	Window    *time.Duration    `json:"window"` // left out: 60 s
}

type objectMetric struct {
	Metric          string                                     `json:"metric"`
	Selector        *metav1.LabelSelector                      `json:"selector"`
	DescribedObject *autoscalingv2.CrossVersionObjectReference `json:"describedObject"` // left out: of whatever the policy describes
	Value           resource.Quantity                          `json:"value"`
}

type externalMetric struct {
	Metric   string                `json:"metric"`
	Selector *metav1.LabelSelector `json:"selector"`
	Values   []resource.Quantity   `json:"values"`
}
