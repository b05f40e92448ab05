package heapster

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
)

// Pods of one name on two machines are their sum, now as before, and a pod that moved is never two. The export has each.
func TestOneNameOnTwoMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		one := func(node, pod string) *metric.Entity {
			return &metric.Entity{Level: metric.Container, Node: node, Namespace: "demo", WorkloadKind: "ProcessService", Workload: "web", Pod: pod, Container: "app", ID: "/" + pod}
		}
		a, b, before, after := one("n1", "w-0"), one("n2", "w-0"), one("n1", "db-0"), one("n2", "db-0")
		r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
			use := func(e *metric.Entity, i int, late time.Duration, cpu, memory float64) {
				at := now.Add(time.Duration(i-180)*10*time.Second - late)
				add(e, at, metric.CPUUsage, 100+float64(i)*10*cpu)
				add(e, at, metric.MemoryWorkingSet, memory)
			}
			for i := range 181 { // half an hour
				use(a, i, 4*time.Second, .2, 100)
				use(b, i, time.Second, .7, 37)
				if i < 145 {
					use(before, i, 4*time.Second, .5, 500)
				} else {
					use(after, i, time.Second, .5, 500)
				}
			}
		})
		defer r.close(t)
		r.api.opts.Pictures = fixed{shown(nil, now, append(twice(now, "n1", map[*metric.Entity]said{a: {metric.CPUUsage: .2, metric.MemoryWorkingSet: 100}}),
			twice(now, "n2", map[*metric.Entity]said{b: {metric.CPUUsage: .7, metric.MemoryWorkingSet: 37}, after: {metric.CPUUsage: .5, metric.MemoryWorkingSet: 500}})...)...)}
		for path, want := range map[string]uint64{
			"w-0/metrics/cpu/usage_rate": 900, "w-0/containers/app/metrics/cpu/usage_rate": 900, "w-0/metrics/memory/working_set": 137, "w-0/containers/app/metrics/memory/working_set": 137,
			"db-0/metrics/cpu/usage_rate": 500, "db-0/metrics/memory/working_set": 500, "db-0/containers/app/metrics/memory/working_set": 500,
		} {
			for _, base := range []string{modelBase, historyBase} {
				s := ask1[Series](t, r, base+"namespaces/demo/pods/"+path+"?start="+now.Add(-14*time.Minute).UTC().Format(time.RFC3339))
				if len(s.Metrics) < 80 || slices.ContainsFunc(s.Metrics, func(p Point) bool { return p.Value < want-1 || p.Value > want+1 }) {
					t.Errorf("%s%s: got %s, want %d", base, path, values(s), want)
				}
			}
		}
		for path, want := range map[string]float64{"w-0/metrics-aggregated/%s/cpu/usage_rate": 900, "w-0/metrics-aggregated/%s/memory/working_set": 137,
			"db-0/metrics-aggregated/%s/cpu/usage_rate": 500, "db-0/metrics-aggregated/%s/memory/working_set": 500} {
			got := ask1[Aggregate](t, r, historyBase+"namespaces/demo/pods/"+fmt.Sprintf(path, "average,max,min,95-perc")+"?start="+now.Add(-25*time.Minute).UTC().Format(time.RFC3339)).Buckets
			if len(got) != 1 {
				t.Fatalf("%s: got %v", path, got)
			}
			for _, x := range []Number{*got[0].Average, *got[0].Maximum, *got[0].Minimum, got[0].Percentiles["95"]} {
				if v := num(x); v < want-1 || v > want+1 {
					t.Errorf("%s: got %g, want %g", path, v, want)
				}
			}
		}
		var got []string
		for _, x := range ask1[[]Exported](t, r, "/api/v1/metric-export") {
			got = append(got, fmt.Sprint(x.Labels["pod_name"], x.Labels["container_name"], " ", x.Labels["hostname"], " ", x.Metrics["memory/working_set"][0].Value))
		}
		if d := cmp.Diff([]string{"db-0/pod n2 500", "db-0app n2 500", "w-0/pod n1 100", "w-0app n1 100", "w-0/pod n2 37", "w-0app n2 37"}, got); d != "" {
			t.Errorf("exported: want -, got +:\n%s", d)
		}
	})
}

// What two such pods of several containers say of themselves counts once each, in whatever order their containers come.
func TestTwinsOfSeveralContainers(t *testing.T) {
	var own metric.Set
	own.Add(metric.CPURequest)
	var twins, items []*live.Item
	for _, node := range []string{"n1", "n2"} {
		twins = append(twins, &live.Item{Entity: &metric.Entity{Level: metric.Pod, Node: node, Namespace: "demo", Pod: "w-0"}, Own: own, Values: []live.Value{{ID: metric.CPURequest, V: 1}}})
	}
	for _, name := range []string{"app", "log"} { // as in the picture: by namespace, pod, container, node
		for _, p := range twins {
			items = append(items, &live.Item{Entity: &metric.Entity{Level: metric.Container, Node: p.Entity.Node, Namespace: "demo", Pod: "w-0", Container: name}, Parent: p})
		}
	}
	if got := sums(&model.Metric{Row: metric.CPURequest}, items, model.Namespace)[""].v; got != 2 {
		t.Errorf("got %g cores requested, want 2", got)
	}
}
