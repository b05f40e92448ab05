package capacity

import (
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// TestRightsizeOfWhatWaits: a workload whose only replica waits has its row, known from the inventory.
func TestRightsizeOfWhatWaits(t *testing.T) {
	s := emptySnapshot()
	pod := &cluster.Pod{Namespace: "shop", Name: "spin-1", Owner: cluster.Target{Kind: cluster.ProcessService, Namespace: "shop", Name: "spin"}, Phase: "Running",
		Gap: "it exited with status 3", Containers: []cluster.Container{{Name: "spin", Restarts: 4, Requests: cluster.Resources{{Name: "cpu", Milli: 250}, {Name: "memory", Milli: 64000}}}}}
	over := &cluster.Pod{Namespace: "shop", Name: "once-1", Owner: cluster.Target{Kind: "Job", Namespace: "shop", Name: "once"}, Phase: "Succeeded", Containers: pod.Containers}
	s.Known = []live.Known{{Pod: pod}, {Pod: over}}
	r, err := Rightsize(t.Context(), nil, s, nil, RightsizeOptions{Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 1 {
		t.Fatalf("got %d rows: %+v", len(r.Rows), r.Rows)
	}
	got := r.Rows[0]
	if got.Workload != "spin" || got.Container != "spin" || got.Replicas != 1 || got.CPU.Request == nil || *got.CPU.Request != .25 || *got.Memory.Request != 64 ||
		!strings.HasPrefix(got.Reason, "No advice: it takes an hour of data") {
		t.Errorf("got %+v", got)
	}
	if r, err = Rightsize(t.Context(), nil, s, nil, RightsizeOptions{Name: "else"}); err != nil || len(r.Rows) != 0 {
		t.Errorf("another name: got %v %+v", err, r.Rows)
	}
}
