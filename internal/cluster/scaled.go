package cluster

import "time"

// Scaled is what there is to know about a target that the autoscaler looks after. Numbers that are not known are nil.
type Scaled struct {
	Target
	// By are the objects that say how the target is to be scaled, the one in force first where one is; none where the target itself says so.
	By   []Declaration `json:"by,omitempty"`
	Mode string        `json:"mode"` // Auto, DryRun, Paused
	// State says in words for people why Plimsoll does not set the count, or not alone, why there are not as many as it asks for, and what else is declared in vain: "paused", "dry run",
	// "HPA web scales it", "somebody set it to 0", "replicas cannot be made: exceeded quota". "": it does.
	State    string `json:"state,omitempty"`
	Min      *int32 `json:"min"` // Min and Max are in force now: a schedule's while one holds; nil where what declares them cannot be read
	Max      *int32 `json:"max"`
	Schedule string `json:"schedule,omitempty"` // since when the schedules hold that set them, as they write it: "0 8 * * 1-5 Europe/Berlin"; "" where none does
	Replicas int32  `json:"replicas"`           // that exist
	Ready    int32  `json:"ready"`
	Desired  int32  `json:"desired"`
	Metrics  []Load `json:"metrics"`
	// Utilizations are the loads that its policy keeps.
	Utilizations []Utilization `json:"-"`
	Last         *Decision     `json:"last"`   // the newest decision, holds included
	Change       *Decision     `json:"change"` // the newest that changed the count
	// Gap says since when and why the target is not seen; nil when it is.
	Gap     *Gap       `json:"gap"`
	Policy  string     `json:"policy"` // as YAML, for reading
	Updated *time.Time `json:"updated"`
}

// Declaration names an object, in the namespace of its target, that says how the target is to be scaled.
type Declaration struct {
	Kind string `json:"kind"` // ScalePolicy, HorizontalPodAutoscaler
	Name string `json:"name"`
}

// Load is one metric of a target against what its policy keeps it at.
type Load struct {
	Name string `json:"name"` // "cpu"
	Type string `json:"type"` // Resource, ContainerResource, Pods, Object, External
	// Container is the one that a ContainerResource is of.
	Container string `json:"container,omitempty"`
	// Load and Target are per replica, as a share of Of: the request for a utilization, the target itself otherwise.
	Load   *float64 `json:"load"`
	Target *float64 `json:"target"`
	Of     string   `json:"of"`     // "250m CPU": what the share is of
	Amount string   `json:"amount"` // "100m": the target as its policy gives it, where that is an amount; else ""
	Noise  *float64 `json:"noise"`  // standard error of Load, in the same measure
	Window float64  `json:"window"` // seconds
}

// Title is what people call the metric: "cpu", "cpu of web".
func (l *Load) Title() string {
	if l.Container != "" {
		return l.Name + " of " + l.Container
	}
	return l.Name
}

// Utilization is one average utilization that a policy keeps, as a share of the request.
type Utilization struct {
	Resource  ResourceName
	Container string // "" for the whole pod
	Share     float64
}

// GapPolicy is the gap's reason of a target whose policy cannot be used: nobody scales it by that, and nobody counts its replicas.
const GapPolicy = "policy"

// GapScale is that of a target whose scale cannot be read: its counts are not known.
const GapScale = "scale"

// Gap says since when and why there is no value.
type Gap struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"` // a short word from a fixed set, as of metric.Gap
	Detail string    `json:"detail"` // a clause for people: "reader was refused (permission)"
}
