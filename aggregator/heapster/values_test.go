package heapster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// said is a group of gauges, or of counters that have grown for a second.
type said map[metric.ID]float64

// twice are two batches of a node, a second apart, the second at now: counters grow by their value.
func twice(now time.Time, node string, groups map[*metric.Entity]said) (out []*metric.Batch) {
	for i := range 2 {
		b := &metric.Batch{Node: node, Time: now.Add(time.Duration(i-1) * time.Second)}
		for e, values := range groups {
			g := metric.Group{Entity: e}
			for id, v := range values {
				if metric.Get(id).Kind == metric.Counter {
					v = 1000 + float64(i)*v
				}
				g.Points = append(g.Points, metric.Point{ID: id, T: b.Time.UnixMilli(), V: v})
			}
			b.Groups = append(b.Groups, g)
		}
		out = append(out, b)
	}
	return out
}

// kubelet is a container of pod shop/front-1 as a kubelet's machine sends it, and the pod.
func kubelet() (container, pod *metric.Entity) {
	pod = &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "front", Pod: "front-1", ID: "/kubepods/pod1"}
	c := *pod
	c.Level, c.Container, c.ID = metric.Container, "app", "/kubepods/pod1/c1"
	return &c, pod
}

// newest returns the newest value of a series of the model, "-" where there is none.
func newest(t *testing.T, a *API, path string) string {
	t.Helper()
	rec := get(mount(a), modelBase+path)
	var s Series
	if err := json.Unmarshal(rec.Body.Bytes(), &s); err != nil || rec.Code != 200 {
		t.Fatalf("%s: got %d %s", path, rec.Code, rec.Body)
	}
	if len(s.Metrics) == 0 {
		return "-"
	}
	p := s.Metrics[len(s.Metrics)-1]
	if p.FloatValue != nil {
		return fmt.Sprint(*p.FloatValue)
	}
	return fmt.Sprint(p.Value)
}

func wantNewest(t *testing.T, a *API, want map[string]string) {
	t.Helper()
	for path, v := range want {
		if got := newest(t, a, path); got != v {
			t.Errorf("%s: got %s, want %s", path, got, v)
		}
	}
}

func modelOf(t *testing.T, pods cluster.Inventory, now time.Time, batches ...*metric.Batch) *API {
	t.Helper()
	a, err := New(Options{Pictures: fixed{shown(pods, now, batches...)}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What is sent of a pod itself is the pod's, and counts in what the pod is part of; what is not is the sum of its containers.
func TestPodOfItsOwn(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	c, pod := kubelet()
	lone := *pod // of which no container is read
	lone.Pod, lone.ID = "front-2", "/kubepods/pod2"
	a := modelOf(t, nil, now, twice(now, "n1", map[*metric.Entity]said{
		c:     {metric.CPUUsage: .25, metric.MemoryUsage: 100},
		pod:   {metric.MemoryUsage: 130, metric.NetworkReceive: 500, metric.NetworkTransmit: 70},
		&lone: {metric.MemoryUsage: 7, metric.NetworkReceive: 3},
	})...)
	wantNewest(t, a, map[string]string{
		"namespaces/shop/pods/front-1/metrics/memory/usage":                "130",
		"namespaces/shop/pods/front-1/metrics/network/rx":                  "1500",
		"namespaces/shop/pods/front-1/metrics/network/rx_rate":             "500",
		"namespaces/shop/pods/front-1/metrics/network/tx_rate":             "70",
		"namespaces/shop/pods/front-1/metrics/cpu/usage":                   "1000250000000",
		"namespaces/shop/pods/front-1/metrics/cpu/usage_rate":              "250",
		"namespaces/shop/pods/front-1/containers/app/metrics/memory/usage": "100",
		"namespaces/shop/pods/front-2/metrics/memory/usage":                "7",
		"namespaces/shop/pods/front-2/metrics/network/rx_rate":             "3",
		"namespaces/shop/metrics/memory/usage":                             "137",
		"namespaces/shop/metrics/cpu/usage_rate":                           "250",
		"metrics/memory/usage":                                             "137",
	})
	for path, want := range map[string]string{"namespaces/shop/pods": `["front-1","front-2"]`, "namespaces/shop/pods/front-2/containers": "[]",
		"debug/allkeys": `["cluster","namespace:shop","namespace:shop/pod:front-1","namespace:shop/pod:front-1/container:app","namespace:shop/pod:front-2"]`} {
		if got := strings.TrimSpace(get(mount(a), modelBase+path).Body.String()); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if body := get(mount(a), "/api/v1/metric-export").Body.String(); strings.Count(body, `"container_name":"/pod"`) != 2 || strings.Count(body, `"container_name":"app"`) != 1 {
		t.Errorf("the export is %s", body)
	}
}

// The same from the history.
func TestPodOfItsOwnInThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		c, pod := kubelet()
		r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
			for i := range 13 {
				at := now.Add(time.Duration(i-12) * 10 * time.Second)
				add(c, at, metric.MemoryUsage, 100)
				add(c, at, metric.CPUUsage, float64(i)*2.5)
				add(c, at, metric.StartTime, 1)
				if i != 6 { // which the reader of pods missed
					add(pod, at, metric.MemoryUsage, 130)
				}
				add(pod, at, metric.NetworkReceive, float64(i)*5000)
			}
		})
		defer r.close(t)
		const span = "?start=1999-12-31T23:58:50Z&end=1999-12-31T23:59:20Z"
		for path, want := range map[string]string{
			"namespaces/shop/pods/front-1/metrics/memory/usage":                "130 100 130 130",
			"namespaces/shop/pods/front-1/metrics/network/rx_rate":             "500 500 500 500",
			"namespaces/shop/pods/front-1/metrics/network/rx":                  "25000 30000 35000 40000",
			"namespaces/shop/pods/front-1/metrics/cpu/usage":                   "12500000000 15000000000 17500000000 20000000000",
			"namespaces/shop/pods/front-1/metrics/cpu/usage_rate":              "250 250 250 250",
			"namespaces/shop/pods/front-1/containers/app/metrics/memory/usage": "100 100 100 100",
		} {
			if got := values(ask1[Series](t, r, historyBase+path+span)); got != want {
				t.Errorf("%s: got %s, want %s", path, got, want)
			}
		}
		names := strings.Join(ask1[[]string](t, r, historyBase+"namespaces/shop/pods/front-1/metrics"), " ")
		if !strings.Contains(names, "network/rx network/rx_rate") || !strings.Contains(names, "cpu/limit") {
			t.Errorf("the pod's metrics are %s", names)
		}
	})
}

func values(s Series) string {
	var out []string
	for _, p := range s.Metrics {
		out = append(out, fmt.Sprint(p.Value))
	}
	return strings.Join(out, " ")
}

// A request or limit that is not set is 0, now and before; without a pod there is none.
func TestNoLimitIsZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		c, _ := kubelet()
		unit := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "system", WorkloadKind: "Unit", Workload: "ssh", Pod: "ssh", Container: "ssh", ID: "/ssh"}
		n1, n2 := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}, &metric.Entity{Level: metric.Node, Node: "n2", ID: "/"}
		fresh := *c // of which no full reading came yet
		fresh.Namespace, fresh.Pod, fresh.ID = "new", "new-1", "/kubepods/new"
		batches := append(twice(now, "n1", map[*metric.Entity]said{n1: {metric.CPUUsage: 1, metric.CPUAllocatable: 4}, c: {metric.CPUUsage: .25, metric.MemoryLimit: 64, metric.StartTime: 1}, unit: {metric.CPUUsage: .1, metric.StartTime: 1}, &fresh: {metric.CPUUsage: .1}}),
			twice(now, "n2", map[*metric.Entity]said{n2: {metric.CPUUsage: 1, metric.CPUAllocatable: 4}})...)
		wantNewest(t, modelOf(t, nil, now, batches...), map[string]string{
			"namespaces/shop/pods/front-1/containers/app/metrics/cpu/limit":    "0",
			"namespaces/shop/pods/front-1/containers/app/metrics/memory/limit": "64",
			"namespaces/shop/pods/front-1/metrics/cpu/request":                 "0",
			"namespaces/shop/metrics/cpu/limit":                                "0",
			"metrics/memory/request":                                           "0",
			"nodes/n1/metrics/cpu/request":                                     "0",
			"nodes/n1/metrics/cpu/node_reservation":                            "0",
			"nodes/n2/metrics/cpu/request":                                     "-",
			"nodes/n1/freecontainers/ssh/metrics/cpu/limit":                    "-",
			"namespaces/nope/metrics/cpu/limit":                                "-",
			"namespaces/new/pods/new-1/metrics/cpu/limit":                      "-",
			"namespaces/shop/pods/nope/metrics/cpu/limit":                      "-",
		})
		r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
			for i := range 7 {
				at := now.Add(time.Duration(i-6) * 10 * time.Second)
				add(c, at, metric.StartTime, 1)
				if i > 3 {
					add(c, at, metric.CPULimit, 2)
				}
			}
		})
		defer r.close(t)
		const span = "?start=1999-12-31T23:59:20Z&end=2000-01-01T00:00:00Z"
		for path, want := range map[string]string{
			"namespaces/shop/pods/front-1/containers/app/metrics/cpu/limit": "0 0 2000 2000 2000",
			"namespaces/shop/metrics/cpu/limit":                             "0 0 2000 2000 2000",
			"namespaces/shop/metrics/cpu/request":                           "0 0 0 0 0",
			"namespaces/nope/metrics/cpu/request":                           "",
		} {
			if got := values(ask1[Series](t, r, historyBase+path+span)); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
		}
	})
}

// A machine of which nothing may be allocated has no utilization; one that does not say what may be is measured by its capacity.
func TestNothingAllocatable(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	n1, n2 := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}, &metric.Entity{Level: metric.Node, Node: "n2", ID: "/"}
	batches := append(twice(now, "n1", map[*metric.Entity]said{n1: {metric.CPUUsage: 1, metric.CPUCapacity: 4, metric.CPUAllocatable: 0}}),
		twice(now, "n2", map[*metric.Entity]said{n2: {metric.CPUUsage: 1, metric.CPUCapacity: 4}})...)
	wantNewest(t, modelOf(t, nil, now, batches...), map[string]string{
		"nodes/n1/metrics/cpu/node_utilization": "-",
		"nodes/n2/metrics/cpu/node_utilization": "0.25",
		"nodes/n1/metrics/cpu/node_allocatable": "0",
	})
}

// A machine that is only named by what runs on it is none: nothing is known of it, and what its containers use is not what it uses. Nor is
// what a machine does not say of itself.
func TestNodeThatIsOnlyNamed(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	c, _ := kubelet()
	n2 := &metric.Entity{Level: metric.Node, Node: "n2", ID: "/"}
	other := *c
	other.Node, other.Pod, other.ID = "n2", "front-9", "/kubepods/pod9/c"
	batches := append(twice(now, "n1", map[*metric.Entity]said{c: {metric.CPUUsage: .25, metric.MemoryUsage: 100}}),
		twice(now, "n2", map[*metric.Entity]said{n2: {metric.CPUUsage: 1, metric.CPUCapacity: 4}, &other: {metric.CPUUsage: .5, metric.MemoryUsage: 3, metric.DiskWrite: 9, metric.StartTime: 1}})...)
	a := modelOf(t, nil, now, batches...)
	for path, want := range map[string]string{"nodes": `["n2"]`, "nodes/n1/metrics": "[]", "nodes/n2/metrics/memory/usage": `{"metrics":[],"latestTimestamp":"0001-01-01T00:00:00Z"}`,
		"nodes/n2/metrics": `["cpu/limit","cpu/node_capacity","cpu/node_reservation","cpu/node_utilization","cpu/request","cpu/usage","cpu/usage_rate","memory/limit","memory/request"]`,
		"debug/allkeys":    `["cluster","namespace:shop","namespace:shop/pod:front-1","namespace:shop/pod:front-1/container:app","namespace:shop/pod:front-9","namespace:shop/pod:front-9/container:app","node:n2"]`} {
		if got := strings.TrimSpace(get(mount(a), modelBase+path).Body.String()); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if body := get(mount(a), "/api/v1/metric-export").Body.String(); strings.Count(body, `"machine"`) != 1 {
		t.Errorf("the export is %s", body)
	}
	// What is kept of it is the sum of what runs on it.
	a, err := New(Options{Pictures: fixed{shown(nil, now, batches...)}, History: sumsOfNodes{"n1", "n2"}})
	if err != nil {
		t.Fatal(err)
	}
	h := mount(a)
	start := "?start=" + now.Add(-time.Minute).UTC().Format(time.RFC3339)
	for path, want := range map[string]string{
		modelBase + "nodes/n1/metrics/cpu/usage_rate":           `{"metrics":[],"latestTimestamp":"0001-01-01T00:00:00Z"}`,
		historyBase + "nodes" + start:                           `["n2"]`,
		historyBase + "nodes/n1/metrics" + start:                `[]`,
		historyBase + "nodes/n1/metrics/cpu/usage_rate" + start: `{"metrics":[],"latestTimestamp":"0001-01-01T00:00:00Z"}`,
		historyBase + "nodes/n1/metrics-aggregated/average/cpu/usage_rate" + start + "&end=" + now.UTC().Format(time.RFC3339): `{"buckets":[],"bucketSize":60000000000}`,
	} {
		if got := strings.TrimSpace(get(h, path).Body.String()); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// sumsOfNodes is a history of nodes, with one value of whatever is asked.
type sumsOfNodes []string

func (s sumsOfNodes) Query(_ context.Context, q store.Query) (out []store.Series, err error) {
	for _, name := range s {
		out = append(out, store.Series{Labels: []metric.Label{{Name: "node", Value: name}}, Samples: []store.Sample{{T: q.End.UnixMilli(), V: 1}}})
	}
	return out, nil
}

// Each sample is one point, however far apart they are.
func TestSamplesAreNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
			add(web("web", "/a"), now.Add(-60*time.Second), metric.MemoryUsage, 40)
			add(web("web", "/a"), now.Add(-20*time.Second), metric.MemoryUsage, 20)
		})
		defer r.close(t)
		const path = "namespaces/demo/pods/web-1/metrics/memory/usage?start=1999-12-31T23:58:00Z&end=2000-01-01T00:00:00Z"
		for _, base := range []string{modelBase, historyBase} {
			if got := values(ask1[Series](t, r, base+path)); got != "40 20" {
				t.Errorf("%s: got %q, want 40 20", base, got)
			}
		}
	})
}

// A range that begins long before the data is cut to where the data begins, and so has its steps.
func TestStartBeforeTheData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
			for i := range 241 { // 40 minutes
				at := now.Add(time.Duration(i-240) * 10 * time.Second)
				add(web("web", "/a"), at, metric.MemoryUsage, float64(100+i))
				add(web("web", "/a"), at, metric.CPUUsage, float64(i)*5)
			}
		})
		defer r.close(t)
		for _, start := range []string{"1970-01-01T00:00:00Z", "1999-12-20T00:00:00Z", "1999-12-31T23:00:00Z", "1970-01-01T00:00:00Z&end=9999-12-31T23:59:59Z", "0001-01-02T00:00:00Z&end=2000-01-01T00:00:00Z"} {
			pod := historyBase + "namespaces/demo/pods/web-1/"
			if s := ask1[Series](t, r, pod+"metrics/memory/usage?start="+start); len(s.Metrics) != 241 || s.Metrics[0].Value != 100 || s.Metrics[240].Value != 340 {
				t.Errorf("from %s: %d points, %s", start, len(s.Metrics), values(s))
			}
			if s := ask1[Series](t, r, pod+"metrics/cpu/usage_rate?start="+start); len(s.Metrics) < 239 || s.Metrics[100].Value != 500 {
				t.Errorf("from %s: %d rates, %s", start, len(s.Metrics), values(s))
			}
			got := ask1[Aggregate](t, r, pod+"metrics-aggregated/average,count,95-perc,min/memory/usage?start="+start)
			if b := got.Buckets; len(b) != 1 || *b[0].Count < 240 || num(*b[0].Average) < 219 || num(*b[0].Average) > 221 || num(b[0].Percentiles["95"]) < 327 || num(b[0].Percentiles["95"]) > 329 {
				t.Errorf("from %s: %+v", start, got)
			}
		}
	})
}

// Times are milliseconds, of uptime too.
func TestTimesAreMilliseconds(t *testing.T) {
	now := time.Now().Truncate(time.Second).Add(123456789 * time.Nanosecond)
	c, _ := kubelet()
	a := modelOf(t, nil, now, twice(now, "n1", map[*metric.Entity]said{c: {metric.CPUUsage: .25, metric.StartTime: float64(now.Add(-time.Hour).Unix())}})...)
	for _, m := range []string{"uptime", "cpu/usage"} {
		rec := get(mount(a), modelBase+"namespaces/shop/pods/front-1/metrics/"+m+"?end="+now.Add(time.Minute).UTC().Format(time.RFC3339))
		if want := now.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano); !strings.Contains(rec.Body.String(), `"timestamp":"`+want+`"`) {
			t.Errorf("%s: got %s", m, rec.Body)
		}
	}
}

// A pod's id is its UID, and its labels are told, where the inventory knows them.
func TestPodID(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	c, _ := kubelet()
	r := moved(t, now, func(add func(*metric.Entity, time.Time, metric.ID, float64)) {
		add(c, now.Add(-20*time.Second), metric.MemoryUsage, 40)
	})
	defer r.close(t)
	r.api.opts.Pictures = fixed{shown(pods{{UID: "1", Node: "n1", Namespace: "shop", Name: "front-1", Labels: map[string]string{"tier": "front", "app": "shop"}}}, now, twice(now, "n1", map[*metric.Entity]said{c: {metric.CPUUsage: .25}})...)}
	if body := get(r, "/api/v1/metric-export").Body.String(); strings.Count(body, `"pod_id":"1"`) != 2 || strings.Count(body, `"labels":"app:shop,tier:front"`) != 2 {
		t.Errorf("the export is %s", body)
	}
	q := "?start=" + now.Add(-time.Minute).UTC().Format(time.RFC3339)
	if got := values(ask1[Series](t, r, historyBase+"pod-id/1/metrics/memory/usage"+q)); got != "40" {
		t.Errorf("by its UID: got %q", got)
	}
	if got := values(ask1[Series](t, r, historyBase+"pod-id/shop.front-1/metrics/memory/usage"+q)); got != "" {
		t.Errorf("by its names: got %q", got)
	}
}

// pods is an Inventory of a list.
type pods []*cluster.Pod

func (p pods) All() []*cluster.Pod                         { return p }
func (p pods) Pods(cluster.Target) ([]*cluster.Pod, error) { return p, nil }
