package capacity

import (
	"context"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// The reports' schemas.
const (
	CapacitySchema  = "plimsoll.dev/capacity/v1"
	FitSchema       = "plimsoll.dev/fit/v1"
	RightsizeSchema = "plimsoll.dev/rightsize/v1"
)

// History answers structured queries about the past, whatever store keeps it.
type History interface {
	Query(ctx context.Context, q store.Query) ([]store.Series, error)
}

// CapacityOptions say what a capacity report looks at, up to the time of the live picture. A field left at zero takes its default.
type CapacityOptions struct {
	// Window is how far back the report looks. Default 14 days; from one hour to 400 days.
	Window time.Duration
	// Pools names the pool of each node that has one. Nodes without a pool are in no pool's figures.
	Pools map[string]string
	// Unschedulable says of each node that takes no new pods why: "cordoned", "not Ready".
	Unschedulable map[string]string
}

// CapacityReport is how much room is left: the cluster, then its pools, its nodes and its namespaces.
type CapacityReport struct {
	Schema string    `json:"schema"` // plimsoll.dev/capacity/v1
	Time   time.Time `json:"time"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	// Step is the distance of the points in seconds: a day, or less for a short window.
	Step   float64  `json:"step"`
	Scopes []Scope  `json:"scopes"`
	Notes  []string `json:"notes"` // what a reader should know before believing the figures; sentences
}

// The levels of a scope.
const (
	ClusterLevel   = "cluster"
	PoolLevel      = "pool"
	NodeLevel      = "node"
	NamespaceLevel = "namespace"
)

// Scope is one part of the cluster, or all of it.
type Scope struct {
	Level  string `json:"level"`          // cluster, pool, node, namespace
	Name   string `json:"name"`           // "" for the cluster
	Nodes  int    `json:"nodes"`          // how many nodes it has now; for a namespace, how many it runs on
	Pool   string `json:"pool,omitempty"` // of a node that is of one
	CPU    Room   `json:"cpu"`
	Memory Room   `json:"memory"`
	Data   Data   `json:"data"`
	// Lacks says of how many pods what is used now is, where that lacks some: "2 of 3 pods".
	Lacks string `json:"lacks,omitempty"`
	// Gap says why the scope has no current values, "" when it has.
	Gap string `json:"gap,omitempty"`
	// Unschedulable says of a node that takes no new pods why: "cordoned", "not Ready", "cordoned and not Ready".
	Unschedulable string `json:"unschedulable,omitempty"`
}

// Room is one resource of a scope, in cores or bytes.
type Room struct {
	Capacity *float64 `json:"capacity"` // what the machines have; null for a namespace
	// Allocatable is what containers may have. Where nothing says so it is the capacity, and AllocatableIsCapacity is true.
	Allocatable           *float64 `json:"allocatable"`
	AllocatableIsCapacity bool     `json:"allocatableIsCapacity"`
	Requests              *float64 `json:"requests"` // null: no container asks for any
	Limits                *float64 `json:"limits"`

	Used *float64 `json:"used"` // now
	P50  *float64 `json:"p50"`  // over the window
	P95  *float64 `json:"p95"`
	Max  *float64 `json:"max"`

	// FreeByRequest is Allocatable - Requests, all of Allocatable where nothing is requested, and negative where more is
	// requested than there is. FreeByUse is Allocatable - P95.
	FreeByRequest *float64 `json:"freeByRequest"`
	FreeByUse     *float64 `json:"freeByUse"`
	// The largest blocks are the most that one replica may have on one node that takes new pods; null for a namespace, and where there is no such node.
	LargestByRequest *Block `json:"largestByRequest"`
	LargestByUse     *Block `json:"largestByUse"`

	Trend  Trend   `json:"trend"`
	Points []Point `json:"points"` // in time order; where there is no point there is a gap
}

// Block is free room on one node.
type Block struct {
	Node string  `json:"node"`
	Free float64 `json:"free"` // never negative
}

// Point is a day (or a shorter step) of the window, which ends at T.
type Point struct {
	T   int64    `json:"t"` // Unix seconds
	Avg *float64 `json:"avg"`
	P95 *float64 `json:"p95"`
	Max *float64 `json:"max"`
}

// Trend is how the daily 95th percentile moves: the Theil-Sen slope (Sen 1968) and when it meets what is allocatable.
type Trend struct {
	Days  int      `json:"days"`  // how many days have enough data
	Slope *float64 `json:"slope"` // a day; null: no trend, Text says why
	// Low and High bound the slope with a confidence of 95 %.
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
	// At is where the line stands at the end of the window.
	At *float64 `json:"at"`
	// Full is in how many days what is allocatable will be used up, at the slope; FullEarliest and FullLatest at its bounds.
	// Null: not in sight, which is not within two years.
	Full         *float64 `json:"full"`
	FullEarliest *float64 `json:"fullEarliest"`
	FullLatest   *float64 `json:"fullLatest"`
	Text         string   `json:"text"` // a sentence
}

// Data is how much of the window there is data for.
type Data struct {
	Coverage float64    `json:"coverage"` // share of the window, 0 to 1
	First    *time.Time `json:"first"`    // when it begins: the oldest sample, or the step that has it; null: there is none
	Last     *time.Time `json:"last"`
	Text     string     `json:"text"` // a sentence where something is missing, else ""
}

// By says what counts as free.
type By string

// The two ways to look at what is free.
const (
	ByRequest By = "request" // what the scheduler goes by: allocatable - requests
	ByUse     By = "use"     // what is left in practice: allocatable - p95
)

// Need is the size of one replica. At least one of CPU and Memory is given.
type Need struct {
	CPU    *float64 `json:"cpu"`    // cores; null: not asked for
	Memory *float64 `json:"memory"` // bytes
	By     By       `json:"by"`     // default ByRequest
}

// FitReport is how many more replicas of a size fit.
type FitReport struct {
	Schema string    `json:"schema"` // plimsoll.dev/fit/v1
	Time   time.Time `json:"time"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Need   Need      `json:"need"`
	Total  int       `json:"total"`
	// Known is how many nodes have the figures that the answer needs, of how many.
	Known int       `json:"known"`
	Nodes []NodeFit `json:"nodes"`
	Notes []string  `json:"notes"`
	Text  string    `json:"text"` // the answer in one sentence
}

// NodeFit is how many replicas fit on one node.
type NodeFit struct {
	Node       string   `json:"node"`
	Pool       string   `json:"pool,omitempty"` // that it is of
	Count      *int     `json:"count"`          // null: not known, Reason says why
	BoundBy    string   `json:"boundBy"`
	FreeCPU    *float64 `json:"freeCpu"`
	FreeMemory *float64 `json:"freeMemory"`
	// LeftCPU and LeftMemory are what is free when Count replicas have come.
	LeftCPU    *float64 `json:"leftCpu"`
	LeftMemory *float64 `json:"leftMemory"`
	// Unschedulable says why the node takes no new pods, as in Scope: then nothing fits, whatever is free.
	Unschedulable string `json:"unschedulable,omitempty"`
	Reason        string `json:"reason"`
}

// What bounds a node's count.
const (
	BoundByCPU    = "cpu"
	BoundByMemory = "memory"
)

// RightsizeOptions say what a right-size report looks at, up to the time of the live picture. A field left at zero takes its default.
type RightsizeOptions struct {
	// Window is how far back the report looks. Default 14 days; from one hour to 400 days.
	Window time.Duration
	// Namespace, Kind and Name narrow the report; empty: all.
	Namespace, Kind, Name string
}

// RightsizeReport is what each container asks for and what it should ask for.
type RightsizeReport struct {
	Schema string    `json:"schema"` // plimsoll.dev/rightsize/v1
	Time   time.Time `json:"time"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Rows   []Advice  `json:"rows"` // the largest change first
	Totals Totals    `json:"totals"`
	Notes  []string  `json:"notes"`
}

// Advice is one container of one workload, or of one pod that is of none: then the kind is Pod, and the workload the pod's name.
type Advice struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Workload  string `json:"workload"`
	Container string `json:"container"`
	Replicas  int    `json:"replicas"` // that run now
	Scaled    bool   `json:"scaled"`   // an autoscaler keeps it at a load

	CPU    ResourceAdvice `json:"cpu"`
	Memory ResourceAdvice `json:"memory"`

	OOMKills  int      `json:"oomKills"`  // within the window
	Restarts  *int     `json:"restarts"`  // within the window; null: not known
	Throttled *float64 `json:"throttled"` // share of CFS periods; null: not known

	Data             Data   `json:"data"`
	Confidence       string `json:"confidence"` // high, medium, low, none
	ConfidenceReason string `json:"confidenceReason"`
	Reason           string `json:"reason"` // the advice in words
}

// The confidences.
const (
	High   = "high"
	Medium = "medium"
	Low    = "low"
	None   = "none" // there is no advice
)

// ResourceAdvice is one resource of a container, in cores or bytes for each replica.
type ResourceAdvice struct {
	Request *float64 `json:"request"` // now; null: none is set
	Limit   *float64 `json:"limit"`
	P95     *float64 `json:"p95"` // of the busiest replica; of the average one where the workload is scaled
	Max     *float64 `json:"max"`
	Advised *float64 `json:"advised"` // null: no advice
	// AdvisedLimit is set where the present limit is in the way of the advice; null: leave it.
	AdvisedLimit *float64 `json:"advisedLimit"`
	Action       string   `json:"action"` // set, raise, lower, keep; "": no advice
	// Saving is (Request - Advised) × replicas, negative where more is advised; null where there is no request or no advice.
	Saving *float64 `json:"saving"`
	Reason string   `json:"reason"`
}

// The actions.
const (
	Set   = "set"
	Raise = "raise"
	Lower = "lower"
	Keep  = "keep"
)

// Totals are sums over the rows.
type Totals struct {
	Rows    int            `json:"rows"`
	Advised int            `json:"advised"` // rows with advice
	CPU     ResourceTotals `json:"cpu"`
	Memory  ResourceTotals `json:"memory"`
}

// ResourceTotals are sums of one resource over the replicas that run now.
type ResourceTotals struct {
	Requests float64 `json:"requests"` // of the rows that have a request
	Advised  float64 `json:"advised"`  // of the rows that have advice
	Saving   float64 `json:"saving"`   // less requested where Advised is lower, minus more where it is higher; of the rows that have both
	Set      int     `json:"set"`
	Raise    int     `json:"raise"`
	Lower    int     `json:"lower"`
	Keep     int     `json:"keep"`
}

// Style is how figures are written in a table.
type Style int

// The styles.
const (
	People Style = iota // 1250m, 512Mi, 31%
	Raw                 // base units, for CSV: 1.25, 536870912, 0.31
)
