package metric

// The rows of the catalogue, by the names the code uses for them.
const (
	CPUUsage ID = iota
	CPUUser
	CPUSystem
	CPUPeriods
	CPUThrottledPeriods
	CPUThrottled
	CPUWaiting
	CPUStalled
	LoadAverage1m
	MemoryWorkingSet
	MemoryUsage
	MemoryRSS
	MemoryCache
	MemorySwap
	MemoryPeak
	MemoryPageFaults
	MemoryMajorPageFaults
	OOMKills
	MemoryWaiting
	MemoryStalled
	NetworkReceive
	NetworkTransmit
	NetworkReceiveErrors
	NetworkTransmitErrors
	NetworkReceiveDropped
	NetworkTransmitDropped
	DiskRead
	DiskWrite
	DiskReads
	DiskWrites
	IOWaiting
	IOStalled
	FilesystemUsage
	FilesystemLimit
	FilesystemAvailable
	FilesystemInodes
	FilesystemInodesFree
	Processes
	Threads
	FileDescriptors
	StartTime
	CPULimit
	MemoryLimit
	CPURequest
	MemoryRequest
	CPUCapacity
	MemoryCapacity
	CPUAllocatable
	MemoryAllocatable
	Restarts
	Replicas
	ReplicasReady
	ReplicasDesired
	ReplicasMin
	ReplicasMax
	ScaleLoad
	ScaleTarget
	MissingParts
	PodsPending
	PodsRunning
	PodsSucceeded
	PodsFailed
	PodsUnknown
	PodsReady
	ContainersWaiting
	Nodes
	NodesReady
	NodesMemoryPressure
	NodesDiskPressure
	NodesPIDPressure
	NodesNetworkUnavailable
	NodesUnschedulable
	numRows
)

// rows is the catalogue: the APIs, the boards, the docs table and the tests are made from it.
var rows = [numRows]Row{
	CPUUsage: {ID: CPUUsage, Name: "container_cpu_usage_seconds_total", Kind: Counter, Unit: Seconds,
		Help:   "CPU time used",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "cpu_usage_seconds_total", Rate: "cpu_usage_cores",
		Heapster: "cpu/usage", HeapsterRate: "cpu/usage_rate", Scale: 1e9, RateScale: 1e3},
	CPUUser: {ID: CPUUser, Name: "container_cpu_user_seconds_total", Kind: Counter, Unit: Seconds,
		Help:   "CPU time used in user mode",
		Levels: []Level{Container, Pod, Workload, Node}, Field: "cpu_user_seconds_total", Rate: "cpu_user_cores"},
	CPUSystem: {ID: CPUSystem, Name: "container_cpu_system_seconds_total", Kind: Counter, Unit: Seconds,
		Help:   "CPU time used in kernel mode",
		Levels: []Level{Container, Pod, Workload, Node}, Field: "cpu_system_seconds_total", Rate: "cpu_system_cores"},
	CPUPeriods: {ID: CPUPeriods, Name: "container_cpu_cfs_periods_total", Kind: Counter, Unit: Count,
		Help:   "CFS periods in which the cgroup could run under a CPU limit",
		Levels: []Level{Container, Pod}, Field: "cpu_cfs_periods_total", Rate: "cpu_cfs_periods_rate"},
	CPUThrottledPeriods: {ID: CPUThrottledPeriods, Name: "container_cpu_cfs_throttled_periods_total", Kind: Counter, Unit: Count,
		Help:   "CFS periods in which the cgroup was throttled by its CPU limit",
		Levels: []Level{Container, Pod}, Field: "cpu_cfs_throttled_periods_total", Rate: "cpu_cfs_throttled_periods_rate"},
	CPUThrottled: {ID: CPUThrottled, Name: "container_cpu_cfs_throttled_seconds_total", Kind: Counter, Unit: Seconds,
		Help:   "time for which the cgroup's tasks were throttled by its CPU limit",
		Levels: []Level{Container, Pod, Workload, Node}, Field: "cpu_cfs_throttled_seconds_total", Rate: "cpu_cfs_throttled_ratio"},
	CPUWaiting: {ID: CPUWaiting, Name: "container_pressure_cpu_waiting_seconds_total", Kind: Counter, Unit: Seconds, Join: Largest,
		Help:   "time in which at least one task waited for a CPU (PSI some)",
		Levels: []Level{Container, Pod, Node}, Field: "pressure_cpu_waiting_seconds_total", Rate: "pressure_cpu_waiting_ratio"},
	CPUStalled: {ID: CPUStalled, Name: "container_pressure_cpu_stalled_seconds_total", Kind: Counter, Unit: Seconds, Join: Largest,
		Help:   "time in which all tasks at once waited for a CPU (PSI full)",
		Levels: []Level{Container, Pod, Node}, Field: "pressure_cpu_stalled_seconds_total", Rate: "pressure_cpu_stalled_ratio"},
	LoadAverage1m: {ID: LoadAverage1m, Name: "machine_load1", Kind: Gauge, Unit: Count,
		Help:   "load average over one minute",
		Levels: []Level{Node}, Field: "load1"},
	MemoryWorkingSet: {ID: MemoryWorkingSet, Name: "container_memory_working_set_bytes", Kind: Gauge, Unit: Bytes,
		Help:   "memory in use less the page cache that can be dropped at once: usage minus inactive file",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "memory_working_set_bytes",
		Heapster: "memory/working_set"},
	MemoryUsage: {ID: MemoryUsage, Name: "container_memory_usage_bytes", Kind: Gauge, Unit: Bytes,
		Help:   "memory charged to the cgroup, page cache included",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "memory_usage_bytes",
		Heapster: "memory/usage"},
	MemoryRSS: {ID: MemoryRSS, Name: "container_memory_rss", Kind: Gauge, Unit: Bytes,
		Help:   "anonymous memory and swap cache",
		Levels: []Level{Container, Pod, Workload, Node}, Field: "memory_rss_bytes",
		Heapster: "memory/rss"},
	MemoryCache: {ID: MemoryCache, Name: "container_memory_cache", Kind: Gauge, Unit: Bytes,
		Help:   "page cache",
		Levels: []Level{Container, Pod, Workload, Node}, Field: "memory_cache_bytes",
		Heapster: "memory/cache"},
	MemorySwap: {ID: MemorySwap, Name: "container_memory_swap", Kind: Gauge, Unit: Bytes,
		Help:   "swap in use",
		Levels: []Level{Container, Pod, Workload, Node}, Field: "memory_swap_bytes"},
	MemoryPeak: {ID: MemoryPeak, Name: "container_memory_max_usage_bytes", Kind: Gauge, Unit: Bytes,
		Help:   "highest memory usage since the cgroup was made",
		Levels: []Level{Container, Pod}, Field: "memory_max_usage_bytes"},
	MemoryPageFaults: {ID: MemoryPageFaults, Name: "container_memory_failures_total", Fixed: []Label{{"failure_type", "pgfault"}, {"scope", "container"}}, Kind: Counter, Unit: Count,
		Help:   "page faults",
		Levels: []Level{Container, Pod, Node}, Field: "memory_page_faults_total", Rate: "memory_page_faults_rate",
		Heapster: "memory/page_faults", HeapsterRate: "memory/page_faults_rate"},
	MemoryMajorPageFaults: {ID: MemoryMajorPageFaults, Name: "container_memory_failures_total", Fixed: []Label{{"failure_type", "pgmajfault"}, {"scope", "container"}}, Kind: Counter, Unit: Count,
		Help:   "page faults that had to read from disk",
		Levels: []Level{Container, Pod, Node}, Field: "memory_major_page_faults_total", Rate: "memory_major_page_faults_rate",
		Heapster: "memory/major_page_faults", HeapsterRate: "memory/major_page_faults_rate"},
	OOMKills: {ID: OOMKills, Name: "container_oom_events_total", Kind: Counter, Unit: Count,
		Help:   "processes killed because the memory limit was reached, in all lives of a container",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "oom_events_total", Rate: "oom_events_rate"},
	MemoryWaiting: {ID: MemoryWaiting, Name: "container_pressure_memory_waiting_seconds_total", Kind: Counter, Unit: Seconds, Join: Largest,
		Help:   "time in which at least one task waited for memory (PSI some)",
		Levels: []Level{Container, Pod, Node}, Field: "pressure_memory_waiting_seconds_total", Rate: "pressure_memory_waiting_ratio"},
	MemoryStalled: {ID: MemoryStalled, Name: "container_pressure_memory_stalled_seconds_total", Kind: Counter, Unit: Seconds, Join: Largest,
		Help:   "time in which all tasks at once waited for memory (PSI full)",
		Levels: []Level{Container, Pod, Node}, Field: "pressure_memory_stalled_seconds_total", Rate: "pressure_memory_stalled_ratio"},
	NetworkReceive: {ID: NetworkReceive, Name: "container_network_receive_bytes_total", Sub: "interface", Kind: Counter, Unit: Bytes,
		Help:   "bytes received",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "network_receive_bytes_total", Rate: "network_receive_bytes_rate",
		Heapster: "network/rx", HeapsterRate: "network/rx_rate"},
	NetworkTransmit: {ID: NetworkTransmit, Name: "container_network_transmit_bytes_total", Sub: "interface", Kind: Counter, Unit: Bytes,
		Help:   "bytes sent",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "network_transmit_bytes_total", Rate: "network_transmit_bytes_rate",
		Heapster: "network/tx", HeapsterRate: "network/tx_rate"},
	NetworkReceiveErrors: {ID: NetworkReceiveErrors, Name: "container_network_receive_errors_total", Sub: "interface", Kind: Counter, Unit: Count,
		Help:   "errors while receiving",
		Levels: []Level{Container, Pod, Node}, Field: "network_receive_errors_total", Rate: "network_receive_errors_rate",
		Heapster: "network/rx_errors", HeapsterRate: "network/rx_errors_rate"},
	NetworkTransmitErrors: {ID: NetworkTransmitErrors, Name: "container_network_transmit_errors_total", Sub: "interface", Kind: Counter, Unit: Count,
		Help:   "errors while sending",
		Levels: []Level{Container, Pod, Node}, Field: "network_transmit_errors_total", Rate: "network_transmit_errors_rate",
		Heapster: "network/tx_errors", HeapsterRate: "network/tx_errors_rate"},
	NetworkReceiveDropped: {ID: NetworkReceiveDropped, Name: "container_network_receive_packets_dropped_total", Sub: "interface", Kind: Counter, Unit: Count,
		Help:   "packets dropped while receiving",
		Levels: []Level{Container, Pod, Node}, Field: "network_receive_packets_dropped_total", Rate: "network_receive_packets_dropped_rate"},
	NetworkTransmitDropped: {ID: NetworkTransmitDropped, Name: "container_network_transmit_packets_dropped_total", Sub: "interface", Kind: Counter, Unit: Count,
		Help:   "packets dropped while sending",
		Levels: []Level{Container, Pod, Node}, Field: "network_transmit_packets_dropped_total", Rate: "network_transmit_packets_dropped_rate"},
	DiskRead: {ID: DiskRead, Name: "container_fs_reads_bytes_total", Sub: "device", Kind: Counter, Unit: Bytes,
		Help:   "bytes read from block devices",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "fs_reads_bytes_total", Rate: "fs_reads_bytes_rate",
		Heapster: "disk/io_read_bytes", HeapsterRate: "disk/io_read_bytes_rate"},
	DiskWrite: {ID: DiskWrite, Name: "container_fs_writes_bytes_total", Sub: "device", Kind: Counter, Unit: Bytes,
		Help:   "bytes written to block devices",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "fs_writes_bytes_total", Rate: "fs_writes_bytes_rate",
		Heapster: "disk/io_write_bytes", HeapsterRate: "disk/io_write_bytes_rate"},
	DiskReads: {ID: DiskReads, Name: "container_fs_reads_total", Sub: "device", Kind: Counter, Unit: Count,
		Help:   "reads from block devices",
		Levels: []Level{Container, Pod, Node}, Field: "fs_reads_total", Rate: "fs_reads_rate"},
	DiskWrites: {ID: DiskWrites, Name: "container_fs_writes_total", Sub: "device", Kind: Counter, Unit: Count,
		Help:   "writes to block devices",
		Levels: []Level{Container, Pod, Node}, Field: "fs_writes_total", Rate: "fs_writes_rate"},
	IOWaiting: {ID: IOWaiting, Name: "container_pressure_io_waiting_seconds_total", Kind: Counter, Unit: Seconds, Join: Largest,
		Help:   "time in which at least one task waited for a disk (PSI some)",
		Levels: []Level{Container, Pod, Node}, Field: "pressure_io_waiting_seconds_total", Rate: "pressure_io_waiting_ratio"},
	IOStalled: {ID: IOStalled, Name: "container_pressure_io_stalled_seconds_total", Kind: Counter, Unit: Seconds, Join: Largest,
		Help:   "time in which all tasks at once waited for a disk (PSI full)",
		Levels: []Level{Container, Pod, Node}, Field: "pressure_io_stalled_seconds_total", Rate: "pressure_io_stalled_ratio"},
	FilesystemUsage: {ID: FilesystemUsage, Name: "container_fs_usage_bytes", Sub: "device", Kind: Gauge, Unit: Bytes,
		Help:   "bytes used on the file system",
		Levels: []Level{Container, Node}, Field: "fs_usage_bytes",
		Heapster: "filesystem/usage"},
	FilesystemLimit: {ID: FilesystemLimit, Name: "container_fs_limit_bytes", Sub: "device", Kind: Gauge, Unit: Bytes,
		Help:   "size of the file system",
		Levels: []Level{Container, Node}, Field: "fs_limit_bytes",
		Heapster: "filesystem/limit"},
	FilesystemAvailable: {ID: FilesystemAvailable, Name: "container_fs_available_bytes", Sub: "device", Kind: Gauge, Unit: Bytes,
		Help:   "bytes on the file system that a user without privileges can still use",
		Levels: []Level{Container, Node}, Field: "fs_available_bytes",
		Heapster: "filesystem/available"},
	FilesystemInodes: {ID: FilesystemInodes, Name: "container_fs_inodes_total", Sub: "device", Kind: Gauge, Unit: Count,
		Help:   "inodes of the file system",
		Levels: []Level{Container, Node}, Field: "fs_inodes",
		Heapster: "filesystem/inodes"},
	FilesystemInodesFree: {ID: FilesystemInodesFree, Name: "container_fs_inodes_free", Sub: "device", Kind: Gauge, Unit: Count,
		Help:   "free inodes of the file system",
		Levels: []Level{Container, Node}, Field: "fs_inodes_free",
		Heapster: "filesystem/inodes_free"},
	Processes: {ID: Processes, Name: "container_processes", Kind: Gauge, Unit: Count,
		Help:   "processes in the cgroup",
		Levels: []Level{Container, Pod, Workload, Namespace, Node}, Field: "processes"},
	Threads: {ID: Threads, Name: "container_threads", Kind: Gauge, Unit: Count,
		Help:   "threads in the cgroup",
		Levels: []Level{Container, Pod, Workload, Namespace, Node}, Field: "threads"},
	FileDescriptors: {ID: FileDescriptors, Name: "container_file_descriptors", Kind: Gauge, Unit: Count,
		Help:   "open file descriptors of the cgroup's processes",
		Levels: []Level{Container, Pod}, Field: "file_descriptors"},
	StartTime: {ID: StartTime, Name: "container_start_time_seconds", Kind: Gauge, Unit: Time, Join: Smallest,
		Help:   "when the container was created, or the machine booted",
		Levels: []Level{Container, Pod, Node}, Field: "start_time_seconds"},
	CPULimit: {ID: CPULimit, Name: "kube_pod_container_resource_limits", Fixed: []Label{{"resource", "cpu"}, {"unit", "core"}}, Kind: Gauge, Unit: Cores,
		Help:   "CPU limit",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "cpu_limit_cores",
		Heapster: "cpu/limit", Scale: 1e3},
	MemoryLimit: {ID: MemoryLimit, Name: "kube_pod_container_resource_limits", Fixed: []Label{{"resource", "memory"}, {"unit", "byte"}}, Kind: Gauge, Unit: Bytes,
		Help:   "memory limit",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "memory_limit_bytes",
		Heapster: "memory/limit"},
	CPURequest: {ID: CPURequest, Name: "kube_pod_container_resource_requests", Fixed: []Label{{"resource", "cpu"}, {"unit", "core"}}, Kind: Gauge, Unit: Cores,
		Help:   "CPU request: what the scheduler sets aside",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "cpu_request_cores",
		Heapster: "cpu/request", Scale: 1e3},
	MemoryRequest: {ID: MemoryRequest, Name: "kube_pod_container_resource_requests", Fixed: []Label{{"resource", "memory"}, {"unit", "byte"}}, Kind: Gauge, Unit: Bytes,
		Help:   "memory request",
		Levels: []Level{Container, Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "memory_request_bytes",
		Heapster: "memory/request"},
	CPUCapacity: {ID: CPUCapacity, Name: "machine_cpu_cores", Kind: Gauge, Unit: Cores,
		Help:   "CPU cores of the machine",
		Levels: []Level{Node, Pool, Cluster}, Field: "cpu_capacity_cores",
		Heapster: "cpu/node_capacity", Scale: 1e3},
	MemoryCapacity: {ID: MemoryCapacity, Name: "machine_memory_bytes", Kind: Gauge, Unit: Bytes,
		Help:   "memory of the machine",
		Levels: []Level{Node, Pool, Cluster}, Field: "memory_capacity_bytes",
		Heapster: "memory/node_capacity"},
	CPUAllocatable: {ID: CPUAllocatable, Name: "kube_node_status_allocatable", Fixed: []Label{{"resource", "cpu"}, {"unit", "core"}}, Kind: Gauge, Unit: Cores,
		Help:   "CPU cores that containers may have",
		Levels: []Level{Node, Pool, Cluster}, Field: "cpu_allocatable_cores",
		Heapster: "cpu/node_allocatable", Scale: 1e3},
	MemoryAllocatable: {ID: MemoryAllocatable, Name: "kube_node_status_allocatable", Fixed: []Label{{"resource", "memory"}, {"unit", "byte"}}, Kind: Gauge, Unit: Bytes,
		Help:   "memory that containers may have",
		Levels: []Level{Node, Pool, Cluster}, Field: "memory_allocatable_bytes",
		Heapster: "memory/node_allocatable"},
	Restarts: {ID: Restarts, Name: "kube_pod_container_status_restarts_total", Kind: Counter, Unit: Count,
		Help:   "restarts of the container",
		Levels: []Level{Container, Pod, Workload, Namespace}, Field: "restarts_total",
		Heapster: "restart_count"},
	Replicas: {ID: Replicas, Past: true, Name: "workload_replicas", Kind: Gauge, Unit: Count,
		Help:   "replicas that exist",
		Levels: []Level{Workload}, Field: "replicas"},
	ReplicasReady: {ID: ReplicasReady, Past: true, Name: "workload_replicas_ready", Kind: Gauge, Unit: Count,
		Help:   "replicas that are ready",
		Levels: []Level{Workload}, Field: "replicas_ready"},
	ReplicasDesired: {ID: ReplicasDesired, Past: true, Name: "workload_replicas_desired", Kind: Gauge, Unit: Count,
		Help:   "replicas that the autoscaler asked for",
		Levels: []Level{Workload}, Field: "replicas_desired"},
	ReplicasMin: {ID: ReplicasMin, Past: true, Name: "workload_replicas_min", Kind: Gauge, Unit: Count,
		Help:   "fewest replicas that the policy allows",
		Levels: []Level{Workload}, Field: "replicas_min"},
	ReplicasMax: {ID: ReplicasMax, Past: true, Name: "workload_replicas_max", Kind: Gauge, Unit: Count,
		Help:   "most replicas that the policy allows",
		Levels: []Level{Workload}, Field: "replicas_max"},
	ScaleLoad: {ID: ScaleLoad, Past: true, Name: "workload_scale_load_ratio", Sub: "metric", Kind: Gauge, Unit: Ratio, Join: Largest,
		Help:   "load per replica that the autoscaler saw, as a share of the replica's request (of the target where the target is an amount)",
		Levels: []Level{Workload}, Field: "scale_load_ratio"},
	ScaleTarget: {ID: ScaleTarget, Past: true, Name: "workload_scale_target_ratio", Sub: "metric", Kind: Gauge, Unit: Ratio, Join: Largest,
		Help:   "load per replica that the policy asks for, in the same measure",
		Levels: []Level{Workload}, Field: "scale_target_ratio"},
	MissingParts: {ID: MissingParts, Past: true, Name: "pod_missing_parts", Kind: Gauge, Unit: Count,
		Help:   "members whose CPU or memory is not in the sums, in whole or in part; there is a value while there are some, and a 0 after it",
		Levels: []Level{Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "missing_parts"},
	PodsPending:   phase(PodsPending, "Pending", "pods_pending"),
	PodsRunning:   phase(PodsRunning, "Running", "pods_running"),
	PodsSucceeded: phase(PodsSucceeded, "Succeeded", "pods_succeeded"),
	PodsFailed:    phase(PodsFailed, "Failed", "pods_failed"),
	PodsUnknown:   phase(PodsUnknown, "Unknown", "pods_unknown"),
	PodsReady: {ID: PodsReady, Past: true, Name: "kube_pod_status_ready", Fixed: []Label{{"condition", "true"}}, Kind: Gauge, Unit: Count,
		Help:   "whether the pod is ready, 1 or 0; at other levels, how many pods are",
		Levels: []Level{Pod, Workload, Namespace, Node, Pool, Cluster}, Field: "pods_ready"},
	ContainersWaiting: {ID: ContainersWaiting, Past: true, Name: "kube_pod_container_status_waiting_reason", Sub: "reason", Kind: Gauge, Unit: Count,
		Help:   "1 while the container waits for this reason, 0 once after it; at other levels, how many containers do",
		Levels: []Level{Container, Workload, Namespace, Cluster}, Field: "containers_waiting"},
	Nodes: {ID: Nodes, Past: true, Name: "kube_node_labels", Sub: "label_pool", Kind: Gauge, Unit: Count,
		Help:   "1 for each node, with its pool, if it is of one; at other levels, how many nodes there are",
		Levels: []Level{Node, Pool, Cluster}, Field: "nodes"},
	NodesReady:              nodeCondition(NodesReady, "Ready", "is ready", "nodes_ready"),
	NodesMemoryPressure:     nodeCondition(NodesMemoryPressure, "MemoryPressure", "is short of memory", "nodes_memory_pressure"),
	NodesDiskPressure:       nodeCondition(NodesDiskPressure, "DiskPressure", "is short of disk", "nodes_disk_pressure"),
	NodesPIDPressure:        nodeCondition(NodesPIDPressure, "PIDPressure", "is short of process ids", "nodes_pid_pressure"),
	NodesNetworkUnavailable: nodeCondition(NodesNetworkUnavailable, "NetworkUnavailable", "has no network for pods", "nodes_network_unavailable"),
	NodesUnschedulable: {ID: NodesUnschedulable, Past: true, Name: "kube_node_spec_unschedulable", Kind: Gauge, Unit: Count,
		Help:   "whether the node takes no new pods, 1 or 0; at other levels, how many nodes",
		Levels: []Level{Node, Pool, Cluster}, Field: "nodes_unschedulable"},
}

// phase is the row of a phase of pods.
func phase(id ID, phase, field string) Row {
	return Row{ID: id, Past: true, Name: "kube_pod_status_phase", Fixed: []Label{{"phase", phase}}, Kind: Gauge, Unit: Count,
		Help:   "1 while the pod is in the phase " + phase + ", 0 once after it; at other levels, how many pods are",
		Levels: []Level{Pod, Workload, Namespace, Node, Pool, Cluster}, Field: field}
}

// nodeCondition is the row of a condition of nodes, with what is so of a node that has it.
func nodeCondition(id ID, condition, what, field string) Row {
	return Row{ID: id, Past: true, Name: "kube_node_status_condition", Fixed: []Label{{"condition", condition}, {"status", "true"}}, Kind: Gauge, Unit: Count,
		Help:   "whether the node " + what + ", 1 or 0; at other levels, how many nodes",
		Levels: []Level{Node, Pool, Cluster}, Field: field}
}
