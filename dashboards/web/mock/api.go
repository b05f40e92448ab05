package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func stamp(t float64) string { return time.UnixMilli(int64(t * 1000)).UTC().Format(time.RFC3339Nano) }

func answer(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(v)
}

func (w *world) serveOverview(rw http.ResponseWriter, r *http.Request) {
	answer(rw, w.overview(w.now(), r.URL.Query().Get("q"), limit(r)))
}

func (w *world) serveContainers(rw http.ResponseWriter, r *http.Request) {
	t, q := w.now(), r.URL.Query()
	rows, total := w.rows(t, q.Get("q"), q.Get("sort"))
	answer(rw, map[string]any{"schema": "plimsoll.dev/containers/v1", "time": stamp(t), "total": total, "found": len(rows), "items": rows[:min(len(rows), limit(r))]})
}

func (w *world) serveDecisions(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	start, err := time.Parse(time.RFC3339, q.Get("start"))
	end, err2 := time.Parse(time.RFC3339, q.Get("end"))
	out := []map[string]any{}
	if from := max(unix(start), float64(w.oldest())); err == nil && err2 == nil && q.Get("name") == "web" && w.boxes != nil {
		out = append(out, decisions(from, min(unix(end), w.now()))...)
	}
	answer(rw, map[string]any{"schema": "plimsoll.dev/decisions/v1", "items": out[:min(len(out), limit(r))]})
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (w *world) serveWorkload(rw http.ResponseWriter, r *http.Request) {
	v := w.workloadOf(r.PathValue("ns"), r.PathValue("kind"), r.PathValue("name"), w.now())
	if v == nil {
		rw.WriteHeader(http.StatusNotFound)
		answer(rw, map[string]any{"schema": "plimsoll.dev/error/v1", "status": 404, "error": fmt.Sprintf("there is no workload %q", r.PathValue("name"))})
		return
	}
	answer(rw, v)
}

// serveStream sends an overview every second, and what else was asked for.
func (w *world) serveStream(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("Cache-Control", "no-store")
	send := func(name string, v any) {
		b, _ := json.Marshal(v)
		fmt.Fprintf(rw, "event: %s\ndata: %s\n\n", name, b)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := w.now()
	for {
		now := w.now()
		send("overview", w.overview(now, "", limit(r)))
		for _, d := range decisions(last, now) {
			send("decision", d)
		}
		last = now
		if http.NewResponseController(rw).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

func limit(r *http.Request) int {
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n > 0 {
		return n
	}
	return 10000
}

func (w *world) overview(t float64, q string, most int) map[string]any {
	all := w.all(t)
	rows, _ := w.rows(t, q, "")
	node := w.node(t, all)
	scaled := []any{}
	if w.boxes != nil {
		scaled = []any{w.resize(t), w.web(t), w.checkout(t)}
	}
	out := map[string]any{
		"schema": "plimsoll.dev/overview/v1", "time": stamp(t), "version": "0.1.0", "since": stamp(float64(w.since.UnixMilli()) / 1000),
		"interval": 1, "node": node, "nodes": []any{node}, "totalNodes": 1, "scaled": scaled, "containers": rows[:min(len(rows), most)], "total": len(all), "found": len(rows), "conditions": w.conditions(),
	}
	if w.scene == "part" {
		out["autoscaler"], out["limited"] = "on", true
	}
	if w.scene == "cluster" {
		out["autoscaler"], node["status"] = "on", "Ready,DiskPressure"
		node["netReceive"], node["netTransmit"] = 51e3, 10.4e3 // most stays on the machine
		away := map[string]any{"name": "node-8", "status": "NotReady", "cores": 2, "memory": 23.4 * (1 << 30), "diskDevice": "", "busiest": "", "containers": 1,
			"gap": map[string]any{"since": stamp(t - 90), "reason": "silent", "detail": "no sample for 1m30s"}}
		for _, k := range []string{"cpu", "workingSet", "swap", "load1", "cpuPressure", "memoryPressure", "ioPressure", "diskRead", "diskWrite", "diskFree", "diskSize", "netReceive", "netTransmit", "netErrors"} {
			away[k] = nil
		}
		sum := maps.Clone(node)
		sum["name"], sum["partial"], sum["parts"] = "2 machines", []string{"cpu", "workingSet"}, map[string]any{"counted": 1, "of": 2, "unit": "machines"}
		out["node"], out["nodes"], out["totalNodes"] = sum, []any{node, away}, 2
	}
	return out
}

// rows are the containers that a search finds, by name or with the largest of something first.
func (w *world) rows(t float64, q, by string) (rows []map[string]any, total int) {
	rows = []map[string]any{}
	all := w.all(t)
	for _, b := range all {
		text := b.title + " " + b.image + " " + b.ns + " " + b.pod + " " + b.name + " node-7"
		if !slices.ContainsFunc(strings.Fields(q), func(word string) bool { return !strings.Contains(text, word) }) {
			rows = append(rows, w.row(b, t))
		}
	}
	key := cmp.Or(map[string]string{"memory": "workingSet", "oom": "oomKills"}[by], by, "score")
	value := func(r map[string]any) float64 { v, _ := r[key].(float64); return v }
	slices.SortStableFunc(rows, func(a, b map[string]any) int {
		if by == "name" {
			return strings.Compare(a["title"].(string), b["title"].(string))
		}
		return cmp.Compare(value(b), value(a))
	})
	return rows, len(all)
}

func (w *world) conditions() []any {
	if w.scene != "ill" {
		return []any{}
	}
	return []any{map[string]any{"type": "HistoryWritable", "status": "False", "reason": "DiskFull",
		"message": "The history cannot be written: no space is left in ./plimsoll-data. The live picture goes on.", "since": stamp(w.now() - 190)}}
}

func (w *world) node(t float64, all []box) map[string]any {
	get := func(name string) any { return w.sum("node_"+name, all, t) }
	busiest, most := "", 0.0
	for _, b := range all {
		if v := *b.orZero(t); v > most {
			busiest, most = b.title, v
		}
	}
	return map[string]any{
		"name": "node-7", "cores": 2, "memory": 23.4 * (1 << 30), "cpu": min(2, w.sum("node_cpu_usage_seconds_total", all, t)),
		"workingSet": get("memory_working_set_bytes"), "swap": 0, "load1": 1.31, "cpuPressure": get("pressure_cpu_waiting_seconds_total"),
		"memoryPressure": 0, "ioPressure": get("pressure_io_waiting_seconds_total"), "diskRead": get("fs_reads_bytes_total"), "diskWrite": get("fs_writes_bytes_total"),
		"diskFree": 80e9, "diskSize": 120e9, "diskDevice": "vda1", "netReceive": get("network_receive_bytes_total"),
		"netTransmit": get("network_transmit_bytes_total"), "netErrors": 0, "busiest": busiest, "containers": len(all), "gap": nil,
	}
}

func (w *world) row(b box, t float64) map[string]any {
	r := map[string]any{
		"namespace": b.ns, "workload": b.workload, "workloadKind": b.kind, "pod": b.pod, "name": b.name, "title": b.title, "runtime": b.runtime,
		"image": b.image, "id": "/" + b.ns + "/" + b.pod, "node": "node-7", "started": stamp(math.Floor(t/period)*period - 3600*hash(b.title)),
		"cpuLimit": nil, "cpuRequest": nil, "memoryLimit": nil, "oomKills": 0, "restarts": 0, "processes": math.Ceil(9 * hash(b.title)),
		"score": 0.0, "why": "", "gap": nil,
	}
	for k, name := range map[string]string{
		"cpu": "cpu_usage_seconds_total", "workingSet": "memory_working_set_bytes", "throttled": "cpu_cfs_throttled_periods_total",
		"cpuPressure": "pressure_cpu_waiting_seconds_total", "memoryPressure": "pressure_memory_waiting_seconds_total",
		"ioPressure": "pressure_io_waiting_seconds_total", "diskRead": "fs_reads_bytes_total", "diskWrite": "fs_writes_bytes_total",
		"netReceive": "network_receive_bytes_total", "netTransmit": "network_transmit_bytes_total",
	} {
		r[k] = nil
		if v, ok := b.metric("container_"+name, t); ok {
			r[k] = v
		}
	}
	if b.cpuLimit > 0 {
		r["cpuLimit"] = b.cpuLimit
	}
	if b.memLimit > 0 {
		r["memoryLimit"] = b.memLimit * (1 << 20)
	}
	if b.workload == "web" {
		r["cpuRequest"] = .25
	}
	if b.title == "demo/web-1" {
		r["oomKills"], r["restarts"] = 1, 1
	}
	w.hurts(b, r, t)
	return r
}

func (w *world) hurts(b box, r map[string]any, t float64) {
	th, near := b.throttled(t), 0.0
	if b.memLimit > 0 {
		near = b.memory(t) / (b.memLimit * (1 << 20))
	}
	r["score"] = max(th, b.pressure(t), (near-.8)*2, *b.orZero(t)/20, 0)
	switch {
	case b.use(t) == nil:
		r["gap"] = map[string]any{"since": stamp(math.Floor(t/900)*900 + 600), "reason": "permission", "detail": "the reader was refused (permission)"}
	case th > .1:
		r["why"] = fmt.Sprintf("throttled %.0f %%", th*100)
	case near > .9:
		r["why"] = fmt.Sprintf("memory at %.0f %% of its limit", near*100)
	}
}
