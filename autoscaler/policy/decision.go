package policy

import (
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Schema is the schema of a decision as JSON.
const Schema = "plimsoll.dev/decision/v1"

// Action is what is to be done with the count.
type Action string

const (
	Hold Action = "Hold" // leave it
	Up   Action = "Up"   // raise it
	Down Action = "Down" // lower it
)

// Reason says in one word why a decision is as it is, or why a condition has its status.
type Reason string

// The reasons of decisions. Those of conditions that hold a count are used for decisions too.
const (
	CPUAboveTarget      Reason = "CPUAboveTarget"
	MemoryAboveTarget   Reason = "MemoryAboveTarget"
	ResourceAboveTarget Reason = "ResourceAboveTarget" // another resource
	PodsAboveTarget     Reason = "PodsMetricAboveTarget"
	ObjectAboveTarget   Reason = "ObjectMetricAboveTarget"
	ExternalAboveTarget Reason = "ExternalMetricAboveTarget"
	AllBelowTarget      Reason = "AllMetricsBelowTarget"
	CurrentAboveMax     Reason = "CurrentAboveMax"
	CurrentBelowMin     Reason = "CurrentBelowMin"
	FromZero            Reason = "FromZero"        // back from zero to the minimum
	HighestRecent       Reason = "HighestRecent"   // raised to a remembered recommendation (compat only)
	WithinTolerance     Reason = "WithinTolerance" // load near its target
	WithinNoise         Reason = "WithinNoise"     // above its target, not clear of its noise
	AwaitingLook        Reason = "AwaitingLook"    // below its target, and the look that shrinking rests on is not there or not due
	AwaitingReading     Reason = "AwaitingReading" // the value of the whole was read before the count was last changed
	DepartedPods        Reason = "DepartedPods"    // above its target only with what pods used that are gone
	GapsInTheWay        Reason = "GapsInTheWay"    // missing or unready pods leave no clear direction
	AtTarget            Reason = "AtTarget"        // the count is what the load needs
	RaiseOnlyHold       Reason = "RaiseOnly"       // would shrink, but only raises here
	ModePaused          Reason = "Paused"          // the policy's mode
	ModeDryRun          Reason = "DryRun"          // the policy's mode
	InvalidPolicy       Reason = "InvalidPolicy"   // no usable policy was given
)

// The HPA's reasons of conditions.
const (
	SucceededGetScale     Reason = "SucceededGetScale"
	FailedGetScale        Reason = "FailedGetScale"
	ReadyForNewScale      Reason = "ReadyForNewScale"
	ScaleDownStabilized   Reason = "ScaleDownStabilized"
	ScaleUpStabilized     Reason = "ScaleUpStabilized"
	SucceededRescale      Reason = "SucceededRescale"
	ValidMetricFound      Reason = "ValidMetricFound"
	ScalingDisabled       Reason = "ScalingDisabled"
	InvalidSelector       Reason = "InvalidSelector"
	AmbiguousSelector     Reason = "AmbiguousSelector"
	FailedResourceMetric  Reason = "FailedGetResourceMetric"
	FailedContainerMetric Reason = "FailedGetContainerResourceMetric"
	FailedPodsMetric      Reason = "FailedGetPodsMetric"
	FailedObjectMetric    Reason = "FailedGetObjectMetric"
	FailedExternalMetric  Reason = "FailedGetExternalMetric"
	DesiredWithinRange    Reason = "DesiredWithinRange"
	TooFewReplicas        Reason = "TooFewReplicas"
	TooManyReplicas       Reason = "TooManyReplicas"
	ScaleUpLimit          Reason = "ScaleUpLimit"
	ScaleDownLimit        Reason = "ScaleDownLimit"
	ScaledToZero          Reason = "ScaledToZero"
	NotScaledToZero       Reason = "NotScaledToZero"
)

// Decision is what is wanted, why, and what led to it.
type Decision struct {
	Action  Action                  `json:"action"`
	Current cluster.DesiredReplicas `json:"currentReplicas"` // what the scale's spec has
	Desired cluster.DesiredReplicas `json:"desiredReplicas"` // what it is to have; Current when the action is Hold
	Reason  Reason                  `json:"reason"`
	Message string                  `json:"message"` // one or two sentences for people
	Error   string                  `json:"error"`   // why the pass failed, or partly failed; "" when all went well
	// Would is what would be done if the mode were Auto; known only in DryRun and Paused.
	Would      Count          `json:"wouldReplicas,omitzero"`
	Metrics    []MetricReport `json:"metrics"`
	Look       *LookReport    `json:"look"` // the look that the decision rests on; nil if on none
	Steps      []Step         `json:"steps"`
	Conditions []Condition    `json:"conditions"`
	State      State          `json:"state"`
	Times      *Times         `json:"times,omitempty"` // of a change that was made; nil: of others
}

// MetricReport is what one metric said.
type MetricReport struct {
	Type         string    `json:"type"`
	Name         string    `json:"name"`
	Container    string    `json:"container"`
	Utilization  Count     `json:"utilization"`  // percent of request, before gaps are filled
	AverageValue Amount    `json:"averageValue"` // for each pod, before gaps are filled
	Value        Amount    `json:"value"`        // of the whole
	Proposal     Count     `json:"proposal"`     // what this metric alone asks for; absent when it failed
	Error        string    `json:"error"`
	Pods         PodGroups `json:"pods"`
	// Sources says how many of the counted pods were not seen by collectors, by who told of them.
	Sources map[string]int `json:"sources,omitempty"`

	// Load is the newest load per replica, as a share of Of (the request for a utilization, the target otherwise), Noise its
	// standard error, Window the time that it covers, and Target in the same measure; NaN where not known. A decision may
	// rest on a longer look. These are for pages.
	Load, Target, Noise float64       `json:"-"`
	Window              time.Duration `json:"-"` // zero: not known
	Of                  string        `json:"-"`
	Amount              string        `json:"-"` // the target where it is an amount; else ""
}

// PodGroups are the pods by how they were counted, each list sorted by name.
type PodGroups struct {
	Counted int      `json:"counted"`
	Unready []string `json:"unready"`
	Missing []string `json:"missing"`
	Ignored []string `json:"ignored"`
}

// LookReport names the look that a decision rests on.
type LookReport struct {
	Window time.Duration
	Noise  Amount // standard error of the pods' total, in the metric's unit
}

// Step is one change of the draft: what the count was before, what it is after, and why.
type Step struct {
	Step   string                  `json:"step"`
	Before cluster.DesiredReplicas `json:"before"`
	After  cluster.DesiredReplicas `json:"after"`
	Why    string                  `json:"why"`
}

// The names of the steps, in the order in which they can appear.
const (
	StepSchedule  = "schedule"  // limits replaced by a schedule
	StepMetrics   = "metrics"   // the largest proposal
	StepDeviation = "deviation" // a switch changed what the HPA would have said
	StepNoise     = "noise"     // a proposal to grow that is not clear of its noise
	StepStabilize = "stabilize" // remembered recommendations
	StepLimits    = "limits"    // speed, minimum and maximum
	StepFromZero  = "fromZero"  // at least the minimum when coming back from zero
	StepRaiseOnly = "raiseOnly" // never down
	StepMode      = "mode"      // DryRun and Paused
)

// Condition is one of the HPA's conditions, as this pass leaves it.
type Condition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
	Reason Reason `json:"reason"`
	// Message is the condition's own sentence where neither its reason nor the decision has it.
	Message string `json:"message,omitempty"`
}
