package grafana

import "plimsoll.dev/plimsoll/internal/metric"

// autoscaling shows what the autoscaler saw and did.
func autoscaling() Board {
	const workload = metric.Workload
	each := []string{"namespace", "workload"}
	says := func(what string) string { return "{{namespace}} / {{workload}} " + what }
	return Board{
		Name: "autoscaling", Title: "Autoscaling", About: "What the autoscaler saw, asked for and got. 'plimsoll explain NAMESPACE/NAME' says why.",
		Vars:      []Var{{"cluster", metric.ReplicasDesired, workload}, {"namespace", metric.ReplicasDesired, workload}, {"workload", metric.ReplicasDesired, workload}},
		Decisions: true,
		Rows: []Row{
			{Title: "Now", Height: 5, Panels: []Panel{
				{Draw: Stat, Title: "Replicas asked for", Show: []Query{last(metric.ReplicasDesired, workload, each...)}},
				{Draw: Stat, Title: "Replicas ready", Show: []Query{last(metric.ReplicasReady, workload, each...)}},
				{Draw: Stat, Title: "Load of the line", Note: "1 is the load that the policy asks for.", Show: []Query{last(metric.ScaleLoad, workload, each...).over(metric.ScaleTarget)}, Warn: 1.1, Bad: 1.5},
				{Draw: Bars, Title: "Of the most replicas", Note: "At 100 % the autoscaler can add no more.", Show: []Query{last(metric.ReplicasDesired, workload, each...).over(metric.ReplicasMax)}, Warn: 0.8, Bad: 1},
			}},
			{Title: "Replicas", Height: 10, Panels: []Panel{
				{Draw: Steps, Title: "Replicas", Note: "A vertical line is a decision to change the count.", Show: []Query{
					last(metric.ReplicasDesired, workload, each...).named(says("asked for")), last(metric.Replicas, workload, each...).named(says("exist")), last(metric.ReplicasReady, workload, each...).named(says("ready"))},
					Limits: []Query{last(metric.ReplicasMin, workload, each...).named(says("fewest")), last(metric.ReplicasMax, workload, each...).named(says("most"))}},
				{Draw: Lines, Title: "Load and the line", Note: "Of several metrics, the largest. The dashed line is the load that the policy asks for.",
					Show:   []Query{avg(metric.ScaleLoad, workload, each...).named(says("load"))},
					Limits: []Query{last(metric.ScaleTarget, workload, each...).named(says("line"))}},
			}},
			{Title: "What the workloads use", Panels: []Panel{
				{Draw: Lines, Title: "CPU Usage", Show: []Query{rate(metric.CPUUsage, workload, each...)}, Limits: []Query{last(metric.CPURequest, workload, each...).named(says("requests"))}},
				{Draw: Lines, Title: "Memory Usage", Show: []Query{avg(metric.MemoryWorkingSet, workload, each...)}, Limits: []Query{last(metric.MemoryRequest, workload, each...).named(says("requests"))}},
				{Draw: Lines, Title: "CPU Throttling", Note: "Seconds in which tasks were held back, in each second, all replicas together.", Show: []Query{rate(metric.CPUThrottled, workload, each...)}, Least: 0.1},
				{Draw: Steps, Title: "Pods that the sums lack", Note: lackingNote, Show: []Query{last(metric.MissingParts, workload, each...)}, Least: 1},
			}},
			{Title: "All targets", Panels: []Panel{
				{Draw: Table, Title: "Targets", To: "autoscaling", Show: []Query{
					last(metric.ReplicasDesired, workload, each...).named("Asked for"), last(metric.Replicas, workload, each...).named("Exist"), last(metric.ReplicasReady, workload, each...).named("Ready"),
					last(metric.ReplicasMin, workload, each...).named("Fewest"), last(metric.ReplicasMax, workload, each...).named("Most"),
					last(metric.ScaleLoad, workload, each...).named("Load"), last(metric.ScaleTarget, workload, each...).named("Line"),
					last(metric.MissingParts, workload, each...).named("Pods that the sums lack")}},
			}},
		},
	}
}
