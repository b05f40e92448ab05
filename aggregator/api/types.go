// Package api serves Plimsoll's own JSON under /plimsoll/v1: what the page, the command line and scripts read.
// These types are the contract; docs/api.md is made from them. Times are RFC 3339, durations seconds, CPU in
// cores, memory in bytes, shares as ratios (0.7 is 70 %). A number that is not known is null, never zero.
package api

import (
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
)

// Overview is GET /plimsoll/v1/overview, and the data of the "overview" event of /plimsoll/v1/stream, which
// comes at once and then every second.
type Overview struct {
	Schema     string                `json:"schema"` // plimsoll.dev/overview/v1
	Time       time.Time             `json:"time"`
	Version    string                `json:"version"`
	Since      time.Time             `json:"since"`    // when this process began to collect
	Interval   float64               `json:"interval"` // seconds between fast samples
	Node       Node                  `json:"node"`     // the machine; with several, the sum
	Nodes      []Node                `json:"nodes"`
	TotalNodes int                   `json:"totalNodes"`           // how many machines there are before ?limit=
	Autoscaler string                `json:"autoscaler,omitempty"` // of a cluster: "on", "dry-run" or "off"; absent where no cluster is served
	Limited    bool                  `json:"limited,omitempty"`    // whoever asks may not see all: what is not in here may be there all the same
	Scaled     []Scaled              `json:"scaled"`               // by namespace and name
	Containers []Container           `json:"containers"`           // what hurts first
	Total      int                   `json:"total"`                // how many containers there are before ?limit= and ?q=
	Found      int                   `json:"found"`                // how many of them ?q= finds, before ?limit=
	Conditions []condition.Condition `json:"conditions"`           // what is wrong with Plimsoll itself; empty when all is well
}

// Node is one machine.
type Node struct {
	Name       string   `json:"name"`
	Pool       string   `json:"pool,omitempty"`   // the group of like machines that the cluster's labels say it is of
	Status     string   `json:"status,omitempty"` // how the cluster says that it is, as kubectl does, with what presses it: "Ready,MemoryPressure"
	Cores      *float64 `json:"cores"`
	Memory     *float64 `json:"memory"`
	CPU        *float64 `json:"cpu"` // cores used
	WorkingSet *float64 `json:"workingSet"`
	Swap       *float64 `json:"swap"`
	Load1      *float64 `json:"load1"`
	// Pressure is the share of the last look in which at least one task waited (PSI some).
	CPUPressure    *float64     `json:"cpuPressure"`
	MemoryPressure *float64     `json:"memoryPressure"`
	IOPressure     *float64     `json:"ioPressure"`
	DiskRead       *float64     `json:"diskRead"`  // bytes a second
	DiskWrite      *float64     `json:"diskWrite"` // bytes a second
	DiskFree       *float64     `json:"diskFree"`  // bytes on the fullest file system
	DiskSize       *float64     `json:"diskSize"`
	DiskDevice     string       `json:"diskDevice"`
	NetReceive     *float64     `json:"netReceive"`  // bytes a second
	NetTransmit    *float64     `json:"netTransmit"` // bytes a second
	NetErrors      *float64     `json:"netErrors"`   // errors and drops a second
	Busiest        string       `json:"busiest"`     // the name of the container that uses most CPU
	Containers     *int         `json:"containers"`
	Partial        []string     `json:"partial,omitempty"` // of cpu, workingSet, cores and memory those that are sums and lack a part; gap says why
	Parts          *Parts       `json:"parts,omitempty"`   // with partial: of how many of its members they are
	Source         string       `json:"source,omitempty"`  // "kubelet": there is no collector, its kubelet was asked
	Gap            *cluster.Gap `json:"gap"`
}

// Container is one row of the containers' list.
type Container struct {
	Namespace      string       `json:"namespace"`
	Workload       string       `json:"workload"`
	WorkloadKind   string       `json:"workloadKind"`
	Pod            string       `json:"pod"`
	Name           string       `json:"name"`    // the container's
	Title          string       `json:"title"`   // how a person would call it: "demo/web-3", "postgres", "ssh.service"
	Runtime        string       `json:"runtime"` // docker, podman, containerd, cri-o, systemd, process, cgroup, self
	Image          string       `json:"image"`
	ID             string       `json:"id"` // cgroup path
	Node           string       `json:"node"`
	Started        *string      `json:"started"` // RFC 3339
	CPU            *float64     `json:"cpu"`
	CPULimit       *float64     `json:"cpuLimit"`
	CPURequest     *float64     `json:"cpuRequest"`
	WorkingSet     *float64     `json:"workingSet"`
	MemoryLimit    *float64     `json:"memoryLimit"`
	Throttled      *float64     `json:"throttled"` // share of the CFS periods that were throttled
	CPUPressure    *float64     `json:"cpuPressure"`
	MemoryPressure *float64     `json:"memoryPressure"`
	IOPressure     *float64     `json:"ioPressure"`
	OOMKills       *float64     `json:"oomKills"` // over all lives of the container, since it or its collector began
	Restarts       *float64     `json:"restarts"`
	Processes      *float64     `json:"processes"`
	DiskRead       *float64     `json:"diskRead"`
	DiskWrite      *float64     `json:"diskWrite"`
	NetReceive     *float64     `json:"netReceive"`
	NetTransmit    *float64     `json:"netTransmit"`
	Score          float64      `json:"score"`            // 0 to 1: the order of the list
	Why            string       `json:"why"`              // what hurts, in a few words: "throttled 31 %"; "" when nothing does
	Source         string       `json:"source,omitempty"` // "kubelet": of its machine there is no collector, the kubelet was asked
	Gap            *cluster.Gap `json:"gap"`
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
	Schema     string             `json:"schema,omitempty"` // plimsoll.dev/workload/v1
	Time       time.Time          `json:"time"`
	Namespace  string             `json:"namespace"`
	Kind       string             `json:"kind"`
	Name       string             `json:"name"`
	CPU        *float64           `json:"cpu"`
	WorkingSet *float64           `json:"workingSet"`
	Pods       int                `json:"pods"`
	Scaled     *Scaled            `json:"scaled"`
	Containers []Container        `json:"containers,omitempty"`
	Decisions  []cluster.Decision `json:"decisions,omitempty"` // changes of the last 24 hours and the newest hold, newest first
	Partial    []string           `json:"partial,omitempty"`   // of cpu and workingSet those that lack a pod's part; gap says why
	Parts      *Parts             `json:"parts,omitempty"`     // with partial: of how many pods they are
	Gap        *cluster.Gap       `json:"gap"`
}

// NodeList is GET /plimsoll/v1/nodes.
type NodeList struct {
	Schema string    `json:"schema"` // plimsoll.dev/nodes/v1
	Time   time.Time `json:"time"`
	Items  []Node    `json:"items"`
}

// DecisionList is GET /plimsoll/v1/decisions?namespace=&kind=&name=&action=&start=&end=&limit=.
type DecisionList struct {
	Schema string             `json:"schema"` // plimsoll.dev/decisions/v1
	Items  []cluster.Decision `json:"items"`
	Notes  []string           `json:"notes,omitempty"` // of what is named: that it is a policy and what it scales, or not one thing's name alone; that its policy is not in force, and why, who else sets its count, or who has the newest
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
	Node  string `json:"node"` // the machine; "" of what is on several
	cluster.Gap
}

// Problem is the body of every error answer.
type Problem struct {
	Schema string `json:"schema"` // plimsoll.dev/error/v1
	Status int    `json:"status"`
	Error  string `json:"error"` // what could not be done, with the value in quotes, and the fix
}
