package metric

// Share is one of Heapster's metrics that are made of two rows: how much of a node is used, or set aside.
type Share struct {
	Name, Help string
	Part       ID
	Rate       bool // the part's rate
	// Whole are the rows that it can be a share of; the first that is known counts.
	Whole [2]ID
}

// HeapsterShares returns them.
func HeapsterShares() []Share {
	cpu, memory := [2]ID{CPUAllocatable, CPUCapacity}, [2]ID{MemoryAllocatable, MemoryCapacity}
	return []Share{
		{"cpu/node_utilization", "CPU usage over allocatable CPU", CPUUsage, true, cpu},
		{"memory/node_utilization", "memory usage, page cache included, over allocatable memory", MemoryUsage, false, memory},
		{"cpu/node_reservation", "CPU requests over allocatable CPU", CPURequest, false, cpu},
		{"memory/node_reservation", "memory requests over allocatable memory", MemoryRequest, false, memory},
	}
}
