package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
)

var (
	nameOf   = regexp.MustCompile(`(?:container|node|workload|pod)_[a-z0-9_]+`)
	labelsOf = regexp.MustCompile(`(\w+)=("(?:[^"\\]|\\.)*")`)
)

// serveRange answers the expressions that the page asks for.
func (w *world) serveRange(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	expr := q.Get("query")
	start, _ := strconv.ParseFloat(q.Get("start"), 64)
	end, _ := strconv.ParseFloat(q.Get("end"), 64)
	step, _ := strconv.ParseFloat(q.Get("step"), 64)
	name := nameOf.FindString(expr)
	if name == "" || step <= 0 || (end-start)/step > 11000 {
		rw.WriteHeader(http.StatusBadRequest)
		answer(rw, map[string]any{"status": "error", "errorType": "bad_data", "error": fmt.Sprintf("cannot read the query %q", expr)})
		return
	}
	want := map[string]string{}
	for _, m := range labelsOf.FindAllStringSubmatch(expr, -1) {
		var s string
		if json.Unmarshal([]byte(m[2]), &s) == nil {
			want[m[1]] = s
		}
	}
	result := []any{}
	for _, s := range w.series(name, want, start, end, step) {
		result = append(result, s)
	}
	answer(rw, map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": result}})
}

// series evaluates one metric: one series for each container where no container is named, else one.
func (w *world) series(name string, want map[string]string, start, end, step float64) []any {
	line := func(labels map[string]string, at func(t float64) float64) any {
		values := [][2]any{}
		for t := start; t <= end; t += step {
			if t < float64(w.oldest()) || t > w.now() {
				continue
			}
			if v := at(t); !math.IsInf(v, 0) {
				values = append(values, [2]any{t, strconv.FormatFloat(v, 'g', -1, 64)})
			}
		}
		return map[string]any{"metric": labels, "values": values}
	}
	if len(want) == 0 && name == "container_cpu_usage_seconds_total" {
		var out []any
		for _, b := range w.all(w.now()) {
			labels := map[string]string{"node": "node-7", "namespace": b.ns, "pod": b.pod, "container": b.name}
			out = append(out, line(labels, func(t float64) float64 { return w.sum(name, []box{b.then(t)}, t) }))
		}
		return out
	}
	return []any{line(map[string]string{}, func(t float64) float64 { return w.value(name, want, t) })}
}

// then gives the container as it was: a replica's use depends on how many there were.
func (b box) then(t float64) box {
	if b.workload == "web" && b.ns == "demo" {
		b.cpu = load(t) * .2
	}
	return b
}

func (w *world) value(name string, want map[string]string, t float64) float64 {
	switch name {
	case "workload_replicas_wished":
		return w.scaled(want, float64(replicas(t)))
	case "workload_replicas_ready":
		return w.scaled(want, float64(ready(t)))
	case "workload_scale_load_ratio":
		if want["workload"] == "resize" && broken(t) {
			return math.Inf(1)
		}
		return w.scaled(want, load(t))
	case "workload_scale_target_ratio":
		return .7
	}
	var some []box
	for _, b := range w.all(t) {
		if matches(b, want) {
			some = append(some, b)
		}
	}
	if len(some) == 0 {
		return math.Inf(1)
	}
	return w.sum(name, some, t)
}

// scaled gives demo/web the story's value, and other targets a calm one.
func (w *world) scaled(want map[string]string, v float64) float64 {
	switch want["workload"] {
	case "web":
		return v
	case "checkout":
		if v >= 2 {
			return 3
		}
		return .41
	}
	if v >= 2 {
		return 2
	}
	return .5
}

func matches(b box, want map[string]string) bool {
	have := map[string]string{"namespace": b.ns, "pod": b.pod, "container": b.name, "workload": b.workload, "workload_kind": b.kind, "node": "node-7"}
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}
