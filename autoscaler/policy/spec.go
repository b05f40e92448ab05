package policy

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Mode says what becomes of a decision.
type Mode string

const (
	Auto   Mode = "Auto"   // it is carried out
	DryRun Mode = "DryRun" // it is shown, not carried out
	Paused Mode = "Paused" // it is shown, not carried out, because somebody wants the count left alone
)

// Spec is the specification of a ScalePolicy (plimsoll.dev/v1alpha1): the fields of the autoscaling/v2
// HorizontalPodAutoscalerSpec under the same names, and Plimsoll's own. Compile checks it and fills in defaults.
type Spec struct {
	// ScaleTargetRef names the target; the brain does not read it.
	ScaleTargetRef *autoscalingv2.CrossVersionObjectReference `json:"scaleTargetRef,omitempty"`
	// MinReplicas is the fewest replicas; 1 if nil. Zero needs an Object or External metric.
	MinReplicas *int32 `json:"minReplicas,omitempty"`
	// MaxReplicas is the most replicas.
	MaxReplicas int32 `json:"maxReplicas"`
	// Metrics are what the target is scaled on; empty means cpu at 80 % of request.
	Metrics []autoscalingv2.MetricSpec `json:"metrics,omitempty"`
	// Behavior limits the speed of scaling, as in the HPA; nil means the HPA's rules without behavior.
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`

	// Mode is Auto if empty.
	Mode Mode `json:"mode,omitempty"`
	// RaiseOnly never lowers the count: for a target that another scaler owns.
	RaiseOnly bool `json:"raiseOnly,omitempty"`
	// Window is the shortest window of recent usage that a decision to grow may rest on, 1 s to 5 min; 3 s if nil.
	Window *metav1.Duration `json:"window,omitempty"`
	// StableWindow is the longest window, and what a decision to shrink rests on, 1 s to 5 min; 60 s if nil.
	StableWindow *metav1.Duration `json:"stableWindow,omitempty"`
	// Confidence is how far, in standard errors, the load must stand clear of its own noise over the shortest window;
	// 4 if nil. Zero means that it is not asked: the plain rule over the shortest window.
	Confidence *float64 `json:"confidence,omitempty"`
	// Tolerance is how far the load may be from its target without scaling, as a ratio; that of the options if nil.
	// The tolerances in Behavior go before it.
	Tolerance *resource.Quantity `json:"tolerance,omitempty"`
	// Schedules change the limits at certain times.
	Schedules []Schedule `json:"schedules,omitempty"`
	// Forecast is reserved for a later version and must be left out.
	Forecast *Forecast `json:"forecast,omitempty"`
}

// Schedule replaces the limits from each Start until the next End, and may go beyond the policy's. What it leaves out is the
// policy's, and its floor must not be above its ceiling then. Of several that hold at once the highest floor and the highest
// ceiling that they set count; a ceiling below the floor is raised to it.
type Schedule struct {
	Start       string `json:"start"`                 // cron: minute hour day month weekday
	End         string `json:"end"`                   // cron
	TimeZone    string `json:"timeZone,omitempty"`    // IANA name; UTC if empty
	MinReplicas *int32 `json:"minReplicas,omitempty"` // nil: as in the policy
	MaxReplicas *int32 `json:"maxReplicas,omitempty"` // nil: as in the policy
}

// Forecast has no fields yet.
type Forecast struct{}
