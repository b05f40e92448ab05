package grafana

import "plimsoll.dev/plimsoll/internal/metric"

// containers shows what containers use, how near they are to their limits, and which were hurt.
func containers() Board {
	const container, pod = metric.Container, metric.Pod
	each := []string{"node", "namespace", "pod", "container"}
	owner := []string{"node", "namespace", "pod"}
	return Board{
		Name: "containers", Title: "Containers", About: "What containers use, how near they are to their limits, and which were hurt.",
		Vars: []Var{{"cluster", metric.MemoryWorkingSet, container}, {"node", metric.MemoryWorkingSet, container},
			{"namespace", metric.MemoryWorkingSet, container}, {"pod", metric.MemoryWorkingSet, container}},
		Rows: []Row{
			{Title: "All that is chosen", Height: 5, Panels: []Panel{
				{Draw: Stat, Title: "CPU Usage", Show: []Query{rate(metric.CPUUsage, container).keptAt(metric.Namespace).named("CPU")}},
				{Draw: Stat, Title: "CPU Requests", Show: []Query{last(metric.CPURequest, container).keptAt(metric.Namespace).named("requests")}},
				{Draw: Stat, Title: "Memory Usage", Show: []Query{last(metric.MemoryWorkingSet, container).keptAt(metric.Namespace).named("memory")}},
				{Draw: Stat, Title: "Memory Requests", Show: []Query{last(metric.MemoryRequest, container).keptAt(metric.Namespace).named("requests")}},
				{Draw: Stat, Title: "OOM kills", Show: []Query{total(metric.OOMKills, container).named("OOM kills")}, Bad: 1},
				{Draw: Stat, Title: "Restarts", Show: []Query{total(metric.Restarts, container).named("restarts")}, Warn: 1},
				lacking(),
			}},
			{Title: "CPU", Panels: []Panel{
				{Draw: Stacked, Title: "CPU Usage by namespace", Show: []Query{rate(metric.CPUUsage, container, "namespace").keptAt(metric.Namespace)}},
				{Draw: Lines, Title: "CPU Usage", Show: []Query{rate(metric.CPUUsage, pod, owner...)}, Limits: []Query{last(metric.CPULimit, pod, owner...).named("{{node}} / {{namespace}} / {{pod}} limit")}},
				{Draw: Steps, Title: "Pods that the sums lack", Note: lackingNote, Show: []Query{last(metric.MissingParts, metric.Workload, "namespace")}, Least: 1},
			}},
			{Title: "CPU limits", Panels: []Panel{
				{Draw: Lines, Title: "CPU Usage, share of the limit", Show: []Query{rate(metric.CPUUsage, container, each...).over(metric.CPULimit)}, Warn: 0.8, Bad: 1, Least: 1},
				{Draw: Lines, Title: "CPU Throttling", Note: "The share of the periods in which a container ran that its limit cut short.",
					Show: []Query{rate(metric.CPUThrottledPeriods, container, each...).over(metric.CPUPeriods)}, Warn: 0.25, Least: 0.1},
				{Draw: Lines, Title: "Waiting for a CPU", Show: []Query{rate(metric.CPUWaiting, container, each...)}, Least: 0.1},
			}},
			{Title: "Memory", Panels: []Panel{
				{Draw: Stacked, Title: "Memory Usage by namespace", Show: []Query{avg(metric.MemoryWorkingSet, container, "namespace").keptAt(metric.Namespace)}},
				{Draw: Lines, Title: "Memory Usage (w/o cache)", Show: []Query{avg(metric.MemoryWorkingSet, pod, owner...)}, Limits: []Query{last(metric.MemoryLimit, pod, owner...).named("{{node}} / {{namespace}} / {{pod}} limit")}},
			}},
			{Title: "Memory limits", Panels: []Panel{
				{Draw: Lines, Title: "Memory Usage, share of the limit", Show: []Query{avg(metric.MemoryWorkingSet, container, each...).over(metric.MemoryLimit)}, Warn: 0.8, Bad: 0.95, Least: 1},
				{Draw: Steps, Title: "OOM kills so far", Note: "A step is a kill.", Show: []Query{last(metric.OOMKills, container, each...)}, Least: 1},
				{Draw: Steps, Title: "Restarts so far", Note: "A step is a restart.", Show: []Query{last(metric.Restarts, container, each...)}, Least: 1},
			}},
			{Title: "Network and disk", Panels: []Panel{
				{Draw: Lines, Title: "Receive Bandwidth", Show: []Query{rate(metric.NetworkReceive, pod, owner...)}},
				{Draw: Lines, Title: "Transmit Bandwidth", Show: []Query{rate(metric.NetworkTransmit, pod, owner...)}},
				{Draw: Lines, Title: "Read from disk", Show: []Query{rate(metric.DiskRead, container, each...)}},
				{Draw: Lines, Title: "Written to disk", Show: []Query{rate(metric.DiskWrite, container, each...)}},
			}},
			{Title: "Processes", Folded: true, Panels: []Panel{
				{Draw: Lines, Title: "Processes", Show: []Query{avg(metric.Processes, container, each...)}},
				{Draw: Lines, Title: "Threads", Show: []Query{avg(metric.Threads, container, each...)}},
				{Draw: Lines, Title: "Open file descriptors", Show: []Query{avg(metric.FileDescriptors, container, each...)}},
			}},
			{Title: "All containers", Height: 12, Panels: []Panel{
				{Draw: Table, Title: "Containers", To: "containers", Show: []Query{
					rate(metric.CPUUsage, container, each...).named("CPU Usage"), last(metric.CPURequest, container, each...).named("CPU Requests"), last(metric.CPULimit, container, each...).named("CPU Limits"),
					rate(metric.CPUUsage, container, each...).over(metric.CPULimit).named("CPU Limits %"),
					last(metric.MemoryWorkingSet, container, each...).named("Memory Usage"), last(metric.MemoryRequest, container, each...).named("Memory Requests"), last(metric.MemoryLimit, container, each...).named("Memory Limits"),
					last(metric.MemoryWorkingSet, container, each...).over(metric.MemoryLimit).named("Memory Limits %"),
					total(metric.OOMKills, container, each...).named("OOM kills"), total(metric.Restarts, container, each...).named("Restarts")}},
			}},
		},
	}
}

const lackingNote = "Pods whose CPU or memory is not in the sums beside this, in whole or in part: on a silent machine, not read, or begun anew. Of all machines and pods of what else is chosen. No data: none."

// lacking is the mark that sums carry which lack parts.
func lacking() Panel {
	return Panel{Draw: Stat, Title: "Pods that the sums lack", Note: lackingNote, Show: []Query{last(metric.MissingParts, metric.Workload).named("pods")}, Warn: 1, None: "none"}
}
