package wiring

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/aggregator/heapster"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// lineQueue collects lines.
type lineQueue struct{ lines []string }

func (q *lineQueue) Append(_ context.Context, lines []byte, _ int) error {
	q.lines = append(q.lines, strings.Split(strings.TrimSuffix(string(lines), "\n"), "\n")...)
	return nil
}

// ship is a machine with one of each of Heapster's kinds, at a moment: counters grow evenly.
func ship(began, now time.Time) *metric.Batch {
	b := &metric.Batch{Node: "n1", Time: now}
	type wares map[metric.ID]map[string]float64
	add := func(e metric.Entity, ws wares) {
		g := metric.Group{Entity: known(e), Start: began}
		for _, id := range slices.Sorted(maps.Keys(ws)) {
			for _, sub := range slices.Sorted(maps.Keys(ws[id])) {
				v := ws[id][sub]
				if metric.Get(id).Kind == metric.Counter && id != metric.Restarts {
					v *= now.Sub(began).Seconds() + 1000
				}
				g.Points = append(g.Points, metric.Point{ID: id, Sub: sub, T: now.UnixMilli(), V: v})
			}
		}
		g.Points = append(g.Points, metric.Point{ID: metric.StartTime, T: now.UnixMilli(), V: float64(began.Unix())})
		b.Groups = append(b.Groups, g)
	}
	one := func(v float64) map[string]float64 { return map[string]float64{"": v} }
	container := func(ns, kind, pod, name, runtime string, ws wares) {
		add(metric.Entity{Level: metric.Container, Node: "n1", Namespace: ns, WorkloadKind: kind, Workload: pod, Pod: pod, Container: name, Runtime: runtime, ID: "/" + ns + "/" + pod + "/" + name}, ws)
	}
	add(metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}, wares{metric.CPUUsage: one(1.5), metric.MemoryUsage: one(4096e6), metric.MemoryWorkingSet: one(3000e6),
		metric.CPUCapacity: one(4), metric.CPUAllocatable: one(4), metric.MemoryCapacity: one(8e9), metric.MemoryAllocatable: one(8e9),
		metric.NetworkReceive: {"eth0": 1000, "docker0": 500, "lo": 7}, metric.DiskRead: {"8:0": 2048}, metric.FilesystemUsage: {"/dev/vda1": 20e9}, metric.MemoryPageFaults: one(50)})
	for i := range 2 {
		container("shop", "Docker", fmt.Sprint("web-", i), "web", "docker", wares{metric.CPUUsage: one(.25), metric.MemoryUsage: one(100e6), metric.MemoryWorkingSet: one(80e6),
			metric.CPURequest: one(.5), metric.MemoryRequest: one(64e6), metric.MemoryLimit: one(128e6), metric.NetworkReceive: {"eth0": 10, "lo": 3}, metric.Restarts: one(2)})
	}
	container("bank", "Docker", "db", "db", "docker", wares{metric.CPUUsage: one(.5), metric.MemoryUsage: one(300e6), metric.DiskWrite: {"8:0": 4096}})
	container("system", "Unit", "ssh.service", "ssh.service", "systemd", wares{metric.CPUUsage: one(.01), metric.MemoryUsage: one(15e6), metric.MemoryLimit: one(50e6)})
	container("cgroup", "Cgroup", "my/batch", "batch", "cgroup", wares{metric.CPUUsage: one(.02), metric.MemoryUsage: one(5e6)})
	container("user", "Unit", "user@1000.service/dbus.service", "dbus.service", "systemd", wares{metric.CPUUsage: one(.03), metric.MemoryUsage: one(4e6)})
	return b
}

// known hands out one pointer for an entity.
func known(e metric.Entity) *metric.Entity {
	if knownEntities[e] == nil {
		knownEntities[e] = &e
	}
	return knownEntities[e]
}

var knownEntities = map[metric.Entity]*metric.Entity{}

// TestHeapsterSchemaIsTheModel: what is written with Heapster's names is what the model API serves: the same things with the same metrics
// of the same values, and no others.
func TestHeapsterSchemaIsTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		picture, err := live.New(live.Options{})
		if err != nil {
			t.Fatal(err)
		}
		queue := &lineQueue{}
		sink, err := influx.NewSink(influx.SinkOptions{Encoder: influx.EncoderOptions{Schema: influx.SchemaHeapster}, Queue: queue})
		if err != nil {
			t.Fatal(err)
		}
		api, err := heapster.New(heapster.Options{Pictures: picture})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		go func() {
			_ = live.RollUps{Picture: picture, History: sink, Gate: cluster.Open{}, Every: 10 * time.Second}.Run(ctx)
		}()
		go func() {
			_ = heapster.Totals{Pictures: picture, To: sink, Gate: cluster.Open{}, Every: 10 * time.Second}.Run(ctx)
		}()
		began := time.Now()
		for range 4 {
			queue.lines = nil
			b := ship(began, time.Now())
			if err := picture.Apply(b); err != nil {
				t.Fatal(err)
			}
			if err := sink.Append(ctx, b); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10*time.Second + time.Millisecond)
			synctest.Wait()
		}
		if d := cmp.Diff(served(t, api), written(t, queue.lines)); d != "" {
			t.Errorf("served by the model -, written +:\n%s", d)
		}
		for key, want := range map[string]string{"cluster memory/usage": "500000000", "node n1 cpu/node_reservation": "0.25", "node n1 memory/usage": "4096000000",
			"node n1 network/rx_rate": "1000", "pod shop/web-0 cpu/usage_rate": "250", "pod_container shop/web-0/web cpu/limit": "0", "ns shop memory/limit": "256000000",
			"sys_container n1//ssh.service memory/usage": "15000000"} {
			if got := written(t, queue.lines)[key]; got != want {
				t.Errorf("%s: got %q, want %s", key, got, want)
			}
		}
	})
}

// written reads lines into values by thing and metric.
func written(t *testing.T, lines []string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, l := range lines {
		parts := strings.Split(l, " ")
		tags := strings.Split(parts[0], ",")
		label := map[string]string{}
		for _, tag := range tags[1:] {
			k, v, _ := strings.Cut(tag, "=")
			label[k] = v
		}
		key := label["type"]
		switch key {
		case "node":
			key += " " + label["nodename"]
		case "sys_container":
			key += " " + label["nodename"] + "//" + label["container_name"]
			if label["namespace_name"]+label["pod_name"] != "" {
				t.Errorf("a system container has a pod: %s", l)
			}
		case "ns":
			key += " " + label["namespace_name"]
		case "pod":
			key += " " + label["namespace_name"] + "/" + label["pod_name"]
		case "pod_container":
			key += " " + label["namespace_name"] + "/" + label["pod_name"] + "/" + label["container_name"]
		}
		key += " " + tags[0]
		if label["resource_id"] != "" {
			key += " of " + label["resource_id"]
		}
		if label["resource_id"] == "" && strings.Contains(tags[0], "uptime") {
			continue // it grows between the two
		}
		value := strings.TrimSuffix(strings.TrimPrefix(parts[1], "value="), "i")
		if old, ok := out[key]; ok && old != value {
			t.Errorf("%s is written as %s and %s", key, old, value)
		}
		out[key] = value
	}
	return out
}

// served asks the model for all there is.
func served(t *testing.T, api *heapster.API) map[string]string {
	t.Helper()
	route := api.Routes()[0]
	ask := func(path string, to any) {
		t.Helper()
		req, rec := httptest.NewRequest("GET", "/api/v1/model/"+path, nil), httptest.NewRecorder()
		if err := route.Handle(rec, req); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := json.Unmarshal(rec.Body.Bytes(), to); err != nil {
			t.Fatal(err)
		}
	}
	list := func(path string) (out []string) {
		t.Helper()
		ask(path, &out)
		return out
	}
	out := map[string]string{}
	metrics := func(key, path string) {
		t.Helper()
		for _, name := range list(path + "metrics") {
			if name == "uptime" {
				continue
			}
			for _, resource := range []string{"", "8:0", "/dev/vda1"} {
				var s heapster.Series
				query := ""
				if resource != "" {
					query = "?labels=resource_id:" + url.QueryEscape(resource)
				}
				ask(path+"metrics/"+name+query, &s)
				if len(s.Metrics) == 0 {
					continue
				}
				last := s.Metrics[len(s.Metrics)-1]
				value := fmt.Sprint(last.Value)
				if last.FloatValue != nil && name != "cpu/usage_rate" {
					value = fmt.Sprint(*last.FloatValue)
				}
				if resource != "" {
					name += " of " + resource
				}
				out[key+" "+name] = value
				break
			}
		}
	}
	metrics("cluster", "")
	for _, n := range list("nodes") {
		metrics("node "+n, "nodes/"+n+"/")
		for _, c := range list("nodes/" + n + "/freecontainers") {
			metrics("sys_container "+n+"//"+c, "nodes/"+n+"/freecontainers/"+url.PathEscape(c)+"/")
		}
	}
	for _, ns := range list("namespaces") {
		metrics("ns "+ns, "namespaces/"+ns+"/")
		for _, p := range list("namespaces/" + ns + "/pods") {
			metrics("pod "+ns+"/"+p, "namespaces/"+ns+"/pods/"+p+"/")
			for _, c := range list("namespaces/" + ns + "/pods/" + p + "/containers") {
				metrics("pod_container "+ns+"/"+p+"/"+c, "namespaces/"+ns+"/pods/"+p+"/containers/"+c+"/")
			}
		}
	}
	return out
}
