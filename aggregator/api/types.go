// Package api serves Plimsoll's own JSON under /plimsoll/v1: what the page, the command line and scripts read.
// These types are the contract; docs/api.md is made from them. Times are RFC 3339, durations seconds, CPU in
// cores, memory in bytes, shares as ratios (0.7 is 70 %). A number that is not known is null, never zero.
package api

import (
	"encoding/json"
	"time"
)

// Overview is GET /plimsoll/v1/overview, and the data of the "overview" event of /plimsoll/v1/stream, which
// comes at once and then every second.
type Overview struct {
	Schema     string      `json:"schema"` // plimsoll.dev/overview/v1
	Time       time.Time   `json:"time"`
	Version    string      `json:"version"`
	Since      time.Time   `json:"since"`    // when this process began to collect
	Interval   float64     `json:"interval"` // seconds between fast samples
	Node       Node        `json:"node"`     // the machine; with several, the sum
	Nodes      []Node      `json:"nodes"`
	Scaled     []Scaled    `json:"scaled"`     // by namespace and name
	Containers []Container `json:"containers"` // what hurts first
	Total      int         `json:"total"`      // how many containers there are before ?limit= and ?q=
	Conditions []Condition `json:"conditions"` // what is wrong with Plimsoll itself; empty when all is well
}

// Condition is something that a person should know, in Kubernetes' form.
type Condition struct {
	Type    string    `json:"type"`   // "HistoryWritable", "CollectorReading", "PoliciesLoaded", ...
	Status  string    `json:"status"` // "True", "False", "Unknown"; True is well
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// Node is one machine.
type Node struct {
	Name       string   `json:"name"`
	Cores      *float64 `json:"cores"`
	Memory     *float64 `json:"memory"`
	CPU        *float64 `json:"cpu"` // cores used
	WorkingSet *float64 `json:"workingSet"`
	Swap       *float64 `json:"swap"`
	Load1      *float64 `json:"load1"`
	// Pressure is the share of the last look in which at least one task waited (PSI some).
	CPUPressure    *float64 `json:"cpuPressure"`
	MemoryPressure *float64 `json:"memoryPressure"`
	IOPressure     *float64 `json:"ioPressure"`
	DiskRead       *float64 `json:"diskRead"`  // bytes a second
	DiskWrite      *float64 `json:"diskWrite"` // bytes a second
	DiskFree       *float64 `json:"diskFree"`  // bytes on the fullest file system
	DiskSize       *float64 `json:"diskSize"`
	DiskDevice     string   `json:"diskDevice"`
	NetReceive     *float64 `json:"netReceive"`  // bytes a second
	NetTransmit    *float64 `json:"netTransmit"` // bytes a second
	NetErrors      *float64 `json:"netErrors"`   // errors and drops a second
	Busiest        string   `json:"busiest"`     // the name of the container that uses most CPU
	Containers     int      `json:"containers"`
	Gap            *Gap     `json:"gap"`
}

// Gap says since when and why there is no value.
type Gap struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
}

// Container is one row of the containers' list.
type Container struct {
	Namespace      string   `json:"namespace"`
	Workload       string   `json:"workload"`
	WorkloadKind   string   `json:"workloadKind"`
	Pod            string   `json:"pod"`
	Name           string   `json:"name"`    // the container's
	Title          string   `json:"title"`   // how a person would call it: "demo/web-3", "postgres", "ssh.service"
	Runtime        string   `json:"runtime"` // docker, podman, containerd, cri-o, systemd, process, cgroup, self
	Image          string   `json:"image"`
	ID             string   `json:"id"` // cgroup path
	Node           string   `json:"node"`
	Started        *string  `json:"started"` // RFC 3339
	CPU            *float64 `json:"cpu"`
	CPULimit       *float64 `json:"cpuLimit"`
	CPURequest     *float64 `json:"cpuRequest"`
	WorkingSet     *float64 `json:"workingSet"`
	MemoryLimit    *float64 `json:"memoryLimit"`
	Throttled      *float64 `json:"throttled"` // share of the CFS periods that were throttled
	CPUPressure    *float64 `json:"cpuPressure"`
	MemoryPressure *float64 `json:"memoryPressure"`
	IOPressure     *float64 `json:"ioPressure"`
	OOMKills       *float64 `json:"oomKills"` // since the container began, or Plimsoll did
	Restarts       *float64 `json:"restarts"`
	Processes      *float64 `json:"processes"`
	DiskRead       *float64 `json:"diskRead"`
	DiskWrite      *float64 `json:"diskWrite"`
	NetReceive     *float64 `json:"netReceive"`
	NetTransmit    *float64 `json:"netTransmit"`
	Hurt           float64  `json:"hurt"` // 0 to 1: the order of the list
	Why            string   `json:"why"`  // what hurts, in a few words: "throttled 31 %"; "" when nothing does
	Gap            *Gap     `json:"gap"`
}

// Scaled is one workload that the autoscaler looks after.
type Scaled struct {
	Namespace string     `json:"namespace"`
	Kind      string     `json:"kind"`
	Name      string     `json:"name"`
	Mode      string     `json:"mode"` // Auto, DryRun, Paused
	Min       int32      `json:"min"`
	Max       int32      `json:"max"`
	Replicas  int32      `json:"replicas"` // that exist
	Ready     int32      `json:"ready"`
	Wished    int32      `json:"wished"`
	Metrics   []Load     `json:"metrics"`
	Last      *Decision  `json:"last"`   // the newest decision, holds included
	Change    *Decision  `json:"change"` // the newest that changed the count
	Members   []Replica  `json:"members"`
	Gap       *Gap       `json:"gap"`
	Policy    string     `json:"policy"` // the policy as YAML, for reading
	Updated   *time.Time `json:"updated"`
}

// Load is one metric of a scaled workload against its line.
type Load struct {
	Name string `json:"name"` // "cpu"
	Type string `json:"type"` // Resource, ContainerResource, Pods, Object, External
	// Load and Target are per replica, as a share of Of: the request for a utilization, the target itself otherwise.
	Load   *float64 `json:"load"`
	Target *float64 `json:"target"`
	Of     string   `json:"of"`    // "250m CPU": what the share is of
	Noise  *float64 `json:"noise"` // standard error of Load, in the same measure
	Window float64  `json:"window"`
}

// Replica is one member of a scaled workload.
type Replica struct {
	Name     string     `json:"name"`
	State    string     `json:"state"` // starting, ready, draining, backing-off, dead
	CPU      *float64   `json:"cpu"`
	Memory   *float64   `json:"memory"`
	Since    *time.Time `json:"since"`
	Restarts int        `json:"restarts"`
	Detail   string     `json:"detail"`
}

// Decision is one entry of the decision log. Detail is plimsoll.dev/decision/v1.
type Decision struct {
	Time      time.Time       `json:"time"`
	Namespace string          `json:"namespace"`
	Kind      string          `json:"kind"`
	Name      string          `json:"name"`
	Action    string          `json:"action"`
	From      int32           `json:"from"`
	To        int32           `json:"to"`
	Reason    string          `json:"reason"`
	Message   string          `json:"message"`
	Detail    json.RawMessage `json:"detail,omitempty"`
}

// WorkloadList is GET /plimsoll/v1/workloads: all workloads with their sums.
type WorkloadList struct {
	Schema string     `json:"schema"` // plimsoll.dev/workloads/v1
	Time   time.Time  `json:"time"`
	Items  []Workload `json:"items"`
}

// Workload is one row of it, and, with Containers, GET /plimsoll/v1/workloads/{ns}/{kind}/{name}, and the
// data of the "workload" event of /plimsoll/v1/stream?workload=ns/kind/name.
type Workload struct {
	Schema     string      `json:"schema,omitempty"` // plimsoll.dev/workload/v1
	Time       time.Time   `json:"time"`
	Namespace  string      `json:"namespace"`
	Kind       string      `json:"kind"`
	Name       string      `json:"name"`
	CPU        *float64    `json:"cpu"`
	WorkingSet *float64    `json:"workingSet"`
	Pods       int         `json:"pods"`
	Scaled     *Scaled     `json:"scaled"`
	Containers []Container `json:"containers,omitempty"`
	Decisions  []Decision  `json:"decisions,omitempty"` // changes of the last 24 hours and the newest hold, newest first
	Gap        *Gap        `json:"gap"`
}

// NodeList is GET /plimsoll/v1/nodes.
type NodeList struct {
	Schema string    `json:"schema"` // plimsoll.dev/nodes/v1
	Time   time.Time `json:"time"`
	Items  []Node    `json:"items"`
}

// DecisionList is GET /plimsoll/v1/decisions?namespace=&kind=&name=&action=&start=&end=&limit=.
type DecisionList struct {
	Schema string     `json:"schema"` // plimsoll.dev/decisions/v1
	Items  []Decision `json:"items"`
}

// Missing is GET /plimsoll/v1/missing: every entity that has a gap, and why.
type Missing struct {
	Schema string        `json:"schema"` // plimsoll.dev/missing/v1
	Time   time.Time     `json:"time"`
	Items  []MissingItem `json:"items"`
}

// MissingItem is one gap.
type MissingItem struct {
	Level string `json:"level"`
	Title string `json:"title"`
	ID    string `json:"id"`
	Gap
}

// Problem is the body of every error answer.
type Problem struct {
	Schema string `json:"schema"` // plimsoll.dev/error/v1
	Status int    `json:"status"`
	Error  string `json:"error"` // what could not be done, with the value in quotes, and the fix
}
