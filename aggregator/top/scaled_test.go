package top

import (
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// The cell tells who sets the count where Plimsoll does not, and nothing more of a policy that is not in force.
func TestScaledCell(t *testing.T) {
	looked := new(time.Now())
	f := func(s cluster.Scaled, want string) {
		t.Helper()
		s.Replicas, s.Min, s.Max = 3, new(int32(1)), new(int32(10))
		s.Updated = looked
		if got := scaledCell(&api.Scaled{Scaled: s}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(cluster.Scaled{}, "3 (1-10)")
	f(cluster.Scaled{State: "paused"}, "3 (1-10), paused")
	f(cluster.Scaled{State: "HPA web scales it, dry run"}, "3 (1-10), HPA web scales it, dry run")
	f(cluster.Scaled{State: "ScalePolicy web cannot be used (FailedGetScale)", Gap: &cluster.Gap{Reason: cluster.GapScale}}, "not known (1-10), ScalePolicy web cannot be used (FailedGetScale)")
	f(cluster.Scaled{State: "ScalePolicy web is not in force (InvalidPolicy)", Gap: &cluster.Gap{Reason: cluster.GapPolicy}}, "ScalePolicy web is not in force (InvalidPolicy)")
	failed := cluster.Scaled{Metrics: []cluster.Load{{Name: "queue", Type: "External"}}, Gap: &cluster.Gap{Reason: "target", Detail: "x"}, Last: &cluster.Decision{Reason: "FailedGetExternalMetric"}}
	f(failed, "queue cannot be read (FailedGetExternalMetric), 3 (1-10)")
	failed.Last = &cluster.Decision{Reason: "AllMetricsBelowTarget"}
	f(failed, "queue cannot be read, 3 (1-10)")
	failed.Gap = nil
	f(failed, "queue -/-, 3 (1-10)")
	f(cluster.Scaled{Schedule: "0 8 * * 1-5 UTC", State: "paused"}, "3 (1-10 since 0 8 * * 1-5 UTC), paused")
	f(cluster.Scaled{Metrics: []cluster.Load{{Name: "cpu", Type: "ContainerResource", Container: "web", Load: new(0.32), Target: new(0.6)}, {Name: "cpu", Type: "Resource", Load: new(0.4), Target: new(0.6)}}},
		"cpu of web 32%/60%, cpu 40%/60%, 3 (1-10)")
	looked = nil // not since the start
	f(cluster.Scaled{}, "not known (1-10)")
}
