package grafana

import "plimsoll.dev/plimsoll/internal/metric"

// machine shows the machines: what they have, what is used, and what waits for it.
func machine() Board {
	const node, container = metric.Node, metric.Container
	return Board{
		Name: "machine", Title: "Machine", About: "What the machines have, what is used of it, and what waits for it.",
		Vars: []Var{{"cluster", metric.MemoryWorkingSet, node}, {"node", metric.MemoryWorkingSet, node}},
		Rows: []Row{
			{Title: "Now", Height: 6, Panels: []Panel{
				{Draw: Gauge, Title: "CPU used", Show: []Query{rate(metric.CPUUsage, node, "node").over(metric.CPUCapacity)}, Warn: 0.8, Bad: 0.95},
				{Draw: Gauge, Title: "Memory used", Show: []Query{last(metric.MemoryWorkingSet, node, "node").over(metric.MemoryCapacity)}, Warn: 0.8, Bad: 0.9},
				{Draw: Gauge, Title: "Disk used", Show: []Query{last(metric.FilesystemUsage, node, "node").over(metric.FilesystemLimit)}, Warn: 0.8, Bad: 0.9, Note: "All file systems together."},
				{Draw: Stat, Title: "Waiting for a CPU", Show: []Query{rate(metric.CPUWaiting, node, "node")}, Warn: 0.1, Bad: 0.4},
				{Draw: Stat, Title: "Waiting for memory", Show: []Query{rate(metric.MemoryWaiting, node, "node")}, Warn: 0.05, Bad: 0.2},
				{Draw: Stat, Title: "OOM kills", Show: []Query{total(metric.OOMKills, node, "node")}, Bad: 1},
				lacking(),
			}},
			{Title: "CPU", Panels: []Panel{
				{Draw: Lines, Title: "CPU Usage", Show: []Query{rate(metric.CPUUsage, node, "node")}, Limits: []Query{last(metric.CPUCapacity, node, "node").named("{{node}} capacity")}},
				{Draw: Stacked, Title: "CPU Usage by namespace", Show: []Query{rate(metric.CPUUsage, container, "namespace").keptAt(metric.Namespace)}},
				{Draw: Stacked, Title: "CPU time by mode", Show: []Query{
					rate(metric.CPUUser, node, "node").named("{{node}} user"), rate(metric.CPUSystem, node, "node").named("{{node}} system")}},
			}},
			{Title: "Load and pressure", Panels: []Panel{
				{Draw: Lines, Title: "Load average", Show: []Query{avg(metric.LoadAverage1m, node, "node")}, Limits: []Query{last(metric.CPUCapacity, node, "node").named("{{node}} cores")}},
				{Draw: Lines, Title: "Share of time in which something waited", Least: 0.1, Show: []Query{
					rate(metric.CPUWaiting, node, "node").named("{{node}} CPU"), rate(metric.MemoryWaiting, node, "node").named("{{node}} memory"), rate(metric.IOWaiting, node, "node").named("{{node}} disk")}},
				{Draw: Lines, Title: "Share of time in which everything waited", Least: 0.1, Show: []Query{
					rate(metric.MemoryStalled, node, "node").named("{{node}} memory"), rate(metric.IOStalled, node, "node").named("{{node}} disk")}},
			}},
			{Title: "Memory", Panels: []Panel{
				{Draw: Lines, Title: "Memory Usage", Show: []Query{avg(metric.MemoryWorkingSet, node, "node")}, Limits: []Query{last(metric.MemoryCapacity, node, "node").named("{{node}} capacity")}},
				{Draw: Stacked, Title: "Memory Usage by namespace", Show: []Query{avg(metric.MemoryWorkingSet, container, "namespace").keptAt(metric.Namespace)}},
				{Draw: Stacked, Title: "Memory by kind", Show: []Query{avg(metric.MemoryRSS, node, "node").named("{{node}} anonymous"),
					avg(metric.MemoryCache, node, "node").named("{{node}} page cache"), avg(metric.MemorySwap, node, "node").named("{{node}} swap")}},
				{Draw: Lines, Title: "Page faults that read from disk", Show: []Query{rate(metric.MemoryMajorPageFaults, node, "node")}},
			}},
			{Title: "Disk", Panels: []Panel{
				{Draw: Lines, Title: "Throughput", Show: []Query{rate(metric.DiskRead, node, "node").named("{{node}} read"), rate(metric.DiskWrite, node, "node").named("{{node}} written")}},
				{Draw: Lines, Title: "Operations", Show: []Query{rate(metric.DiskReads, node, "node").named("{{node}} reads"), rate(metric.DiskWrites, node, "node").named("{{node}} writes")}},
				{Draw: Lines, Title: "File systems", Show: []Query{avg(metric.FilesystemUsage, node, "node").named("{{node}} used")}, Limits: []Query{last(metric.FilesystemLimit, node, "node").named("{{node}} size")}},
				{Draw: Bars, Title: "Inodes free", Show: []Query{last(metric.FilesystemInodesFree, node, "node").over(metric.FilesystemInodes)}},
			}},
			{Title: "Network", Panels: []Panel{
				{Draw: Lines, Title: "Receive Bandwidth", Show: []Query{rate(metric.NetworkReceive, node, "node")}},
				{Draw: Lines, Title: "Transmit Bandwidth", Show: []Query{rate(metric.NetworkTransmit, node, "node")}},
				{Draw: Lines, Title: "Errors and drops", Show: []Query{
					rate(metric.NetworkReceiveErrors, node, "node").named("{{node}} receive errors"), rate(metric.NetworkTransmitErrors, node, "node").named("{{node}} transmit errors"),
					rate(metric.NetworkReceiveDropped, node, "node").named("{{node}} receive drops"), rate(metric.NetworkTransmitDropped, node, "node").named("{{node}} transmit drops")}},
			}},
			{Title: "All machines", Panels: []Panel{
				{Draw: Table, Title: "Machines", To: "containers", Show: []Query{
					rate(metric.CPUUsage, node, "node").named("CPU Usage"), rate(metric.CPUUsage, node, "node").over(metric.CPUCapacity).named("CPU %"),
					last(metric.MemoryWorkingSet, node, "node").named("Memory Usage"), last(metric.MemoryWorkingSet, node, "node").over(metric.MemoryCapacity).named("Memory %"),
					last(metric.LoadAverage1m, node, "node").named("Load"), rate(metric.CPUWaiting, node, "node").named("Waiting for a CPU"),
					last(metric.Processes, node, "node").named("Processes"), last(metric.Threads, node, "node").named("Threads")}},
			}},
		},
	}
}
