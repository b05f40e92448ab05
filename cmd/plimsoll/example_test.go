package main

import (
	"encoding/json"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
)

// The policy that the page shows to start from runs as it stands.
func TestThePagesExampleRuns(t *testing.T) {
	r := startRun(t, "--data", t.TempDir(), "--policies", "../../dashboards/web/src/example.yaml")
	env := map[string]string{"PLIMSOLL_SERVER": r.url}
	until(t, "two replicas are ready", 30*time.Second, func() bool {
		var list api.WorkloadList
		if json.Unmarshal([]byte(call(t, env, "", "top", "workloads", "-n", "shop", "-o", "json").out), &list) != nil || len(list.Items) != 1 {
			return false
		}
		s := list.Items[0].Scaled
		return s != nil && s.Name == "web" && s.Ready == 2
	})
}
